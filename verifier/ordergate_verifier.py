#!/usr/bin/env python3
"""Checks what a gateway exported of its records, without trusting the gateway.

Reads files only and shares no code with the product: Python's standard library, and `cryptography` for
Ed25519. Written from the formats alone: docs/audit.md, RFC 6962, and C2SP's signed-note, tlog-checkpoint
and tlog-proof.

    python ordergate_verifier.py log EXPORT --key KEY [--trusted NOTE ...] [--witness KEY --cosigned NOTES]
    python ordergate_verifier.py proof FILE --key KEY
    python ordergate_verifier.py consistency FILE --key KEY

KEY is the log's public key as you received it from the operator, once, by another way than the export. A
log that changed its key is followed from the key that you have, which was its first.
NOTE is a checkpoint that you kept from before: history that contradicts it is found, however well made.
The exit code is 0 when everything holds, 1 when something does not, 2 when the call makes no sense.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import struct
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EVENT_DOMAIN = b"ordergate/journal/event/v1"
STREAM_DOMAIN = b"ordergate/journal/stream/v1"
HEADER = struct.Struct(">qqiiiiiii")
COSIGNATURE = b"\x04"
NEXT_KEY = "ordergate-next-key "
FIELDS = {
    "index", "account", "seq", "kind", "version", "order_id", "at", "correlation", "body", "frame", "seal",
}  # fmt: skip
EMPTY_ROOT = hashlib.sha256(b"").digest()
UNSIGNED_MAX = 1_000


class Broken(Exception):
    """Something does not hold; the message says what and where."""


class Key(NamedTuple):
    """The log's public key, with the name and the id that its signatures carry."""

    name: str
    id: bytes
    public: bytes


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes
    next_key: str | None = None


# The Merkle tree of RFC 6962


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """Grows leaf by leaf; keeps one hash for each bit of its size."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[tuple[int, bytes]] = []

    def append(self, data: bytes) -> None:
        height, node = 0, leaf_hash(data)
        while self.peaks and self.peaks[-1][0] == height:
            node = node_hash(self.peaks.pop()[1], node)
            height += 1
        self.peaks.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        node = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            node = node_hash(left, node)
        return node


def root_from_inclusion(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that the path leads to (RFC 9162, 2.1.3.2). Raises Broken where it cannot lead to one."""
    if not 0 <= index < size:
        raise Broken(f"there is no index {index} in a tree of {size}")
    place, last, node = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise Broken("the proof is longer than the tree is high")
        if place & 1 or place == last:
            node = node_hash(step, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, step)
        place, last = place >> 1, last >> 1
    if last:
        raise Broken("the proof is shorter than the tree is high")
    return node


def check_consistency(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> None:
    """The new tree grew out of the old one (RFC 9162, 2.1.4.2), or Broken."""
    if not 0 < old.size <= new.size:
        raise Broken(f"a tree of {new.size} did not grow out of one of {old.size}")
    if old.size == new.size:
        if path or old.root != new.root:
            raise Broken(f"two trees of {old.size} records differ")
        return
    steps = [old.root, *path] if old.size & (old.size - 1) == 0 else list(path)
    if not steps:
        raise Broken("the proof is empty")
    place, last = old.size - 1, new.size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise Broken("the proof is longer than the tree is high")
        if place & 1 or place == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, step)
        place, last = place >> 1, last >> 1
    if last or first != old.root or second != new.root:
        raise Broken(f"the tree of {new.size} did not grow out of the one of {old.size}")


# Signed notes and checkpoints of C2SP


