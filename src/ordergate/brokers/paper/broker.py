"""The Broker port over the paper exchange, with a wire that can be made to fail.

Keeps every promise that a real adapter keeps: one question, one outcome; unknown when the script
says that bytes were lost; a queued stream that can be cut. Latency, if any, is slept on the
clock that it is given, so a simulation with virtual time owns every moment of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Generic

from ordergate.brokers.paper import fates as f
from ordergate.brokers.paper.carriers import Carrier, FatedCarrier
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.brokers.paper.ledger import HOME
from ordergate.brokers.paper.news import Face, PaperNews, of_history, snapshot_of
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import ClOrdId, E, Symbol
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.core.orders.terms import OrderType, Terms, TimeInForce
from ordergate.ports.broker import (
    Acknowledged,
    BrokerAccount,
    BrokerExecution,
    BrokerNews,
    Capabilities,
    Corrections,
    DedupClass,
    Holding,
    NotFound,
    OpenOrders,
    Outcome,
    Rejected,
    Veto,
    no_veto,
)
from ordergate.ports.clock import Clock


class PaperBroker(Generic[E]):
    """One account at a paper exchange, over a wire whose fates are given, or with its own carrier."""

    def __init__(
        self,
        exchange: PaperExchange,
        *,
        env: E,
        clock: Clock,
        fates: f.Fates = f.always_delivered,
        dedup: DedupClass = DedupClass.A,
        resend_is_safe: bool = False,
        visibility_lag_s: float = 0.0,
        latency_s: float = 0.0,
        account_number: str = "PAPER-1",
        carrier: Carrier | None = None,
        hides: Callable[[PaperOrder], bool] | None = None,
        corrections: Corrections = Corrections.REPLACE,
        cancels_all: bool = False,
        dead_man: bool = False,
        venues: frozenset[str] = frozenset(),
    ) -> None:
        """`hides` says which orders questions do not find now; by default, those younger than the lag."""
        self.env: E = env
        self.capabilities = Capabilities(
            name="paper",
            dedup=dedup,
            resend_is_safe=resend_is_safe,
            visibility_lag_s=visibility_lag_s,
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            replaces=True,
            cancels_by_client_id=dedup is not DedupClass.C,
            corrections=corrections,
            cancels_all=cancels_all,
            dead_man=dead_man,
            venues=venues,
        )
        self._face = Face(nameless=dedup is DedupClass.C, delta=corrections is Corrections.DELTA)
        self.stream = PaperNews(exchange, env, self._face)
        self._exchange = exchange
        self._clock = clock
        self._hides = hides or self._is_young
        self._fated = carrier if isinstance(carrier, FatedCarrier) else FatedCarrier(clock, fates, latency_s)
        self._carrier: Carrier = carrier or self._fated
        self.account_number = account_number

    # -- commands

    async def place(self, cl_ord_id: ClOrdId, terms: Terms, veto: Veto) -> Outcome:
        if terms.venue is not None and terms.venue not in self.capabilities.venues:
            return Rejected(f"{terms.venue} is not offered")
        return await self._carrier.carry(f.Call.PLACE, cl_ord_id, lambda: self._place(cl_ord_id, terms), veto)

    async def cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None, veto: Veto = no_veto) -> Outcome:
        return await self._carrier.carry(
            f.Call.CANCEL, cl_ord_id, lambda: self._cancel(cl_ord_id, broker_order_id), veto
        )

    async def cancel_all(self, veto: Veto = no_veto) -> Outcome:
        if not self.capabilities.cancels_all:
            return Rejected("the broker takes no cancel of everything")
        return await self._carrier.carry(f.Call.CANCEL, "everything", self._cancel_all, veto)

    async def dead_man(self, timeout_s: float) -> Outcome:
        if not self.capabilities.dead_man:
            return Rejected("the broker has no dead man's switch")
        return await self._carrier.carry(f.Call.DEAD_MAN, "everything", lambda: self._dead_man(timeout_s))

    async def replace(
        self, broker_order_id: str, new_cl_ord_id: ClOrdId, terms: Terms, asked: Replacement, veto: Veto
    ) -> Outcome:
        return await self._carrier.carry(
            f.Call.REPLACE, new_cl_ord_id, lambda: self._replace(broker_order_id, new_cl_ord_id, asked), veto
        )

    def let_late_calls_in(self) -> None:
        """Everything that was on its way arrives now, in the order it was sent."""
        self._fated.let_late_calls_in()

    def _place(self, cl_ord_id: ClOrdId, terms: Terms) -> Outcome:
        return self._taken(cl_ord_id, self._exchange.submit(cl_ord_id, terms))

    def _cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None) -> Outcome:
        if broker_order_id is None:
            order = None if self._face.nameless else self._exchange.by_client_id(cl_ord_id)
            if order is None:
                return Rejected("the broker knows no such order")
            broker_order_id = order.id
        refusal = self._exchange.cancel(broker_order_id)
        return Acknowledged(broker_order_id) if refusal is None else Rejected(refusal)

    def _cancel_all(self) -> Outcome:
        self._exchange.cancel_all()
        return Acknowledged("")

    def _dead_man(self, timeout_s: float) -> Outcome:
        self._exchange.let_time_pass()
        self._exchange.arm_dead_man(timeout_s)
        return Acknowledged("")

    def _replace(self, broker_order_id: str, new_cl_ord_id: ClOrdId, asked: Replacement) -> Outcome:
        return self._taken(new_cl_ord_id, self._exchange.replace(broker_order_id, new_cl_ord_id, asked))

    def _taken(self, cl_ord_id: ClOrdId, answer: PaperOrder | str) -> Outcome:
        """A used id of class A means that the order is there already."""
        if isinstance(answer, PaperOrder):
            return Acknowledged(answer.id, answer.updated_at)
        known = self._exchange.by_client_id(cl_ord_id)
        if known is not None and "unique" in answer:
            return Acknowledged(known.id, known.updated_at)
        return Rejected(answer)

    # -- queries

    async def find(self, cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
        return await self._carrier.ask(f"find {cl_ord_id}", lambda: self._find(cl_ord_id))

    def _find(self, cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
        known = self._exchange.order if self._face.nameless else self._exchange.by_client_id
        order = known(cl_ord_id)
        if order is None or self._hides(order):
            return NotFound()
        return self._shown(order)

    async def open_orders(self) -> OpenOrders:
        return await self._carrier.ask("open orders", self._open_orders)

    def _open_orders(self) -> OpenOrders:
        return OpenOrders(
            self._shown(order)
            for order in self._exchange.orders()
            if order.is_open and not self._hides(order)
        )

    async def recent_orders(self, since: datetime) -> list[OrderSnapshot]:
        return await self._carrier.ask("recent orders", lambda: self._recent_orders(since))

    def _recent_orders(self, since: datetime) -> list[OrderSnapshot]:
        return [
            self._shown(order)
            for order in self._exchange.orders()
            if order.placed_at >= since and not self._hides(order)
        ]

    async def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        for execution in await self._carrier.ask("executions", lambda: self._executions(after)):
            yield execution

    def _executions(self, after: str | None) -> list[BrokerExecution]:
        return [
            of_history(self._face.execution(execution), self.env)
            for execution in self._exchange.executions
            if after is None or execution.cursor > after
        ]

    async def positions(self) -> Mapping[Symbol, Holding]:
        return await self._carrier.ask("positions", self._positions)

    def _positions(self) -> dict[Symbol, Holding]:
        ledger = self._exchange.ledger
        return {
            symbol: Holding(quantity, ledger.cost(symbol) / quantity)
            for symbol, quantity in ledger.positions().items()
        }

    async def account(self) -> BrokerAccount:
        return await self._carrier.ask("account", self._account)

    def _account(self) -> BrokerAccount:
        cash, foreign = self._exchange.ledger.cash, dict(self._exchange.ledger.foreign)
        return BrokerAccount(
            fingerprint=f"paper:{self.account_number}",
            currency=HOME,
            cash=cash,
            foreign_cash=foreign,
            buying_power=cash,
            blocked=None,
        )

    def _shown(self, order: PaperOrder) -> OrderSnapshot:
        return snapshot_of(self._face.order(order), self.env)

    def _is_young(self, order: PaperOrder) -> bool:
        age = self._clock.now() - order.placed_at
        return age.total_seconds() < self.capabilities.visibility_lag_s

    # -- news

    def news(self) -> AsyncIterator[BrokerNews]:
        return self.stream.listen()

    async def close(self) -> None:
        self.stream.close()
