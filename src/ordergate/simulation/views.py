"""The read tables of a simulated gateway: the memory views, at the end of a wire."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, TypeVar

from ordergate.core.ids import AccountId, OrderId
from ordergate.journal.memory_views import MemoryViews
from ordergate.ports.views import BreakQuery, EventRow, OrderQuery, Page, Snapshot
from ordergate.simulation.database import Server

T = TypeVar("T")


class SimViews:
    """Implements ports.views.Views and SeenViews. Raises JournalUnavailable when nothing can be reached.

    What is asked is answered as the tables are when the question arrives at the server, not when the
    answer has come back.
    """

    def __init__(
        self,
        server: Server,
        *,
        trip_s: Callable[[], float] | None = None,
        views: MemoryViews | None = None,
    ) -> None:
        self._server = server
        self._trip_s = trip_s
        self._views = views or MemoryViews(server.store)

    async def _asked(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._server.read(lambda: _at_once(ask()), self._trip_s)

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> SimViews:
        return SimViews(self._server, trip_s=self._trip_s, views=self._views.seen_by(tenant, accounts))

    async def shows(self, account: AccountId) -> bool:
        """There is one tenant, who sees everything: nothing is asked for it."""
        return True

    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        return await self._asked(lambda: self._views.order(order, accounts))

    async def order_by_client_id(self, account: AccountId, client_order_id: str) -> bytes | None:
        return await self._asked(lambda: self._views.order_by_client_id(account, client_order_id))

    async def orders(self, query: OrderQuery) -> Page:
        return await self._asked(lambda: self._views.orders(query))

    async def order_events(self, order: OrderId, accounts: Sequence[AccountId]) -> list[bytes]:
        return await self._asked(lambda: self._views.order_events(order, accounts))

    async def executions(self, account: AccountId, *, limit: int, after: str | None) -> Page:
        return await self._asked(lambda: self._views.executions(account, limit=limit, after=after))

    async def positions(self, account: AccountId) -> list[bytes]:
        return await self._asked(lambda: self._views.positions(account))

    async def balances(self, account: AccountId) -> list[bytes]:
        return await self._asked(lambda: self._views.balances(account))

    async def breaks(self, query: BreakQuery) -> Page:
        return await self._asked(lambda: self._views.breaks(query))

    async def one_break(self, break_id: str, accounts: Sequence[AccountId]) -> bytes | None:
        return await self._asked(lambda: self._views.one_break(break_id, accounts))

    async def snapshot(self, account: AccountId) -> Snapshot | None:
        return await self._asked(lambda: self._views.snapshot(account))

    async def frames(self, account: AccountId, *, after: int, upto: int, limit: int) -> list[EventRow]:
        return await self._asked(lambda: self._views.frames(account, after=after, upto=upto, limit=limit))


def _at_once(answer: Coroutine[Any, Any, T]) -> T:
    """What a question comes to that waits for nothing."""
    try:
        answer.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    raise RuntimeError("the memory views wait for something")
