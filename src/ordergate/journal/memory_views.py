"""The read tables of the in-memory twin."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from ordergate.core.ids import AccountId, Live, OrderId, Paper
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_store import Books, Store
from ordergate.journal.views import page
from ordergate.ports.journal import OrderRow, Row
from ordergate.ports.views import BreakQuery, EventRow, OrderQuery, Page, Snapshot

_ORDER_EVENTS_MAX = 10_000


class _Seen(msgspec.Struct):
    """The books that somebody may see, as they are now."""

    books: Mapping[AccountId, Books]


class MemoryViews:
    """Keeps the promises of `ports.views.Views` over a MemoryJournal, or over a store alone."""

    def __init__(self, journal: MemoryJournal[Paper] | MemoryJournal[Live] | Store | _Seen) -> None:
        self._journal = journal

    async def close(self) -> None: ...

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> MemoryViews:
        """As `ports.views.SeenViews` promises; the twin has the accounts' word for their tenant."""
        books = {account: books for account, books in self._journal.books.items() if account in accounts}
        return MemoryViews(_Seen(books))

    async def shows(self, account: AccountId) -> bool:
        return account in self._journal.books

    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        for account in accounts:
            books = self._journal.books.get(account)
            if books is not None and order in books.orders:
                return books.orders[order].body
        return None

    async def order_by_client_id(self, account: AccountId, client_order_id: str) -> bytes | None:
        found = await self.orders(OrderQuery(accounts=(account,), limit=1, client_order_id=client_order_id))
        return found.bodies[0] if found.bodies else None

    async def orders(self, query: OrderQuery) -> Page:
        found = [
            row
            for books in self._all(query.accounts)
            for row in books.orders.values()
            if _matches(row, query) and (query.before is None or row.id < query.before)
        ]
        found.sort(key=lambda row: row.id, reverse=True)
        return page([(row.id, row.body) for row in found[: query.limit + 1]], query.limit)

    async def order_events(self, order: OrderId, accounts: Sequence[AccountId]) -> list[bytes]:
        frames = [
            entry.frame
            for books in self._all(sorted(set(accounts)))
            for entry, _ in books.events
            if entry.order_id == order
        ]
        return frames[:_ORDER_EVENTS_MAX]

    async def executions(self, account: AccountId, *, limit: int, after: str | None) -> Page:
        executions = [] if (books := self._books(account)) is None else list(books.executions.values())
        executions.sort(key=lambda one: (one.seq, one.row.key), reverse=True)
        keys = [one.row.key for one in executions]
        if after is not None:
            executions = executions[keys.index(after) + 1 :] if after in keys else []
        return page([(one.row.key, one.row.body) for one in executions[: limit + 1]], limit)

    async def positions(self, account: AccountId) -> list[bytes]:
        return [] if (books := self._books(account)) is None else _bodies(books.positions)

    async def balances(self, account: AccountId) -> list[bytes]:
        return [] if (books := self._books(account)) is None else _bodies(books.balances)

    async def breaks(self, query: BreakQuery) -> Page:
        found = [
            row
            for books in self._all(query.accounts)
            for row in books.breaks.values()
            if _matches_break(row, query) and (query.before is None or row.key < query.before)
        ]
        found.sort(key=lambda row: row.key, reverse=True)
        return page([(row.key, row.body) for row in found[: query.limit + 1]], query.limit)

    async def one_break(self, break_id: str, accounts: Sequence[AccountId]) -> bytes | None:
        found = (books.breaks.get(break_id) for books in self._all(accounts))
        return next((row.body for row in found if row is not None), None)

    async def snapshot(self, account: AccountId) -> Snapshot | None:
        books = self._books(account)
        if books is None:
            return None
        return Snapshot(
            stream_id=books.stream_id,
            seq=len(books.events),
            orders=tuple(row.body for _, row in sorted(books.orders.items()) if row.open),
            positions=tuple(_bodies(books.positions)),
            balances=tuple(_bodies(books.balances)),
        )

    async def frames(self, account: AccountId, *, after: int, upto: int, limit: int) -> list[EventRow]:
        books = self._books(account)
        found = [] if books is None else books.events[max(after, 0) : max(upto, 0)][:limit]
        return [EventRow(seq=sealed.seq, kind=sealed.kind, frame=entry.frame) for entry, sealed in found]

    def _books(self, account: AccountId) -> Books | None:
        return self._journal.books.get(account)

    def _all(self, accounts: Sequence[AccountId]) -> list[Books]:
        return [books for account in accounts if (books := self._books(account)) is not None]


def _matches(row: OrderRow, query: OrderQuery) -> bool:
    return (
        (query.status is None or row.status == query.status)
        and (query.open is None or row.open == query.open)
        and (query.symbol is None or row.symbol == query.symbol)
        and (query.client_order_id is None or row.client_order_id == query.client_order_id)
    )


class _Break(msgspec.Struct):
    state: str | None = None
    severity: str | None = None


def _matches_break(row: Row, query: BreakQuery) -> bool:
    if query.state is None and query.severity is None and query.open is None:
        return True
    its = msgspec.json.decode(row.body, type=_Break)
    return (
        (query.state is None or its.state == query.state)
        and (query.severity is None or its.severity == query.severity)
        and (query.open is None or (its.state in ("open", "assigned")) == query.open)
    )


def _bodies(table: dict[str, Row]) -> list[bytes]:
    return [row.body for _, row in sorted(table.items())]
