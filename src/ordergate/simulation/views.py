"""The read tables of a simulated gateway: the memory views, at the end of a wire."""

from __future__ import annotations

from collections.abc import Sequence

from ordergate.core.ids import AccountId, OrderId
from ordergate.journal.memory_views import MemoryViews
from ordergate.ports.views import BreakQuery, EventRow, OrderQuery, Page, Snapshot
from ordergate.simulation.database import Server


class SimViews:
    """Implements ports.views.Views. Raises JournalUnavailable when the server cannot be reached."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._views = MemoryViews(server.store)

    async def _trip(self) -> None:
        await self._server.read(lambda: None)

    async def shows(self, account: AccountId) -> bool:
        """There is one tenant, who sees everything: nothing is asked for it."""
        return True

    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        await self._trip()
        return await self._views.order(order, accounts)

    async def order_by_client_id(self, account: AccountId, client_order_id: str) -> bytes | None:
        await self._trip()
        return await self._views.order_by_client_id(account, client_order_id)

    async def orders(self, query: OrderQuery) -> Page:
        await self._trip()
        return await self._views.orders(query)

    async def order_events(self, order: OrderId, accounts: Sequence[AccountId]) -> list[bytes]:
        await self._trip()
        return await self._views.order_events(order, accounts)

    async def executions(self, account: AccountId, *, limit: int, after: str | None) -> Page:
        await self._trip()
        return await self._views.executions(account, limit=limit, after=after)

    async def positions(self, account: AccountId) -> list[bytes]:
        await self._trip()
        return await self._views.positions(account)

    async def balances(self, account: AccountId) -> list[bytes]:
        await self._trip()
        return await self._views.balances(account)

    async def breaks(self, query: BreakQuery) -> Page:
        await self._trip()
        return await self._views.breaks(query)

    async def one_break(self, break_id: str, accounts: Sequence[AccountId]) -> bytes | None:
        await self._trip()
        return await self._views.one_break(break_id, accounts)

    async def snapshot(self, account: AccountId) -> Snapshot | None:
        await self._trip()
        return await self._views.snapshot(account)

    async def frames(self, account: AccountId, *, after: int, upto: int, limit: int) -> list[EventRow]:
        await self._trip()
        return await self._views.frames(account, after=after, upto=upto, limit=limit)
