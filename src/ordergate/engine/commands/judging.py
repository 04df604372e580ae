"""Puts together everything that a decision depends on, decides, and records the decision.

Nothing here waits, so nothing can change between looking and deciding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core import admission
from ordergate.core.accounts.events import OverrideUsed
from ordergate.core.contingent.tally import wrong_quantity
from ordergate.core.faults import Fault
from ordergate.core.idempotency import Receipt
from ordergate.core.ids import ENTROPY_BITS, Env, OrderId, Symbol, order_id
from ordergate.core.instruments import Instrument
from ordergate.core.orders.commands import CancelOrder, PlaceOrder, ReplaceOrder
from ordergate.core.orders.decide import decide_cancel, decide_replace
from ordergate.core.orders.events import (
    CancelRequested,
    FailedControl,
    HeldReplaced,
    OrderAccepted,
    OrderDenied,
    OrderHeld,
    ReplaceDenied,
    ReplaceRequested,
)
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.judge import Verdict
from ordergate.core.risk.keeping import kept_until
from ordergate.core.risk.limit_parts import Hours as AnyTime
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.view import HoursOf, MarketHours, RiskView
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.answering.envelopes import Request
from ordergate.engine.answering.once import Decided
from ordergate.engine.stopping.kill_guard import KillGuard
from ordergate.engine.worth.converting import converted
from ordergate.engine.worth.prices import PriceBoard
from ordergate.ports.clock import Chance, Clock

Placed = OrderAccepted | OrderHeld | OrderDenied | OverrideUsed | CancelRequested
Hours = HoursOf


class NotListed(Fault):
    """An order outlived the listing of its instrument: nothing that it would do can be judged."""


def always_unknown(symbol: Symbol, now: datetime) -> None:
    """The hours of a market of which no calendar is kept."""


class Judging:
    def __init__(
        self,
        env: Env,
        *,
        prices: PriceBoard,
        kill_guard: KillGuard,
        instruments: Mapping[Symbol, Instrument],
        clock: Clock,
        chance: Chance,
        hours: Hours = always_unknown,
    ) -> None:
        self._hours = hours
        self._env = env
        self._prices = prices
        self._kill_guard = kill_guard
        self._instruments = instruments
        self._clock = clock
        self._chance = chance
        self._offset_us: int | None = None

    def take_offset(self, milliseconds: float | None) -> None:
        """How far the machine's clock is off, as far as anything can tell: decisions are kept with it."""
        self._offset_us = None if milliseconds is None else round(milliseconds * 1000)

    def place(self, seat: Seat, terms: Terms, request: Request) -> Decided | Refusal:
        """Raises Fault when the decision could not be recorded; nothing was decided then."""
        if (no := unroutable(seat, terms)) is not None:
            return no
        view = self.view(seat, terms.symbol, user=request.actor, strategy=terms.strategy)
        now = view.now
        new_id = order_id(
            self._env,
            at_ms=int(now.timestamp() * 1000),
            entropy=self._chance.bits(ENTROPY_BITS),
        )
        asked_at = request.received_at or now
        command = PlaceOrder(order_id=new_id, terms=terms, actor=request.actor, asked_at=asked_at)
        events: list[Placed]
        until = kept_until(terms, view)
        if until is not None:
            events = [admission.admit_held(command, view, until)]
        elif seat.overrides and (overrides := _overrides(seat, terms, request.actor, now)):
            events = _admit_overridden(command, view, overrides)
        else:
            events = [admission.admit(command, view)]
        failed = events[0].failed if isinstance(events[0], OrderDenied) else ()
        events = [*_going_first(seat, events[0], now), *events]  # the order itself is shown last
        receipt = _receipt(request, seat, view, new_id, failed, status=201)
        recorded = seat.lane.record(events, correlation=request.correlation, receipt=receipt)
        return Decided(recorded, failed)

    def replace(self, seat: Seat, command: ReplaceOrder, request: Request) -> Decided | Refusal:
        """Raises Fault when the decision could not be recorded."""
        order = seat.lane.books.order(command.order_id)
        if order is None:
            return Refusal(Code.NOT_FOUND, f"there is no order {command.order_id}")
        kept = order.status is Status.HELD
        if not kept and not seat.broker.capabilities.replaces:
            return Refusal(Code.INVALID, f"{seat.broker.capabilities.name} cannot replace orders")
        asked = decide_replace(order, command)
        if isinstance(asked, Refusal):
            return asked
        if (no := _groups_to_say(seat, order, asked)) is not None:
            return no
        try:
            view = self._view_of(seat, order)
        except NotListed as gone:
            return Refusal(Code.UNKNOWN_INSTRUMENT, str(gone))
        event: ReplaceRequested | HeldReplaced | ReplaceDenied
        if kept:
            with seat.lane.books.without(order):
                event = admission.admit_held_replace(order, asked, command, view)
        else:
            event = admission.admit_replace(order, asked, command, view)
        failed = event.failed if isinstance(event, ReplaceDenied) else ()
        receipt = _receipt(request, seat, view, order.id, failed, status=202)
        recorded = seat.lane.record([event], correlation=request.correlation, receipt=receipt)
        return Decided(recorded, failed)

    def release(self, seat: Seat, order: Order) -> OrderAccepted | OrderDenied | None:
        """Risk's answer to one that was kept, as if it came now; None while it has to wait."""
        command = PlaceOrder(
            order_id=order.id, terms=order.terms, actor=order.actor or "", asked_at=self._clock.now()
        )
        with seat.lane.books.without(order):
            return admission.admit_release(command, self._view_of(seat, order))

    def hours(self, symbol: Symbol, at: datetime) -> MarketHours | None:
        """Those of the instrument's market at a moment; None where they are not known."""
        return self._hours(symbol, at)

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """The price that a market order is valued by; None where none is known."""
        reference = self._prices.reference(symbol)
        return None if reference is None else reference.price

    def lists(self, symbol: Symbol) -> bool:
        """True when the symbol can be traded here."""
        return symbol in self._instruments

    def lot(self, symbol: Symbol) -> Decimal:
        """The step of a quantity in what is listed."""
        return self._instruments[symbol].lot

    def leg(
        self, seat: Seat, order_id: OrderId, terms: Terms, *, actor: str, closing: bool = False
    ) -> OrderAccepted | OrderDenied:
        """Risk's answer to an order of a group; `closing` when it is a flatten's. Nothing is recorded."""
        view = self.view(
            seat, terms.symbol, user=actor, strategy=terms.strategy, order=order_id, closing=closing
        )
        command = PlaceOrder(order_id=order_id, terms=terms, actor=actor, asked_at=view.now)
        return admission.admit_leg(command, view)

    def puts_off(self, seat: Seat, order: Order, instead: Terms, *, actor: str) -> tuple[FailedControl, ...]:
        """What risk would keep an order of a group waiting by that is to take the place of this one."""
        command = PlaceOrder(order_id=order.id, terms=instead, actor=actor, asked_at=self._clock.now())
        with seat.lane.books.without(order):
            view = self.view(seat, instead.symbol, user=actor, strategy=instead.strategy)
            return admission.would_put_off(command, view)

    def resize_leg(
        self, seat: Seat, order_id: OrderId, quantity: Decimal, *, actor: str
    ) -> ReplaceRequested | ReplaceDenied | Refusal:
        """Risk's answer to another quantity of a group's order; nothing is recorded here."""
        order = seat.lane.books.order(order_id)
        if order is None:
            return Refusal(Code.NOT_FOUND, f"there is no order {order_id}")
        view = self._view_of(seat, order)
        command = ReplaceOrder(
            order_id=order_id,
            quantity=quantity,
            limit_price=None,
            stop_price=None,
            actor=actor,
            asked_at=view.now,
        )
        asked = decide_replace(order, command)
        if isinstance(asked, Refusal):
            return asked
        return admission.admit_leg_resize(order, asked, command, view)

    def cancel(self, seat: Seat, command: CancelOrder, request: Request) -> Decided | Refusal:
        """Risk is not asked: a cancel always passes. Raises Fault."""
        order = seat.lane.books.order(command.order_id)
        if order is None:
            return Refusal(Code.NOT_FOUND, f"there is no order {command.order_id}")
        event = decide_cancel(order, command)
        if isinstance(event, Refusal):
            return event
        seat.buckets.cancel_sent(command.asked_at)
        receipt = Receipt(
            scope=request.scope,
            fingerprint=request.fingerprint,
            account=seat.lane.account,
            order=order.id,
            status=202,
            body=None,
            at=command.asked_at,
        )
        recorded = seat.lane.record([event], correlation=request.correlation, receipt=receipt)
        return Decided(recorded)

    def preview(self, seat: Seat, terms: Terms, *, user: str) -> tuple[Verdict, ...]:
        return admission.preview(terms, self.view(seat, terms.symbol, user=user, strategy=terms.strategy))

    def view(
        self,
        seat: Seat,
        symbol: Symbol,
        *,
        user: str | None = None,
        strategy: str | None = None,
        order: OrderId | None = None,
        closing: bool = False,
    ) -> RiskView:
        """Everything that risk may look at, as it is now. Raises Fault before the account is opened, and
        NotListed for what is not traded here any more.

        An order that was placed under another name is judged as its instrument is called now.
        All after the symbol say what limits apply and what stops the order falls under.
        """
        books = seat.lane.books
        if books.account is None:
            raise Fault(f"{seat.lane.account} has not been opened yet")
        symbol = books.present_name(symbol)
        now, monotonic = self._clock.now(), self._clock.monotonic
        began = monotonic()
        reference = self._prices.reference(symbol)
        if reference is not None:
            books.valuation.mark(symbol, reference.price)
        limits, instrument = seat.limits_for(user, strategy), self._instruments.get(symbol)
        if instrument is None:
            raise NotListed(f"{symbol} is not listed here any more")
        fx = converted(books.account, books.valuation, limits, self._prices.reference, instrument.currency)
        return RiskView(
            now=now,
            account=books.account,
            instrument=instrument,
            exposure=books.exposure,
            limits=limits,
            reference=reference,
            kill=self._kill_guard.stop(
                seat, symbol, user=user, strategy=strategy, order=order, closing=closing
            ),
            buying_power=seat.buying_power,
            buckets=seat.buckets,
            recent=seat.recent,
            freshness=seat.freshness,
            top=self._prices.top(symbol),
            hours=None if limits is None or limits.hours is AnyTime.ANY else self._hours(symbol, now),
            valuation=books.valuation,
            profit=books.profit,
            prices_seen=seat.prices_seen,
            strategies=books.strategies,
            rivals=tuple(lane.books.resting for lane in seat.own_lanes),
            grouped=books.groups.of_order.keys(),
            fx=fx,
            began_us=int(began * 1_000_000),
            took_us=lambda: int((monotonic() - began) * 1_000_000),
            offset_us=self._offset_us,
        )

    def _view_of(self, seat: Seat, order: Order) -> RiskView:
        terms = order.terms
        return self.view(seat, terms.symbol, user=order.actor, strategy=terms.strategy, order=order.id)


