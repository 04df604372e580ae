"""The read tables: what the API shows. Rebuildable from the journal, never truth.

Bodies are the JSON bytes that were written with the event; nobody decodes them on the way out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from ordergate.core.ids import AccountId, OrderId


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. `before` is the id to continue after; `limit` 1 to 500."""

    accounts: tuple[AccountId, ...]
    limit: int
    before: OrderId | None = None
    status: str | None = None
    open: bool | None = None
    symbol: str | None = None
    client_order_id: str | None = None


class BreakQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. `before` is the id to continue after; `limit` 1 to 500. `open` is open or assigned."""

    accounts: tuple[AccountId, ...]
    limit: int
    before: str | None = None
    state: str | None = None
    severity: str | None = None
    open: bool | None = None


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is the event's kind, from which its stream channels follow."""

    seq: int
    kind: str
    frame: bytes


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An account at one sequence number: open orders, positions, balances, read as of one moment."""

    stream_id: str
    seq: int
    orders: tuple[bytes, ...]
    positions: tuple[bytes, ...]
    balances: tuple[bytes, ...]


class Page(msgspec.Struct, frozen=True):
    """`next` is an opaque key to continue after, or None at the end."""

    bodies: tuple[bytes, ...]
    next: str | None


class Views(Protocol):
    async def shows(self, account: AccountId) -> bool:
        """Whether the account is there, and is shown to whoever looks."""
        ...

    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None: ...

    async def order_by_client_id(self, account: AccountId, client_order_id: str) -> bytes | None: ...

    async def orders(self, query: OrderQuery) -> Page: ...

    async def order_events(self, order: OrderId, accounts: Sequence[AccountId]) -> list[bytes]:
        """The frames of the order's events, oldest first (at most 10 000)."""
        ...

    async def executions(self, account: AccountId, *, limit: int, after: str | None) -> Page: ...

    async def positions(self, account: AccountId) -> list[bytes]: ...

    async def balances(self, account: AccountId) -> list[bytes]: ...

    async def breaks(self, query: BreakQuery) -> Page: ...

    async def one_break(self, break_id: str, accounts: Sequence[AccountId]) -> bytes | None: ...

    async def snapshot(self, account: AccountId) -> Snapshot | None: ...

    async def frames(self, account: AccountId, *, after: int, upto: int, limit: int) -> list[EventRow]:
        """Stream frames in order of sequence, for resuming clients."""
        ...


class SeenViews(Protocol):
    """The read tables as somebody sees them: whatever is asked for, nothing of anybody else's is found."""

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> Views: ...
