"""Turns risk's answer into the event that is journalled.

The only maker of OrderAccepted and ReplaceRequested: both are written from an `Approved`, and
only risk makes one of those. Besides the answer the only thing that changes is the lane's own
counting: every order and replacement that was asked for counts as a message, and an accepted
order is remembered so that an equal one can be questioned. Nothing is sent and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from ordergate.core.ids import OrderId
from ordergate.core.orders.commands import PlaceOrder, ReplaceOrder
from ordergate.core.orders.content import content_hash
from ordergate.core.orders.events import (
    Basis,
    FailedControl,
    HeldReplaced,
    OrderAccepted,
    OrderDenied,
    OrderHeld,
    ReplaceDenied,
    ReplaceRequested,
)
from ordergate.core.orders.order import Order, Replacement, as_replaced
from ordergate.core.orders.terms import Terms, TimeInForce
from ordergate.core.risk.conduct import in_the_way
from ordergate.core.risk.judge import (
    Approved,
    Denied,
    Verdict,
    judge_held,
    judge_held_replace,
    judge_leg,
    judge_leg_resize,
    judge_overridden,
    judge_place,
    judge_release,
    judge_replace,
    verdicts,
    verdicts_of_held,
)
from ordergate.core.risk.keeping import as_closed, kept_until, not_yet
from ordergate.core.risk.view import RiskView

_NO_TIME: Final = timedelta()


def admit(command: PlaceOrder, view: RiskView) -> OrderAccepted | OrderDenied:
    """Ask risk about a new order."""
    answer = judge_place(command, view)
    view.buckets.order_sent(view.now)
    if isinstance(answer, Denied):
        return _denied(command, answer, view)
    if view.limits is not None:
        view.recent.remember(command.terms, view.now)
        _remember_price(answer, view)
    return _accepted(answer, view, command, _waits_for(answer.what.terms, view))


def admit_overridden(
    command: PlaceOrder, view: RiskView, controls: Collection[str]
) -> tuple[OrderAccepted | OrderDenied, tuple[FailedControl, ...]]:
    """Ask risk about a new order that has an override, and what that had to lift."""
    answer = judge_overridden(command, view, controls)
    view.buckets.order_sent(view.now)
    if isinstance(answer, Denied):
        return _denied(command, answer, view), ()
    if view.limits is not None:
        view.recent.remember(command.terms, view.now)
        _remember_price(answer, view)
    meets_its_own = any(no.control == "R21" for no in answer.lifted)
    waits_for = () if meets_its_own else _waits_for(answer.what.terms, view)
    return _accepted(answer, view, command, waits_for), answer.lifted


def would_lift(command: PlaceOrder, view: RiskView, controls: Collection[str]) -> bool:
    """Whether an override of these lifts all that is in the order's way. Nothing is counted by asking."""
    return not isinstance(judge_overridden(command, view, controls), Denied)


def admit_held(command: PlaceOrder, view: RiskView, until: datetime) -> OrderHeld | OrderDenied:
    """Ask risk about a new order that is to be kept until its market opens."""
    closed = as_closed(view)
    answer = judge_held(command, closed)
    view.buckets.order_sent(view.now)
    if isinstance(answer, Denied):
        return _denied(command, answer, view)
    if view.limits is not None:
        view.recent.remember(command.terms, view.now)
    return OrderHeld(
        order_id=command.order_id,
        at=view.now,
        terms=command.terms,
        actor=command.actor,
        config_hash=answer.config_hash,
        until=until,
        reference_price=answer.reference_price,
        noted=answer.noted,
        basis=_basis(view, command.asked_at),
    )


def admit_held_replace(
    order: Order, asked: Replacement, command: ReplaceOrder, view: RiskView
) -> HeldReplaced | ReplaceDenied:
    """Ask risk about other terms for one that is kept. `view` is without the order itself."""
    answer = judge_held_replace(order, asked, as_closed(view))
    view.buckets.order_sent(view.now)
    if isinstance(answer, Denied):
        return _replace_denied(order, answer, command, view)
    return HeldReplaced(
        order_id=order.id,
        at=view.now,
        quantity=asked.quantity,
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
        actor=command.actor,
        config_hash=answer.config_hash,
        noted=answer.noted,
        basis=_basis(view, command.asked_at),
    )


def admit_release(command: PlaceOrder, view: RiskView) -> OrderAccepted | OrderDenied | None:
    """Ask risk about one that was kept, now that its market is open; None when it has to wait.

    `view` is without the order itself, as it was before there was one. Waiting counts no message.
    """
    answer = judge_release(command, view)
    if isinstance(answer, Denied) and not_yet(answer.failed):
        return None
    view.buckets.order_sent(view.now)
    if isinstance(answer, Denied):
        return _denied(command, answer, view)
    _remember_price(answer, view)
    return _accepted(answer, view, command)


def admit_leg(command: PlaceOrder, view: RiskView) -> OrderAccepted | OrderDenied:
    """Ask risk about an order of a group, at the moment it is to leave."""
    answer = judge_leg(command, view)
    view.buckets.order_sent(view.now)
    if isinstance(answer, Denied):
        return _denied(command, answer, view)
    _remember_price(answer, view)
    return _accepted(answer, view, command)