def _groups_to_say(seat: Seat, order: Order, asked: Replacement) -> Refusal | None:
    """What a group has to exit no hand changes: it would only be put back, or be more than was approved."""
    groups = seat.lane.books.groups
    group_id = groups.of_order.get(order.id)
    group = None if group_id is None else groups.get(group_id)
    wrong = None if group is None else wrong_quantity(group, order, asked.quantity)
    return None if wrong is None else Refusal(Code.INVALID, wrong, {"quantity": wrong})


def unroutable(seat: Seat, terms: Terms) -> Refusal | None:
    """A venue that the account's broker does not offer: nothing would come of it but another venue."""
    can = seat.broker.capabilities
    if terms.venue is None or terms.venue in can.venues:
        return None
    offered = ", ".join(sorted(can.venues)) or "none"
    return Refusal(
        Code.INVALID, f"{can.name} offers no venue {terms.venue}", {"venue": f"may be one of: {offered}"}
    )


def _going_first(seat: Seat, event: Placed, now: datetime) -> list[CancelRequested]:
    """The cancels of what the order waits for, in the same unit; what is canceled already is not again."""
    cancels: list[CancelRequested] = []
    if not isinstance(event, OrderAccepted):
        return cancels
    for older in event.waits_for:
        order = seat.lane.books.order(older)
        if order is not None and not order.is_final and not order.cancel_requested:
            seat.buckets.cancel_sent(now)
            cancels.append(CancelRequested(order_id=older, at=now, actor=event.actor))
    return cancels


