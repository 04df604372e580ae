"""The promise of whoever keeps what others are told: a drop copy without gaps, messages until they arrive."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from ordergate.core.ids import AccountId


class Notice(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event that somebody is told of. `frame` is its public JSON."""

    account: AccountId
    seq: int
    kind: str
    frame: bytes


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the drop copy; numbers have no gaps."""

    number: int
    at: datetime
    notice: Notice


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message that an endpoint has not taken yet."""

    endpoint: str
    notice: Notice
    attempts: int


class Forgotten(msgspec.Struct, frozen=True):
    """How many messages were dropped: that an endpoint had taken, and that were dead letters."""

    taken: int
    dead: int


class Copies(Protocol):
    """The drop copy, as somebody may see it. Raises JournalUnavailable."""

    async def copies_of(self, accounts: Sequence[AccountId], after: int, most: int) -> Sequence[Copy]:
        """Of these streams alone, in the order of their numbers."""
        ...


class SeenCopies(Protocol):
    """The drop copy as each reader sees it: whatever is asked for, nothing of another's account is found."""

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> Copies: ...

    async def last_number(self) -> int:
        """0 before the first."""
        ...


class Surveillance(Protocol):
    """Raises JournalUnavailable."""

    async def cursors(self) -> Mapping[AccountId, int]:
        """Up to which event each account was looked through."""
        ...

    async def keep(
        self,
        cursors: Mapping[AccountId, int],
        copies: Sequence[Notice],
        deliveries: Sequence[tuple[str, Notice]],
        now: datetime,
    ) -> None:
        """All or none. What is kept already, by account and event, is not kept twice."""
        ...

    async def due(self, endpoint: str, now: datetime, most: int) -> Sequence[Delivery]: ...

    async def delivered(self, delivery: Delivery, now: datetime) -> None: ...

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> None:
        """To be tried again then; never, where that is None: it is a dead letter."""
        ...

    async def forget(self, taken_before: datetime, dead_before: datetime) -> Forgotten:
        """Drop messages that were taken, or died, before then; the drop copy stays."""
        ...

    async def copies(self, after: int, most: int) -> Sequence[Copy]: ...