def parse_key(text: str, kind: bytes = b"\x01") -> Key:
    """A verifier key: name, id and key, joined by `+`."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = decoded(encoded)
    if raw[:1] != kind or len(raw) != 33:
        raise Broken("the key is not an Ed25519 key")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if expected.hex() != key_id:
        raise Broken("the key's id is not that of the key")
    return Key(name, expected, raw[1:])


def open_note(note: str, key: Key, *, witness: bool = False) -> str:
    """The text of a note that the key has signed, or cosigned as a witness does; or Broken."""
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise Broken("not a signed note")
    text += "\n"
    for line in signatures[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "\u2014":
            raise Broken("not a signature line")
        raw = decoded(encoded)
        if name == key.name and raw[:4] == key.id:
            said, signature = text, raw[4:]
            if witness:  # eight bytes say when
                said = f"cosignature/v1\ntime {int.from_bytes(signature[:8])}\n{text}"
                signature = signature[8:]
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(signature, said.encode())
            except InvalidSignature:
                raise Broken("the signature does not hold") from None
            return text
    raise Broken("the note is not signed by the key")


def open_checkpoint(note: str, key: Key) -> Checkpoint:
    lines = open_note(note, key).split("\n")
    if len(lines) < 4 or not lines[1].isdecimal() or str(int(lines[1])) != lines[1]:
        raise Broken("not a checkpoint")
    root = decoded(lines[2])
    names = [line.removeprefix(NEXT_KEY) for line in lines[3:] if line.startswith(NEXT_KEY)]
    if lines[0] != key.name or len(root) != 32 or len(names) > 1:
        raise Broken("not a checkpoint of this log")
    return Checkpoint(lines[0], int(lines[1]), root, names[0] if names else None)


def decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Broken(f"{text!r} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Broken(f"{text!r} is not written as base64 is")
    return raw


# Records, and the chain of each account


def genesis(account: str) -> bytes:
    return hashlib.sha256(STREAM_DOMAIN + account.encode()).digest()


def seal(prior: bytes, record: dict[str, Any]) -> bytes:
    """The seal of a record after the one before it."""
    order_id = record["order_id"]
    texts = [
        record["account"].encode(),
        record["kind"].encode(),
        b"" if order_id is None else order_id.encode(),
        record["correlation"].encode(),
        record["body"].encode(),
        record["frame"].encode(),
    ]
    lengths = [len(text) for text in texts]
    if order_id is None:
        lengths[2] = -1
    header = HEADER.pack(record["seq"], record["at"], record["version"], *lengths)
    return hashlib.sha256(b"".join([EVENT_DOMAIN, prior, header, *texts])).digest()


def check_record(record: Any, fields: set[str]) -> None:
    """A record has these fields and no others, each of its kind."""
    if not isinstance(record, dict) or set(record) != fields:
        raise Broken("a record does not have the fields of a record")
    for name in ("seq", "version", "at"):
        if type(record[name]) is not int or not -(2**63) <= record[name] < 2**63:
            raise Broken(f"{name} is not a number")
    if not -(2**31) <= record["version"] < 2**31:
        raise Broken("version is not a number")
    for name in ("account", "kind", "correlation", "body", "frame"):
        if type(record[name]) is not str:
            raise Broken(f"{name} is not a text")
    if record["order_id"] is not None and type(record["order_id"]) is not str:
        raise Broken("order_id is not a text")


def verify_log(
    records: list[str], notes: list[str], key: Key, trusted: list[str], unsigned_max: int = UNSIGNED_MAX
) -> tuple[int, int]:
    """Every record, every chain, every checkpoint. The number of records, and how many are signed."""
    heads, reigns = follow(notes, key)
    wanted: dict[int, list[Checkpoint]] = {}
    for head in [*heads, *(open_under(note, reigns) for note in trusted)]:
        wanted.setdefault(head.size, []).append(head)
    tree = Tree()
    last: dict[str, tuple[int, bytes]] = {}
    _compare(wanted, tree)
    for record in map(_parsed, records):
        check_record(record, FIELDS)
        if type(record["index"]) is not int or record["index"] != tree.size:
            raise Broken(f"record {tree.size} is missing")
        account = record["account"]
        seq, prior = last.get(account, (0, genesis(account)))
        if record["seq"] != seq + 1:
            raise Broken(f"{account}: event {seq + 1} is missing")
        found = seal(prior, record)
        if found.hex() != record["seal"]:
            raise Broken(f"{account}: the chain breaks at event {record['seq']}")
        last[account] = (record["seq"], found)
        tree.append(found)
        _compare(wanted, tree)
    if beyond := [size for size in wanted if size > tree.size]:
        raise Broken(f"{max(beyond)} records were signed for, and there are {tree.size}")
    signed = max(wanted, default=0)
    if tree.size - signed > unsigned_max:
        raise Broken(f"{tree.size - signed} records are not signed for")
    return tree.size, signed


def follow(notes: list[str], key: Key) -> tuple[list[Checkpoint], list[tuple[Key, int]]]:
    """All checkpoints, in order; and every key with the size up to which it signs, the last without end."""
    heads, reigns = list[Checkpoint](), list[tuple[Key, int]]()
    for note in notes:
        heads.append(open_checkpoint(note, key))
        if heads[-1].next_key is not None:
            reigns.append((key, heads[-1].size))
            key = parse_key(heads[-1].next_key)
            open_checkpoint(note, key)  # it has to sign as well
    if any(one.size >= two.size for one, two in pairwise(heads)):
        raise Broken("the checkpoints are not in order")
    return heads, [*reigns, (key, 2**63)]


def open_under(note: str, reigns: list[tuple[Key, int]]) -> Checkpoint:
    """A checkpoint kept from before, signed by a key that might sign one of its size."""
    for key, upto in reigns:
        with suppress(Broken):
            if (head := open_checkpoint(note, key)).size <= upto:
                return head
    raise Broken("a kept checkpoint is not signed by the key of its time")


def cosigned_size(notes: list[str], witness: Key) -> int:
    """How many records the witness has seen in the log, at the latest of these."""
    if not notes:
        raise Broken("nothing is cosigned")
    return max(int(open_note(note, witness, witness=True).split("\n")[1]) for note in notes)


def _compare(wanted: dict[int, list[Checkpoint]], tree: Tree) -> None:
    if tree.size not in wanted:
        return
    root = tree.root()
    if any(head.root != root for head in wanted[tree.size]):
        raise Broken(f"the first {tree.size} records are not those that were signed for")


def verify_proof(text: str, key: Key) -> dict[str, Any]:
    """The record that a tlog-proof proves."""
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Broken("not a proof")
    words = [line.split(" ") for line in lines[1:3]]
    if [one[0] for one in words] != ["extra", "index"] or not lines[2][6:].isdecimal():
        raise Broken("the proof does not say what it proves")
    checkpoint = open_checkpoint(note, key)
    record = _parsed(decoded(lines[1][6:]).decode("utf-8", "replace"))
    check_record(record, (FIELDS - {"index", "seal"}) | {"prior"})
    try:
        (prior,) = struct.unpack("32s", bytes.fromhex(record["prior"]))  # longer, it would hide a record
        found = seal(prior, record)
    except (TypeError, ValueError, struct.error):
        raise Broken("prior is not a seal") from None
    path = [decoded(line) for line in lines[3:]]
    root = root_from_inclusion(leaf_hash(found), int(lines[2][6:]), checkpoint.size, path)
    if root != checkpoint.root:
        raise Broken("the record is not in the log")
    return dict(record)


def verify_consistency(text: str, key: Key) -> tuple[int, int]:
    """Two checkpoints of one log, and the proof that the later grew out of the earlier."""
    told = _parsed(text)
    fields = {"old", "new", "path"}
    if not isinstance(told, dict) or set(told) != fields or not isinstance(told["path"], list):
        raise Broken("not a proof of consistency")
    old, new = open_checkpoint(str(told["old"]), key), open_checkpoint(str(told["new"]), key)
    check_consistency(old, new, [decoded(str(step)) for step in told["path"]])
    return old.size, new.size


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise Broken("a line is not JSON") from None


def _notes_in(path: Path) -> list[str]:
    """One note, or, in a file of lines, one in each."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".jsonl":
        return [text]
    return [str(_parsed(line)["note"]) for line in text.split("\n") if line]


