"""Signed notes and checkpoints, as C2SP's signed-note, tlog-checkpoint and tlog-proof write them. Pure.

A checkpoint says: the log of this origin had so many records, and this was the root over them. The
key is another's: here is only what is signed, and how a signature is written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from ordergate.audit.tree import HASH_BYTES

ED25519: Final = b"\x01"
_DASH: Final = "—"
_NAME: Final = re.compile(r"[^\s+]{1,200}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_PROOF: Final = "c2sp.org/tlog-proof@v1"


class Malformed(ValueError):
    """A text that is no note, or no checkpoint."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of the tree at one size."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{encode(self.root)}\n"


class Note(msgspec.Struct, frozen=True):
    """A text with its signatures, each with the name and the id of its key."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]


def is_name(name: str) -> bool:
    """True when a key or a log can be called so."""
    return _NAME.fullmatch(name) is not None


def key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """The public key as others keep it, in one line: name, id and key."""
    return f"{name}+{key_id(name, public).hex()}+{encode(ED25519 + public)}"


def parse_verifier_key(line: str) -> tuple[str, bytes]:
    """The name and the public key. Raises Malformed."""
    name, _, rest = line.strip().partition("+")
    key, _, encoded = rest.partition("+")
    raw = _decode(encoded)
    if not is_name(name) or raw[:1] != ED25519 or len(raw) != 33 or key_id(name, raw[1:]).hex() != key:
        raise Malformed(f"{line!r} is no verifier key")
    return name, raw[1:]


def signed(text: str, name: str, public: bytes, signature: bytes) -> str:
    """The note: the text, a blank line, and the signature's line."""
    return f"{text}\n{_DASH} {name} {encode(key_id(name, public) + signature)}\n"


def parse_note(note: str) -> Note:
    """Raises Malformed."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise Malformed("a note is a text, a blank line, and signatures")
    found = []
    for line in lines.removesuffix("\n").split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = _decode(encoded)
        if dash != _DASH or not is_name(name) or len(raw) < 5:
            raise Malformed(f"{line!r} is no signature")
        found.append((name, raw[:4], raw[4:]))
    return Note(text + "\n", tuple(found))


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is. Raises Malformed."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise Malformed("a checkpoint is an origin, a size and a root, a line each")
    root = _decode(lines[2])
    if len(root) != HASH_BYTES:
        raise Malformed("a root has 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def proof_text(extra: bytes, index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """A proof that can be checked offline; `extra` is the record itself."""
    lines = [_PROOF, f"extra {encode(extra)}", f"index {index}", *map(encode, path), "", checkpoint]
    return "\n".join(lines)


def encode(data: bytes) -> str:
    """As every format here writes bytes."""
    return base64.standard_b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{text!r} is not base64") from error