def _overrides(seat: Seat, terms: Terms, actor: str, now: datetime) -> list[OverrideGranted]:
    """Those for this very order that are neither over nor spent."""
    account = seat.lane.books.account
    used = () if account is None else account.overrides_used
    return [one for one in seat.overrides if one.is_for(terms, actor, now) and one.override_id not in used]


def _admit_overridden(
    command: PlaceOrder, view: RiskView, overrides: Sequence[OverrideGranted]
) -> list[Placed]:
    """By the first that lifts enough: it is spent when it had to lift something, in the order's own unit."""
    *others, last = overrides
    override = next((one for one in others if admission.would_lift(command, view, one.controls)), last)
    event, lifted = admission.admit_overridden(command, view, override.controls)
    if not lifted:
        return [event]
    used = OverrideUsed(
        account=command.terms.account,
        at=view.now,
        override_id=override.override_id,
        order_id=command.order_id,
        lifted=lifted,
    )
    return [event, used]


def _receipt(
    request: Request,
    seat: Seat,
    view: RiskView,
    order: OrderId,
    failed: tuple[FailedControl, ...],
    *,
    status: int,
) -> Receipt:
    """What the key bought. A denial keeps its reasons, so that a replay gives them again."""
    return Receipt(
        scope=request.scope,
        fingerprint=request.fingerprint,
        account=seat.lane.account,
        order=order,
        status=422 if failed else status,
        body=msgspec.json.encode(failed).decode() if failed else None,
        at=view.now,
    )
