"""A broker whose symbols are told in our names for them.

An instrument may be renamed while orders and positions in it live on, and a broker may use one name here
and the other there. Everything that it tells passes through this once, so that nothing further in ever
sees two names for one thing. What was asked for under an old name and leaves only now is told it by the
present one: it trades no other. Used only where an instrument has other names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Generic

import msgspec

from ordergate.core.ids import ClOrdId, E, Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.core.orders.terms import Terms
from ordergate.ports.broker import (
    Broker,
    BrokerAccount,
    BrokerExecution,
    BrokerNews,
    Holding,
    News,
    NotFound,
    OpenOrders,
    Outcome,
    Veto,
    no_veto,
)

_with = msgspec.structs.replace


class Renamed(Generic[E]):
    """See the module. `names` maps every other name to ours."""

    def __init__(self, broker: Broker[E], names: Mapping[Symbol, Symbol]) -> None:
        self.capabilities = broker.capabilities
        self.env: E = broker.env
        self._broker: Broker[E] = broker
        self._names = names

    async def place(self, cl_ord_id: ClOrdId, terms: Terms, veto: Veto) -> Outcome:
        return await self._broker.place(cl_ord_id, self._asked(terms), veto)

    async def cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None, veto: Veto = no_veto) -> Outcome:
        return await self._broker.cancel(cl_ord_id, broker_order_id, veto)

    async def cancel_all(self, veto: Veto = no_veto) -> Outcome:
        return await self._broker.cancel_all(veto)

    async def dead_man(self, timeout_s: float) -> Outcome:
        return await self._broker.dead_man(timeout_s)

    async def replace(
        self, broker_order_id: str, new_cl_ord_id: ClOrdId, terms: Terms, asked: Replacement, veto: Veto
    ) -> Outcome:
        return await self._broker.replace(broker_order_id, new_cl_ord_id, self._asked(terms), asked, veto)

    async def find(self, cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
        found = await self._broker.find(cl_ord_id)
        return found if isinstance(found, NotFound) else self._named(found)

    async def open_orders(self) -> OpenOrders:
        theirs = await self._broker.open_orders()
        return OpenOrders(map(self._named, theirs), is_whole=theirs.is_whole)

    async def recent_orders(self, since: datetime) -> list[OrderSnapshot]:
        return [self._named(seen) for seen in await self._broker.recent_orders(since)]

    async def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        async for execution in self._broker.executions(after=after):
            snapshot = None if execution.snapshot is None else self._named(execution.snapshot)
            yield _with(execution, symbol=self._name(execution.symbol), snapshot=snapshot)

    async def positions(self) -> Mapping[Symbol, Holding]:
        """What is held under two names is one holding; of nothing at all there is none."""
        held: dict[Symbol, Holding] = {}
        for symbol, more in (await self._broker.positions()).items():
            name = self._name(symbol)
            held[name] = more if name not in held else _together(held[name], more)
        return {symbol: holding for symbol, holding in held.items() if holding.quantity != ZERO}

    async def account(self) -> BrokerAccount:
        return await self._broker.account()

    async def news(self) -> AsyncIterator[BrokerNews]:
        async for news in self._broker.news():
            if isinstance(news, News) and news.snapshot is not None:
                yield News(news.report, self._named(news.snapshot))
            else:
                yield news

    async def close(self) -> None:
        await self._broker.close()

    def _named(self, seen: OrderSnapshot) -> OrderSnapshot:
        terms = self._asked(seen.terms)
        return seen if terms is seen.terms else _with(seen, terms=terms)

    def _asked(self, terms: Terms) -> Terms:
        name = self._name(terms.symbol)
        return terms if name == terms.symbol else _with(terms, symbol=name)

    def _name(self, symbol: Symbol) -> Symbol:
        return self._names.get(symbol, symbol)


def _together(one: Holding, other: Holding) -> Holding:
    quantity = one.quantity + other.quantity
    if quantity == ZERO:
        return Holding(ZERO, one.avg_px)
    cost = one.quantity * one.avg_px + other.quantity * other.avg_px
    return Holding(quantity, cost / quantity)
