"""The promises of the audit: the journal as a log of leaves, checkpoints kept and published, and keys.

The log's order is the order in which ranges of the accounts' events were taken into the tree; it is kept
with the checkpoints and never changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from ordergate.core.ids import AccountId


class Range(msgspec.Struct, frozen=True, gc=False):
    """Events of one account, the last included, whose leaves begin at index `first`."""

    first: int
    account: AccountId
    after: int
    upto: int

    @property
    def count(self) -> int:
        return self.upto - self.after


class Head(msgspec.Struct, frozen=True):
    """A checkpoint as it is kept: what is needed to go on, and the signed note."""

    size: int
    root: bytes
    frontier: tuple[bytes, ...]
    note: str
    at: datetime


class AuditLog(Protocol):
    """Where leaves come from and checkpoints are kept. Raises JournalUnavailable."""

    async def heads(self) -> Mapping[AccountId, int]:
        """How many durable events every account has."""
        ...

    async def taken(self, size: int) -> Mapping[AccountId, int]:
        """How many of them are in the tree of that size."""
        ...

    async def seals(self, account: AccountId, after: int, upto: int) -> Sequence[bytes]:
        """The seals of the events after `after`, up to `upto`, in order."""
        ...

    def ranges(self) -> AsyncIterator[Range]:
        """Everything in the tree, in the order of its leaves."""
        ...

    async def newest(self) -> Head | None: ...

    async def at(self, size: int) -> Head | None:
        """The checkpoint of exactly this size."""
        ...

    async def keep(self, ranges: Sequence[Range], head: Head) -> None:
        """Keep both or neither. Raises AppendConflict where another has gone on meanwhile."""
        ...


class Sink(Protocol):
    """Where checkpoints are published, out of the database's reach. Raises OSError."""

    async def publish(self, note: str, old: int = 0, path: Sequence[bytes] = ()) -> None:
        """With the proof that it grew out of what was published before it, of `old` records."""
        ...

    async def newest(self) -> str | None:
        """The note that was published last."""
        ...


class NoteKey(Protocol):
    """An Ed25519 key that signs notes; the private half never leaves whoever keeps it."""

    @property
    def public(self) -> bytes: ...

    async def sign(self, text: bytes) -> bytes: ...


class NoteKeys(Protocol):
    """The key and, while it is changed, the one that comes after it. Raises Fault."""

    async def versions(self) -> Sequence[NoteKey]:
        """What can sign, the newest first."""
        ...

    async def past(self) -> Sequence[bytes]:
        """The public halves of those that sign no more."""
        ...

    async def retire(self, key: NoteKey) -> None:
        """It signs no more, for ever. Harmless to repeat."""
        ...