def would_put_off(command: PlaceOrder, view: RiskView) -> tuple[FailedControl, ...]:
    """What risk refuses an order of a group by now, if all of it passes by itself. Asking counts nothing."""
    answer = judge_leg(command, view)
    return answer.failed if isinstance(answer, Denied) and not_yet(answer.failed) else ()


def admit_leg_resize(
    order: Order, asked: Replacement, command: ReplaceOrder, view: RiskView
) -> ReplaceRequested | ReplaceDenied:
    """Ask risk about a leg that follows what there is to exit."""
    answer = judge_leg_resize(order, asked, view)
    view.buckets.order_sent(view.now)
    return _replace_answered(order, answer, command, view)


def admit_replace(
    order: Order, asked: Replacement, command: ReplaceOrder, view: RiskView
) -> ReplaceRequested | ReplaceDenied:
    """Ask risk about a replacement that `decide_replace` found possible."""
    answer = judge_replace(order, asked, view)
    view.buckets.order_sent(view.now)
    return _replace_answered(order, answer, command, view)


def _replace_answered(
    order: Order, answer: Approved[Replacement] | Denied, command: ReplaceOrder, view: RiskView
) -> ReplaceRequested | ReplaceDenied:
    if isinstance(answer, Denied):
        return _replace_denied(order, answer, command, view)
    return _requested(order, answer, command, view)


def _replace_denied(order: Order, answer: Denied, command: ReplaceOrder, view: RiskView) -> ReplaceDenied:
    return ReplaceDenied(
        order_id=order.id,
        at=view.now,
        actor=command.actor,
        config_hash=answer.config_hash,
        failed=answer.failed,
        noted=answer.noted,
        reference_price=_price(view),
        basis=_basis(view, command.asked_at),
    )


def preview(terms: Terms, view: RiskView) -> tuple[Verdict, ...]:
    """What each control would say. Counts nothing and changes nothing."""
    if kept_until(terms, view) is not None:
        return verdicts_of_held(terms, as_closed(view))
    return verdicts(terms, view)


def _waits_for(terms: Terms, view: RiskView) -> tuple[OrderId, ...]:
    """What is only noted cancels nothing."""
    shadow = view.limits is not None and "R21" in view.limits.shadow
    return () if shadow else in_the_way(terms, view)


def _remember_price(approved: Approved[PlaceOrder], view: RiskView) -> None:
    """What the market said when the order was accepted, for as long as a run of it is watched."""
    window = None if view.limits is None else view.limits.drift_window
    if view.prices_seen is not None and approved.reference_price is not None:
        price = approved.reference_price
        view.prices_seen.remember(view.instrument.symbol, price, view.now, window or _NO_TIME)


def _denied(command: PlaceOrder, answer: Denied, view: RiskView) -> OrderDenied:
    return OrderDenied(
        order_id=command.order_id,
        at=view.now,
        terms=command.terms,
        actor=command.actor,
        config_hash=answer.config_hash,
        failed=answer.failed,
        noted=answer.noted,
        reference_price=_price(view),
        basis=_basis(view, command.asked_at),
    )


def _accepted(
    approved: Approved[PlaceOrder], view: RiskView, asked: PlaceOrder, waits_for: tuple[OrderId, ...] = ()
) -> OrderAccepted:
    terms = approved.what.terms
    return OrderAccepted(
        order_id=approved.what.order_id,
        at=view.now,
        terms=terms,
        actor=approved.what.actor,
        config_hash=approved.config_hash,
        reference_price=approved.reference_price,
        noted=approved.noted,
        content_hash=content_hash(approved.what.order_id, 1, terms),
        converted_from=asked.terms.type if terms.type is not asked.terms.type else None,
        waits_for=waits_for,
        fx={} if view.fx is None else view.fx.said(view.now),
        basis=_basis(view, asked.asked_at),
        expires_at=_expires_at(terms, view),
    )


def _requested(
    order: Order, approved: Approved[Replacement], command: ReplaceOrder, view: RiskView
) -> ReplaceRequested:
    asked = approved.what
    return ReplaceRequested(
        order_id=order.id,
        at=view.now,
        version=asked.version,
        quantity=asked.quantity,
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
        actor=command.actor,
        config_hash=approved.config_hash,
        noted=approved.noted,
        content_hash=content_hash(order.id, asked.version, as_replaced(order.terms, asked)),
        reference_price=approved.reference_price,
        basis=_basis(view, command.asked_at),
    )


def _basis(view: RiskView, asked_at: datetime) -> Basis:
    symbol, reference = view.instrument.symbol, view.reference
    opened = view.exposure.of(symbol)
    return Basis(  # by place: every decision makes one
        view.account.position(symbol).quantity,
        opened.buy_quantity,
        opened.sell_quantity,
        None if reference is None else reference.at,
        None if reference is None else reference.source,
        asked_at if asked_at < view.now else None,
        0 if view.took_us is None else view.took_us(),
        view.began_us,
        view.offset_us,
    )


def _price(view: RiskView) -> Decimal | None:
    return None if view.reference is None else view.reference.price


def _expires_at(terms: Terms, view: RiskView) -> datetime | None:
    """The end of the session that an order for the day is good for; None where it is not known."""
    if terms.time_in_force is not TimeInForce.DAY or view.hours is None or not view.hours.is_open:
        return None
    return view.hours.until
