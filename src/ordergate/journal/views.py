"""The read tables on PostgreSQL: keyset pages, every lookup by an index, on a small pool of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ordergate.core.ids import AccountId, OrderId
from ordergate.journal import sqlfiles
from ordergate.journal.pool import ReadPool
from ordergate.ports.views import BreakQuery, EventRow, OrderQuery, Page, Snapshot

_SQL: Final = sqlfiles.statements("views")

# Behind every id in byte order: where the first page begins.
_BEYOND: Final = "\U0010ffff"


class PostgresViews:
    """Keeps the promises of `ports.views.Views`. Made by `connect`."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    @classmethod
    async def connect(
        cls, dsn: str, *, connections_max: int = 4, statement_s_max: float = 5.0
    ) -> PostgresViews:
        return cls(
            await ReadPool.connect(dsn, connections_max=connections_max, statement_s_max=statement_s_max)
        )

    async def close(self) -> None:
        await self._pool.close()

    async def shows(self, account: AccountId) -> bool:
        return await self._pool.fetchrow(_SQL["shows"], account) is not None

    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        row = await self._pool.fetchrow(_SQL["order"], list(accounts), order)
        return None if row is None else row["body"]

    async def order_by_client_id(self, account: AccountId, client_order_id: str) -> bytes | None:
        row = await self._pool.fetchrow(_SQL["order_by_client_id"], account, client_order_id)
        return None if row is None else row["body"]

    async def orders(self, query: OrderQuery) -> Page:
        rows = await self._pool.fetch(
            _SQL[_narrowest(query)],
            list(query.accounts),
            query.before or _BEYOND,
            query.limit + 1,
            query.status,
            query.open,
            query.symbol,
            query.client_order_id,
        )
        return page([(row["id"], row["body"]) for row in rows], query.limit)

    async def order_events(self, order: OrderId, accounts: Sequence[AccountId]) -> list[bytes]:
        return await self._bodies("order_events", list(accounts), order)

    async def executions(self, account: AccountId, *, limit: int, after: str | None) -> Page:
        if after is None:
            rows = await self._pool.fetch(_SQL["executions_newest"], account, limit + 1)
        else:
            rows = await self._pool.fetch(_SQL["executions_after"], account, limit + 1, after)
        return page([(row["key"], row["body"]) for row in rows], limit)

    async def positions(self, account: AccountId) -> list[bytes]:
        return await self._bodies("positions", account)

    async def balances(self, account: AccountId) -> list[bytes]:
        return await self._bodies("balances", account)

    async def breaks(self, query: BreakQuery) -> Page:
        rows = await self._pool.fetch(
            _SQL["breaks"],
            list(query.accounts),
            query.before or _BEYOND,
            query.limit + 1,
            query.state,
            query.severity,
            query.open,
        )
        return page([(row["key"], row["body"]) for row in rows], query.limit)

    async def one_break(self, break_id: str, accounts: Sequence[AccountId]) -> bytes | None:
        row = await self._pool.fetchrow(_SQL["one_break"], list(accounts), break_id)
        return None if row is None else row["body"]

    async def snapshot(self, account: AccountId) -> Snapshot | None:
        row = await self._pool.fetchrow(_SQL["snapshot"], account)
        if row is None:
            return None
        return Snapshot(
            stream_id=row["stream_id"],
            seq=row["head"],
            orders=tuple(row["orders"]),
            positions=tuple(row["positions"]),
            balances=tuple(row["balances"]),
        )

    async def frames(self, account: AccountId, *, after: int, upto: int, limit: int) -> list[EventRow]:
        rows = await self._pool.fetch(_SQL["frames"], account, after, upto, limit)
        return [EventRow(seq=row["seq"], kind=row["kind"], frame=row["frame"]) for row in rows]

    async def _bodies(self, name: str, *arguments: object) -> list[bytes]:
        return [row["body"] for row in await self._pool.fetch(_SQL[name], *arguments)]


def page(rows: Sequence[tuple[str, bytes]], limit: int) -> Page:
    """Of up to `limit + 1` rows, the page, and where it continues if there is more."""
    shown = rows[:limit]
    more = len(rows) > limit > 0
    return Page(tuple(body for _, body in shown), shown[-1][0] if more else None)


def _narrowest(query: OrderQuery) -> str:
    """The statement whose index leaves the least to look through; it applies the other filters too."""
    if query.client_order_id is not None:
        return "orders_of_client_id"
    if query.open:
        return "orders_open"
    if query.status is not None:
        return "orders_of_status"
    return "orders_newest" if query.symbol is None else "orders_of_symbol"
