"""A small deterministic exchange in memory: the ground truth behind the paper broker.

Orders trade whole against the price it is told (`mark`), or in the pieces a test fills by hand.
It has one account, no clock and no chance of its own: time comes in as a function and ids are
counted. It outlives brokers, so a gateway may be stopped and started against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from ordergate.brokers.paper.ledger import PaperLedger
from ordergate.brokers.paper.orders import Kind, PaperExecution, PaperOrder
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import BrokerStatus
from ordergate.core.orders.terms import Side, Terms, TimeInForce

_with = msgspec.structs.replace


Word = Literal[
    "new", "partial_fill", "fill", "canceled", "expired", "rejected", "replaced", "busted", "corrected"
]


class Moved(msgspec.Struct, frozen=True):
    """Something happened to an order; `execution` is there for what happened to one of those."""

    word: Word
    order: PaperOrder
    execution: PaperExecution | None = None


Listener = Callable[[Moved], None]


class PaperExchange:
    """One account at one exchange. `dedups` says whether a used client order id is refused."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        cash: Decimal = Decimal(1_000_000),
        instruments: Mapping[Symbol, Instrument] | None = None,
        dedups: bool = True,
    ) -> None:
        self.ledger = PaperLedger(cash, instruments or {})
        self.executions: list[PaperExecution] = []
        self._now = now
        self._dedups = dedups
        self._numbered = 0
        self._orders: dict[str, PaperOrder] = {}
        self._by_client_id: dict[str, str] = {}
        self._marks: dict[Symbol, Decimal] = {}
        self._listeners: list[Listener] = []
        self.dead_man_at: datetime | None = None

    # -- what a participant does; a text is a refusal

    def submit(self, cl_ord_id: str, terms: Terms, kind: Kind = Kind.PLAIN) -> PaperOrder | str:
        if self._dedups and cl_ord_id in self._by_client_id:
            return "client order id must be unique"
        order = self._enter(cl_ord_id, terms, filled_before=ZERO, replaces=None, kind=kind)
        return self._work(order)

    def cancel(self, order_id: str) -> str | None:
        order = self._orders.get(order_id)
        if order is None:
            return "no such order"
        if not order.is_open:
            return f"the order is {order.status} and cannot be canceled"
        self._end(order, BrokerStatus.CANCELED, "canceled")
        return None

    def cancel_all(self) -> None:
        for order in tuple(self.orders()):
            self.cancel(order.id)

    def arm_dead_man(self, timeout_s: float) -> None:
        """Everything open is canceled then, unless this is asked again; 0 is never."""
        self.dead_man_at = self._now() + timedelta(seconds=timeout_s) if timeout_s else None

    def let_time_pass(self) -> None:
        """Its clock has moved: what was to happen by now happens."""
        if self.dead_man_at is not None and self._now() >= self.dead_man_at:
            self.dead_man_at = None
            self.cancel_all()

    def replace(self, order_id: str, new_cl_ord_id: str, asked: Replacement) -> PaperOrder | str:
        return self._replace(order_id, new_cl_ord_id, asked, counts_before=True)

    def edit(self, order_id: str, new_cl_ord_id: str, asked: Replacement) -> PaperOrder | str:
        """Replace it in the broker's own app, by another that is not told as the same order."""
        return self._replace(order_id, new_cl_ord_id, asked, counts_before=False)

    def _replace(
        self, order_id: str, new_cl_ord_id: str, asked: Replacement, *, counts_before: bool
    ) -> PaperOrder | str:
        old = self._orders.get(order_id)
        if old is None:
            return "no such order"
        if self._dedups and new_cl_ord_id in self._by_client_id:
            return "client order id must be unique"
        if not old.is_open:
            return f"the order is {old.status} and cannot be replaced"
        filled = old.filled_before + old.cum_qty
        if asked.quantity <= filled:
            return "the quantity must be more than what is filled"
        terms = _with(
            old.terms,
            quantity=asked.quantity - filled,
            limit_price=asked.limit_price,
            stop_price=asked.stop_price,
        )
        before = filled if counts_before else ZERO
        new = self._enter(new_cl_ord_id, terms, filled_before=before, replaces=old.id, kind=old.kind)
        new = self._orders[new.id] = _with(new, counts_before=counts_before)
        gone = _with(self._orders[old.id], replaced_by=new.id)
        self._end(gone, BrokerStatus.REPLACED, "replaced")
        return self._work(new)

    # -- what the market does

    def mark(self, symbol: Symbol, price: Decimal) -> None:
        """The market trades at this price now: whatever it reaches is filled whole, in order of arrival."""
        self._marks[symbol] = price
        for order in tuple(self._orders.values()):
            if order.is_open and order.terms.symbol == symbol:
                self._cross(order)

    def fill(
        self, order_id: str, quantity: Decimal, price: Decimal, *, fee: Decimal = ZERO
    ) -> PaperExecution:
        """One execution of an open order."""
        order = self._orders[order_id]
        if not ZERO < quantity <= order.leaves_qty:
            raise ValueError(f"{quantity} of {order.leaves_qty} cannot be filled")
        done = quantity == order.leaves_qty
        status = BrokerStatus.FILLED if done else BrokerStatus.WORKING
        return self._execute(order, status, quantity, price, fee)

    def fill_beyond(self, order_id: str, quantity: Decimal, price: Decimal) -> PaperExecution:
        """One execution that should not be: more than was left, or after the order's end."""
        order = self._orders[order_id]
        return self._execute(order, order.status, quantity, price)

    def expire(self, order_id: str) -> None:
        self._end(self._orders[order_id], BrokerStatus.EXPIRED, "expired")

    def reject(self, order_id: str, reason: str) -> None:
        """Refuse an order after it was taken, as a market behind a broker may."""
        order = _with(self._orders[order_id], reason=reason)
        self._end(order, BrokerStatus.REJECTED, "rejected")

    def bust(self, exec_id: str) -> None:
        """Take an execution back; the order does not come alive again."""
        self._amend(exec_id, ZERO, None, "busted")

    def correct(self, exec_id: str, quantity: Decimal, price: Decimal) -> None:
        self._amend(exec_id, quantity, price, "corrected")

    def restate(self, exec_id: str, new_id: str) -> None:
        """Tell an execution again under another id, as after a restart; it is counted and listed once."""
        known = next(one for one in self.executions if one.exec_id == exec_id)
        order = self._orders[known.order.id]
        self._tell("partial_fill", order, _with(known, exec_id=new_id, order=order))

    # -- what anybody may see

    def order(self, order_id: str) -> PaperOrder | None:
        return self._orders.get(order_id)

    def by_client_id(self, cl_ord_id: str) -> PaperOrder | None:
        order_id = self._by_client_id.get(cl_ord_id)
        return None if order_id is None else self._orders[order_id]

    def orders(self) -> Iterator[PaperOrder]:
        """Every order there ever was, oldest first."""
        return iter(tuple(self._orders.values()))

    def price_of(self, symbol: Symbol) -> Decimal | None:
        """Where the market trades."""
        return self._marks.get(symbol)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` everything from now on; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- how it works

    def _enter(
        self, cl_ord_id: str, terms: Terms, *, filled_before: Decimal, replaces: str | None, kind: Kind
    ) -> PaperOrder:
        number = len(self._orders) + 1
        at = self._now()
        order = PaperOrder(
            id=f"paper-{number:012d}",
            number=number,
            cl_ord_id=cl_ord_id,
            terms=terms,
            status=BrokerStatus.WORKING,
            placed_at=at,
            updated_at=at,
            filled_before=filled_before,
            replaces=replaces,
            kind=kind,
        )
        self._orders[order.id] = order
        self._by_client_id[cl_ord_id] = order.id
        return order

    def _work(self, order: PaperOrder) -> PaperOrder:
        """Announce a fresh order, trade what it can, and end what may not rest."""
        self._tell("new", order)
        self._cross(order)
        after = self._orders[order.id]
        if after.is_open and order.terms.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            self._end(after, BrokerStatus.CANCELED, "canceled")
        return self._orders[order.id]

    def _cross(self, order: PaperOrder) -> None:
        price = self._marks.get(order.terms.symbol)
        if price is None or not order.is_triggered_at(price):
            return
        awake = _with(order, triggered=True)
        self._orders[order.id] = awake
        if awake.trades_at(price):
            self.fill(order.id, awake.leaves_qty, price)

    def _execute(
        self,
        order: PaperOrder,
        status: BrokerStatus,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal = ZERO,
    ) -> PaperExecution:
        after = _with(
            order,
            status=status,
            cum_qty=order.cum_qty + quantity,
            cum_notional=order.cum_notional + quantity * price,
            updated_at=self._now(),
        )
        number = self._next_number()
        execution = PaperExecution(
            cursor=number,
            exec_id=f"exec-{number}",
            order=after,
            quantity=quantity,
            price=price,
            at=after.updated_at,
            fee=fee,
        )
        self.executions.append(execution)
        signed = _signed(order, quantity)
        self.ledger.book(order.terms.symbol, signed, price, execution.exec_id, fee=fee)
        self._tell("fill" if status is BrokerStatus.FILLED else "partial_fill", after, execution)
        return execution

    def _next_number(self) -> str:
        self._numbered += 1
        return f"{self._numbered:012d}"

    def _end(self, order: PaperOrder, status: BrokerStatus, word: Word) -> None:
        self._tell(word, _with(order, status=status, updated_at=self._now()))

    def _amend(self, exec_id: str, quantity: Decimal, price: Decimal | None, word: Word) -> None:
        place, known = next((n, it) for n, it in enumerate(self.executions) if it.exec_id == exec_id)
        order = self._orders[known.order.id]
        new_price = known.price if price is None else price
        self.ledger.amend(exec_id, _signed(order, quantity), new_price)
        after = _with(
            order,
            cum_qty=order.cum_qty - known.quantity + quantity,
            cum_notional=order.cum_notional - known.quantity * known.price + quantity * new_price,
            updated_at=self._now(),
        )
        if after.is_open and after.cum_qty >= after.terms.quantity:
            after = _with(after, status=BrokerStatus.FILLED)
        amended = _with(
            known,
            cursor=self._next_number(),
            order=after,
            quantity=quantity,
            price=new_price,
            revision=known.revision + 1,
            changed_by=quantity - known.quantity,
        )
        del self.executions[place]
        self.executions.append(amended)
        self._tell(word, after, amended)
        self._pass_on(after, amended.changed_by)

    def _pass_on(self, order: PaperOrder, changed_by: Decimal) -> None:
        """Orders that replaced this one count what it had filled: that has changed."""
        while order.replaced_by is not None:
            order = self._orders[order.replaced_by]
            if not order.counts_before:
                return
            order = _with(order, filled_before=order.filled_before + changed_by)
            self._orders[order.id] = order

    def _tell(self, word: Word, order: PaperOrder, execution: PaperExecution | None = None) -> None:
        self._orders[order.id] = order
        for listener in tuple(self._listeners):
            listener(Moved(word, order, execution))


def _signed(order: PaperOrder, quantity: Decimal) -> Decimal:
    return quantity if order.terms.side is Side.BUY else -quantity
