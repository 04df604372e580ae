"""The Broker port over the paper exchange, with a wire that can be made to fail.

Keeps every promise that a real adapter keeps: one question, one outcome; unknown when the script
says that bytes were lost; a queued stream that can be cut. Latency, if any, is slept on the
clock that it is given, so a simulation with virtual time owns every moment of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, assert_never

from ordergate.brokers.paper import fates as f
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.brokers.paper.news import PaperNews, executed, snapshot_of
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import ClOrdId, Env, Symbol
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.core.orders.terms import OrderType, Terms, TimeInForce
from ordergate.ports.broker import (
    Acknowledged,
    BrokerAccount,
    BrokerExecution,
    BrokerNews,
    BrokerUnavailable,
    Capabilities,
    DedupClass,
    Holding,
    NotFound,
    Outcome,
    Rejected,
    Unknown,
    Unsent,
)
from ordergate.ports.clock import Clock

LATE_MAX: Final = 1_000


class PaperBroker:
    """One account at a paper exchange, over a wire whose fates are given."""

    def __init__(
        self,
        exchange: PaperExchange,
        *,
        env: Env,
        clock: Clock,
        fates: f.Fates = f.always_delivered,
        dedup: DedupClass = DedupClass.A,
        resend_is_safe: bool = False,
        visibility_lag_s: float = 0.0,
        latency_s: float = 0.0,
        account_number: str = "PAPER-1",
    ) -> None:
        self.env = env
        self.capabilities = Capabilities(
            name="paper",
            dedup=dedup,
            resend_is_safe=resend_is_safe,
            visibility_lag_s=visibility_lag_s,
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            replaces=True,
        )
        self.stream = PaperNews(exchange, env)
        self._exchange = exchange
        self._clock = clock
        self._fates = fates
        self._latency_s = latency_s
        self._account_number = account_number
        self._late: deque[Callable[[], Outcome]] = deque(maxlen=LATE_MAX)

    # -- commands

    async def place(self, cl_ord_id: ClOrdId, terms: Terms) -> Outcome:
        return await self._carry(f.Call.PLACE, lambda: self._place(cl_ord_id, terms))

    async def cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None) -> Outcome:
        return await self._carry(f.Call.CANCEL, lambda: self._cancel(cl_ord_id, broker_order_id))

    async def replace(
        self, broker_order_id: str, new_cl_ord_id: ClOrdId, terms: Terms, asked: Replacement
    ) -> Outcome:
        return await self._carry(
            f.Call.REPLACE, lambda: self._replace(broker_order_id, new_cl_ord_id, asked)
        )

    def let_late_calls_in(self) -> None:
        """Everything that was on its way arrives now, in the order it was sent."""
        while self._late:
            self._late.popleft()()

    async def _carry(self, call: f.Call, act: Callable[[], Outcome]) -> Outcome:
        """Send, let the exchange act, and bring back the answer, as far as fate lets it."""
        fate = self._fates(call)
        if isinstance(fate, f.NotSent):
            return Unsent(fate.why, fate.retry_after_s)
        await self._travel()
        match fate:
            case f.Delivered():
                outcome = act()
            case f.TurnedAway(reason):
                outcome = Rejected(reason)
            case f.LostCall(why):
                return Unknown(why)
            case f.LateCall(why):
                self._late.append(act)
                return Unknown(why)
            case f.LostAnswer(why):
                act()
                return Unknown(why)
            case _:
                assert_never(fate)
        await self._travel()
        return outcome

    def _place(self, cl_ord_id: ClOrdId, terms: Terms) -> Outcome:
        return self._taken(cl_ord_id, self._exchange.submit(cl_ord_id, terms))

    def _cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None) -> Outcome:
        if broker_order_id is None:
            order = self._exchange.by_client_id(cl_ord_id)
            if order is None:
                return Rejected("the broker knows no such order")
            broker_order_id = order.id
        refusal = self._exchange.cancel(broker_order_id)
        return Acknowledged(broker_order_id) if refusal is None else Rejected(refusal)

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
        await self._ask()
        order = self._exchange.by_client_id(cl_ord_id)
        if order is None or not self._is_visible(order):
            return NotFound()
        return snapshot_of(order, self.env)

    async def open_orders(self) -> list[OrderSnapshot]:
        await self._ask()
        return [
            snapshot_of(order, self.env)
            for order in self._exchange.orders()
            if order.is_open and self._is_visible(order)
        ]

    async def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        await self._ask()
        for execution in tuple(self._exchange.executions):
            if execution.quantity and (after is None or execution.cursor > after):
                yield BrokerExecution(
                    cursor=execution.cursor,
                    report=executed(execution, self.env),
                    symbol=execution.order.terms.symbol,
                )

    async def positions(self) -> Mapping[Symbol, Holding]:
        await self._ask()
        ledger = self._exchange.ledger
        return {
            symbol: Holding(quantity, ledger.cost(symbol) / quantity)
            for symbol, quantity in ledger.positions().items()
        }

    async def account(self) -> BrokerAccount:
        await self._ask()
        cash = self._exchange.ledger.cash
        return BrokerAccount(
            fingerprint=f"paper:{self._account_number}",
            currency="USD",
            cash=cash,
            buying_power=cash,
            blocked=None,
        )

    async def _ask(self) -> None:
        fate = self._fates(f.Call.QUERY)
        await self._travel()
        if not isinstance(fate, f.Delivered):
            raise BrokerUnavailable(f"no answer: {type(fate).__name__}")
        await self._travel()

    def _is_visible(self, order: PaperOrder) -> bool:
        age = self._clock.now() - order.placed_at
        return age.total_seconds() >= self.capabilities.visibility_lag_s

    async def _travel(self) -> None:
        if self._latency_s > 0:
            await self._clock.sleep(self._latency_s)

    # -- news

    def news(self) -> AsyncIterator[BrokerNews]:
        return self.stream.listen()

    async def close(self) -> None:
        self.stream.close()
