"""The promise of the journal: events per account, gapless, all or none, durable when answered.

A unit is everything that one decision writes: its events, the read-table rows they change,
and the idempotency receipt. Units of one account are appended in the order given; the writer
commits whatever waits, of all accounts, in one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

import msgspec

from ordergate.core.accounts.events import AnyAccountEvent
from ordergate.core.approvals import AnyChangeEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, E, OrderId
from ordergate.core.orders.events import AnyOrderEvent
from ordergate.core.privileged import AnyPrivilegedEvent
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.policy import AnyLimitEvent
from ordergate.core.risk.trading_state import AnyControlEvent

AnyEvent = (
    AnyOrderEvent
    | AnyAccountEvent
    | AnyGroupEvent
    | AnyControlEvent
    | AnyChangeEvent
    | AnyLimitEvent
    | AnyPrivilegedEvent
    | OverrideGranted
)


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event on its way into the journal.

    `frame` is the public JSON object that clients are shown for this event, kept beside it so
    that a replay shows exactly what was shown live. `correlation` names the request or report
    that caused it.
    """

    seq: int
    event: AnyEvent
    order_id: OrderId | None
    correlation: str
    frame: bytes


class OrderRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order in the read table. `body` is the JSON of its `OrderView`."""

    id: str
    account: str
    client_order_id: str | None
    symbol: str
    status: str
    open: bool
    accepted_at: datetime
    body: bytes


class Row(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A row of another read table: `key` is unique within account and table."""

    key: str
    body: bytes


class Unit(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one decision writes, all or none.

    `expected` is the account's head before it; entries carry `expected + 1` and on. `epoch`
    is the owner's: a newer owner's unit is never mixed with an older one's. Nobody waits for a
    `patient` one: it may be kept for a moment, to be written with what comes next.
    """

    account: AccountId
    epoch: int
    expected: int
    entries: tuple[Entry, ...]
    orders: tuple[OrderRow, ...] = ()
    executions: tuple[Row, ...] = ()
    positions: tuple[Row, ...] = ()
    balances: tuple[Row, ...] = ()
    breaks: tuple[Row, ...] = ()
    receipt: Receipt | None = None
    patient: bool = False


class Sealed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event as it is stored: `body` is the JSON that is written, `hash` its seal."""

    seq: int
    kind: str
    version: int
    hash: bytes
    body: bytes


Committed = asyncio.Future[tuple[Sealed, ...]]
"""Done when a unit is durable, with every event of it as it was written."""


class Stored(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event as the journal gives it back, its seal already checked.

    `version` is the one it was written in; the event is as the current one has it.
    """

    seq: int
    version: int
    event: AnyEvent
    at: datetime
    correlation: str
    frame: bytes


class Taken(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An account after its ownership was taken: write under `epoch`, after `head`.

    `last_hash` is the seal of the event at `head`.
    """

    epoch: int
    head: int
    stream_id: str
    last_hash: bytes


class Snapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an account's events up to `seq` were folded to, as bytes that only its writer understands.

    A shadow of the journal and never truth: `rules` names what they were folded by, and under other
    rules it is worth nothing. `epoch` is the owner's who folded them.
    """

    account: AccountId
    epoch: int
    seq: int
    rules: str
    body: bytes


class Journal(Protocol):
    """Every account's events. Whose environment it is concerns who puts a node together: `JournalOf`."""

    async def take(self, account: AccountId) -> Taken:
        """Become the account's owner: raises its epoch, so that every older owner is refused."""
        ...

    def append(self, unit: Unit) -> Committed:
        """Queue the unit; the future is done when it is durable, with what was written of it.

        Raises through the future: AppendConflict, StaleEpoch, KeyTaken (nothing was written; a
        client order id that the account has used counts as a key) or JournalUnavailable (nothing
        is known to have been written, and the account must be taken and folded again). After any
        of them the account's later units fail likewise until it is taken again. Raises
        JournalUnavailable at once when the queue is full.
        """
        ...

    @property
    def room(self) -> int:
        """How many units more it would take now."""
        ...

    @property
    def displaced(self) -> bool:
        """Whether another process was found to write instead, and this one could not since."""
        ...

    def read(self, account: AccountId, *, after: int, upto: int | None = None) -> AsyncIterator[Stored]:
        """The account's events after a sequence number, in order, verified link by link."""
        ...

    async def seal_at(self, account: AccountId, seq: int) -> bytes | None:
        """The seal of the account's event at a place; None where there is no such event."""
        ...

    async def history(self, order: OrderId) -> list[Stored]:
        """Every event of one order, oldest first; empty when there is no such order."""
        ...

    async def adopted(self, account: AccountId, broker_order_id: str) -> OrderId | None:
        """The order as which this one of the broker's was adopted, however long ago."""
        ...

    async def receipt(self, scope: Scope) -> Receipt | None: ...

    async def key_digests(self, account: AccountId) -> set[int]:
        """`Scope.digest()` of every receipt of the account."""
        ...

    async def forget_answers(self, before: datetime) -> int:
        """Drop the stored answers of keys used before then, and return how many there were.

        The keys themselves stay: they never buy anything again.
        """
        ...

    async def accounts(self) -> list[AccountId]: ...

    async def close(self) -> None:
        """Write what waits, and let whoever wants it write from now on. Nothing can be appended after it."""
        ...

    async def keep(self, snapshot: Snapshot) -> bool:
        """Keep it in place of the account's last one, sealed to its event.

        False, and nothing is changed, unless its owner owns the account, all of its events are durable,
        and it is no older than the one before. Raises JournalUnavailable.
        """
        ...

    async def snapshot(self, account: AccountId, *, rules: str) -> Snapshot | None:
        """The account's snapshot of these rules; None where there is none whose seal holds."""
        ...


class JournalOf(Journal, Protocol[E]):
    """A journal that says whose it is, so that a node is given its own."""

    env: E
