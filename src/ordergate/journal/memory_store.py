"""What a database holds, in memory: streams, read tables and receipts, and the guard before them.

A store outlives the journals that write to it, and several may: it refuses a unit of an older
epoch, one that does not follow the head, and a key or a client order id that is used already,
exactly as the database's statement does. A batch is written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ordergate.core.faults import AppendConflict, Fault, KeyTaken, StaleEpoch
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.events import OrderAdopted
from ordergate.journal import chain, codec
from ordergate.journal.tails import Linked
from ordergate.ports.journal import Entry, OrderRow, Row, Sealed, Snapshot, Stored, Taken


class Execution(msgspec.Struct, frozen=True):
    """`seq` is the event that first wrote the row."""

    seq: int
    row: Row


class Books(msgspec.Struct, kw_only=True):
    """One account: its stream and its read tables. `labels` are the client order ids it has used."""

    epoch: int
    stream_id: str
    last_hash: bytes
    events: list[tuple[Entry, Sealed]] = msgspec.field(default_factory=list)
    orders: dict[str, OrderRow] = msgspec.field(default_factory=dict)
    labels: dict[str | None, str] = msgspec.field(default_factory=dict)
    executions: dict[str, Execution] = msgspec.field(default_factory=dict)
    positions: dict[str, Row] = msgspec.field(default_factory=dict)
    balances: dict[str, Row] = msgspec.field(default_factory=dict)
    breaks: dict[str, Row] = msgspec.field(default_factory=dict)


class _Ahead(msgspec.Struct):
    """What a batch has used of one account before the unit that is looked at."""

    head: int
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class Store:
    """Keeps everything until the process ends."""

    def __init__(self) -> None:
        self.books: dict[AccountId, Books] = {}
        self.receipts: dict[Scope, Receipt] = {}
        self.snapshots: dict[AccountId, tuple[Snapshot, bytes | None]] = {}

    def take(self, account: AccountId) -> tuple[Taken, bytes]:
        """Raise the account's epoch; where its stream stands, and its last seal."""
        books = self.books.get(account)
        if books is None:
            stream_id = f"memory-{len(self.books) + 1}"
            books = Books(epoch=0, stream_id=stream_id, last_hash=chain.genesis(account))
            self.books[account] = books
        books.epoch += 1
        head, last_hash = len(books.events), books.last_hash
        taken = Taken(epoch=books.epoch, head=head, stream_id=books.stream_id, last_hash=last_hash)
        return taken, last_hash

    def seal_at(self, account: AccountId, seq: int) -> bytes | None:
        """The seal of the account's event at a place."""
        books = self.books.get(account)
        within = books is not None and 0 < seq <= len(books.events)
        return books.events[seq - 1][1].hash if books is not None and within else None

    def adopted(self, account: AccountId, broker_order_id: str) -> OrderId | None:
        """The order as which this one of the broker's was adopted."""
        books = self.books.get(account)
        events = (entry.event for entry, _ in (() if books is None else books.events))
        found = (one for one in events if isinstance(one, OrderAdopted))
        return next((one.order_id for one in found if one.broker_order_id == broker_order_id), None)

    def write(self, batch: Sequence[Linked]) -> Fault | None:
        """Write the units, all or none; the first fault when it is none."""
        ahead: dict[AccountId, _Ahead] = {}
        scopes: set[Scope] = set()
        for linked in batch:
            if (fault := self._fault_of(linked, ahead, scopes)) is not None:
                return fault
        for linked in batch:
            self._write(linked)
        return None

    def keep(self, snapshot: Snapshot) -> bool:
        """Keep it with its seal, or change nothing."""
        books, before = self.books.get(snapshot.account), self.snapshots.get(snapshot.account)
        if books is None or snapshot.epoch != books.epoch or not 0 < snapshot.seq <= len(books.events):
            return False
        if before is not None and (before[0].epoch, before[0].seq) > (snapshot.epoch, snapshot.seq):
            return False
        self.snapshots[snapshot.account] = (snapshot, self._seal(snapshot))
        return True

    def snapshot(self, account: AccountId, rules: str) -> Snapshot | None:
        kept, sealed = self.snapshots.get(account, (None, b""))
        if kept is None or kept.rules != rules or self._seal(kept) != sealed:
            return None
        return kept

    def _seal(self, snapshot: Snapshot) -> bytes | None:
        events = self.books[snapshot.account].events
        if len(events) < snapshot.seq:
            return None
        return chain.seal_snapshot(
            events[snapshot.seq - 1][1].hash,
            account=snapshot.account,
            seq=snapshot.seq,
            rules=snapshot.rules,
            body=snapshot.body,
        )

    def _fault_of(self, linked: Linked, ahead: dict[AccountId, _Ahead], scopes: set[Scope]) -> Fault | None:
        unit = linked.unit
        books = self.books[unit.account]
        used = ahead.setdefault(unit.account, _Ahead(len(books.events)))
        if unit.epoch != books.epoch:
            return StaleEpoch(f"{unit.account} was taken by another owner")
        if unit.expected != used.head:
            return AppendConflict(f"{unit.account} stands at {used.head}, not at {unit.expected}")
        if unit.receipt is not None:
            if unit.receipt.scope in self.receipts or unit.receipt.scope in scopes:
                return KeyTaken("the idempotency key is already used")
            scopes.add(unit.receipt.scope)
        for order in unit.orders:
            label = order.client_order_id
            if label is None:
                continue
            if used.labels.get(label, books.labels.get(label, order.id)) != order.id:
                return KeyTaken("the client order id is already used")
            used.labels[label] = order.id
        used.head = linked.head
        return None

    def _write(self, linked: Linked) -> None:
        unit = linked.unit
        books = self.books[unit.account]
        if unit.receipt is not None:
            self.receipts[unit.receipt.scope] = unit.receipt
        books.last_hash = linked.last_hash
        books.events.extend(zip(unit.entries, linked.sealed, strict=True))
        for order in unit.orders:
            books.orders[order.id] = order
            if order.client_order_id is not None:
                books.labels[order.client_order_id] = order.id
        for row in unit.executions:
            learned = books.executions[row.key].seq if row.key in books.executions else linked.head
            books.executions[row.key] = Execution(learned, row)
        for rows, table in (
            (unit.positions, books.positions),
            (unit.balances, books.balances),
            (unit.breaks, books.breaks),
        ):
            table.update({row.key: row for row in rows})


def stored(entry: Entry, sealed: Sealed) -> Stored:
    """The event as it is read back."""
    return Stored(
        seq=sealed.seq,
        version=sealed.version,
        event=codec.decode(sealed.kind, sealed.version, sealed.body),
        at=entry.event.at,
        correlation=entry.correlation,
        frame=entry.frame,
    )