def _text_of(asked: str) -> str:
    """A key, or the first line of the file that has it."""
    kept = Path(asked)
    return kept.read_text(encoding="utf-8").split("\n")[0] if kept.is_file() else asked


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check what a gateway exported of its records.")
    parser.add_argument("what", choices=("log", "proof", "consistency"))
    parser.add_argument("path", type=Path, help="the folder of an export, or the file of a proof")
    parser.add_argument("--key", required=True, help="the log's public key, or a file with it")
    parser.add_argument("--witness", help="a witness's public key, or a file with it")
    parser.add_argument("--cosigned", type=Path, action="append", default=[], help="what it cosigned")
    parser.add_argument("--trusted", type=Path, action="append", default=[], help="a checkpoint kept before")
    parser.add_argument("--unsigned-max", type=int, default=UNSIGNED_MAX)
    asked = parser.parse_args(arguments)
    try:
        key = parse_key(_text_of(asked.key))
        cosigned = [note for path in asked.cosigned for note in _notes_in(path)]
        if asked.what == "proof":
            record = verify_proof(asked.path.read_text(encoding="utf-8"), key)
            told = f"{record['account']}: event {record['seq']} is in the log: {record['body']}"
        elif asked.what == "consistency":
            old, new = verify_consistency(asked.path.read_text(encoding="utf-8"), key)
            told = f"the log of {new} records grew out of the one of {old}"
        else:
            lines = (asked.path / "records.jsonl").read_text(encoding="utf-8").split("\n")
            notes = _notes_in(asked.path / "checkpoints.jsonl")
            trusted = [*cosigned, *(note for path in asked.trusted for note in _notes_in(path))]
            size, signed = verify_log([one for one in lines if one], notes, key, trusted, asked.unsigned_max)
            told = f"{size} records hold; {signed} of them are signed for"
            if asked.witness and (witness := parse_key(_text_of(asked.witness), COSIGNATURE)):
                told += f"; {cosigned_size(cosigned, witness)} of them are cosigned by {witness.name}"
            current = follow(notes, key)[1][-1][0]
            if current != key:
                told += f"; the log's key is {current.name}+{current.id.hex()} by now"
    except Broken as broken:
        print(f"BROKEN: {broken}", file=sys.stderr)
        return 1
    except (OSError, KeyError, TypeError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
