"""Cosigns the heads of somebody else's log, each only if the log grew into it from the last one it cosigned.

What it saw is durable before it is signed, so that it never signs two histories, whenever it dies. It
trusts the log's key and nothing of the gateway; where something does not hold it says so and signs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ordergate.audit import notes
from ordergate.audit.keychain import KeyChain
from ordergate.audit.tree import grew
from ordergate.ports.audit import NoteKey

TIME_BYTES: Final = 8


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The last head that was cosigned, and the log's key from there on."""

    key: str
    size: int = 0
    root: str = ""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A line of what a log published: a head, and the proof that it grew out of the one of `old` records."""

    note: str
    old: int | None = None
    path: tuple[str, ...] = ()


class Inconsistent(Exception):
    """What is published cannot be a later state of what was cosigned. A person has to look."""


class Witness:
    """`keep` makes what was seen durable before it returns."""

    def __init__(self, name: str, key: NoteKey, seen: Seen, keep: Callable[[Seen], None]) -> None:
        if not notes.is_name(name):
            raise ValueError(f"{name!r} cannot be the name of a witness")
        self._name = name
        self._key = key
        self._keep = keep
        self.seen = seen

    @property
    def verifier_key(self) -> str:
        """Its public key, for whoever checks cosignatures."""
        return notes.verifier_key(self._name, self._key.public, notes.COSIGNATURE)

    async def consider(self, published: Published, now: int) -> str | None:
        """The note with one more signature, or None for one from before. Raises Inconsistent."""
        chain = KeyChain(self.seen.key)
        try:
            parsed = notes.parse_note(published.note)
            told = notes.parse_checkpoint(parsed.text)
            if told.size < self.seen.size or (told.size == self.seen.size > 0 and self._is_same(told.root)):
                return None
            checkpoint = chain.open(published.note)
            path = [notes.decode(step) for step in published.path]
        except notes.Malformed as error:
            raise Inconsistent(str(error)) from error
        self._check(checkpoint.size, checkpoint.root, published.old, path)
        seen = Seen(key=chain.key, size=checkpoint.size, root=checkpoint.root.hex())
        self._keep(seen)
        self.seen = seen
        at = now.to_bytes(TIME_BYTES)
        signature = await self._key.sign(notes.cosigned_text(parsed.text, now))
        return notes.also_signed(
            published.note, self._name, self._key.public, at + signature, notes.COSIGNATURE
        )

    def _is_same(self, root: bytes) -> bool:
        if root.hex() != self.seen.root:
            raise Inconsistent(f"there are two trees of {self.seen.size} records")
        return True

    def _check(self, size: int, root: bytes, old: int | None, path: Sequence[bytes]) -> None:
        if not self.seen.size:
            return  # the first that it sees: everything after is measured by it
        if old != self.seen.size:
            raise Inconsistent(f"no proof that {size} records grew out of the {self.seen.size} cosigned")
        if not grew(self.seen.size, bytes.fromhex(self.seen.root), size, root, path):
            raise Inconsistent(f"{size} records did not grow out of the {self.seen.size} cosigned")
