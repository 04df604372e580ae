"""Signed notes and checkpoints, as C2SP's signed-note, tlog-checkpoint and tlog-proof write them. Pure.

A checkpoint says: the log of this origin had so many records, and this was the root over them. Who
signs is another's: here is only what is signed, how a signature is written, and whether one holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ordergate.audit.tree import HASH_BYTES

ED25519: Final = b"\x01"
COSIGNATURE: Final = b"\x04"
"""The kind of key that a witness signs with: Ed25519 over a checkpoint and a time."""
_DASH: Final = "—"
_NAME: Final = re.compile(r"[^\s+]{1,200}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_NEXT_KEY: Final = "ordergate-next-key "
_PROOF: Final = "c2sp.org/tlog-proof@v1"


class Malformed(ValueError):
    """A text that is no note, or no checkpoint."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of the tree at one size; `next_key` is whose heads follow, where the key changes here."""

    origin: str
    size: int
    root: bytes
    next_key: str | None = None

    def text(self) -> str:
        """What is signed."""
        extension = "" if self.next_key is None else f"{_NEXT_KEY}{self.next_key}\n"
        return f"{self.origin}\n{self.size}\n{encode(self.root)}\n{extension}"


class Note(msgspec.Struct, frozen=True):
    """A text with its signatures, each with the name and the id of its key."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]


def is_name(name: str) -> bool:
    """True when a key or a log can be called so."""
    return _NAME.fullmatch(name) is not None


def key_id(name: str, public: bytes, kind: bytes = ED25519) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def verifier_key(name: str, public: bytes, kind: bytes = ED25519) -> str:
    """The public key as others keep it, in one line: name, id and key."""
    return f"{name}+{key_id(name, public, kind).hex()}+{encode(kind + public)}"


def parse_verifier_key(line: str) -> tuple[str, bytes]:
    """The name and the public key. Raises Malformed."""
    name, _, rest = line.strip().partition("+")
    key, _, encoded = rest.partition("+")
    raw = decode(encoded)
    if not is_name(name) or raw[:1] != ED25519 or len(raw) != 33 or key_id(name, raw[1:]).hex() != key:
        raise Malformed(f"{line!r} is no verifier key")
    return name, raw[1:]


def signed(text: str, name: str, public: bytes, signature: bytes) -> str:
    """The note: the text, a blank line, and the signature's line."""
    return also_signed(f"{text}\n", name, public, signature)


def also_signed(note: str, name: str, public: bytes, signature: bytes, kind: bytes = ED25519) -> str:
    """The note with one more signature's line."""
    return f"{note}{_DASH} {name} {encode(key_id(name, public, kind) + signature)}\n"


def is_signed_by(note: Note, name: str, public: bytes) -> bool:
    """True when one of the signatures is the key's, and holds."""
    wanted = (name, key_id(name, public))
    for signer, key, signature in note.signatures:
        if (signer, key) == wanted:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature, note.text.encode())
            except InvalidSignature:
                return False
            return True
    return False


def cosigned_text(text: str, at: int) -> bytes:
    """What a witness signs: that it saw this checkpoint at this time, in seconds since 1970."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def parse_note(note: str) -> Note:
    """Raises Malformed."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise Malformed("a note is a text, a blank line, and signatures")
    found = []
    for line in lines.removesuffix("\n").split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = decode(encoded)
        if dash != _DASH or not is_name(name) or len(raw) < 5:
            raise Malformed(f"{line!r} is no signature")
        found.append((name, raw[:4], raw[4:]))
    return Note(text + "\n", tuple(found))


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is. Raises Malformed."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise Malformed("a checkpoint is an origin, a size and a root, a line each")
    root = decode(lines[2])
    if len(root) != HASH_BYTES:
        raise Malformed("a root has 32 bytes")
    named = [line.removeprefix(_NEXT_KEY) for line in lines[3:] if line.startswith(_NEXT_KEY)]
    if len(named) > 1:
        raise Malformed("a checkpoint names at most one key to follow")
    return Checkpoint(lines[0], int(lines[1]), root, named[0] if named else None)


def proof_text(extra: bytes, index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """A proof that can be checked offline; `extra` is the record itself."""
    lines = [_PROOF, f"extra {encode(extra)}", f"index {index}", *map(encode, path), "", checkpoint]
    return "\n".join(lines)


def encode(data: bytes) -> str:
    """As every format here writes bytes."""
    return base64.standard_b64encode(data).decode()


def decode(text: str) -> bytes:
    """The bytes again. Raises Malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{text!r} is not base64") from error
