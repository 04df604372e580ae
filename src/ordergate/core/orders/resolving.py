"""Judges a person's word on an order that no proof tells of. Changes nothing.

Only an order whose placing was never answered can be resolved. The word becomes an event of its own, and
is the evidence of the events that come with it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, assert_never

from ordergate.core.money import ZERO
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import ResolveOrder
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.executions import by_hand
from ordergate.core.orders.order import Order
from ordergate.core.refusals import Code, Refusal

_ENDED: Final = frozenset({Resolution.FILLED, Resolution.CANCELED, Resolution.EXPIRED})


def decide_resolve(order: Order, command: ResolveOrder) -> list[e.AnyOrderEvent] | Refusal:
    """What the word makes of the order, its own event first."""
    if not order.is_in_question:
        return Refusal(Code.ORDER_NOT_UNKNOWN, f"order {order.id} is {order.status}, and that is proven")
    if wrong := _wrong(order, command):
        return Refusal(Code.INVALID, "the resolution does not fit the order", wrong)
    resolved = e.OrderResolved(
        order_id=order.id,
        at=command.asked_at,
        resolution=command.resolution,
        actor=command.actor,
        reason=command.reason,
        broker_order_id=command.broker_order_id,
        cum_qty=command.cum_qty,
        avg_px=command.avg_px,
    )
    return [resolved, *_following(order, command)]


def _following(order: Order, command: ResolveOrder) -> list[e.AnyOrderEvent]:
    at, evidence = command.asked_at, f"resolved by {command.actor}: {command.reason}"
    if command.resolution is Resolution.NEVER_ARRIVED:
        absent = e.OrderRejected(order_id=order.id, at=at, reason="never-arrived", evidence=evidence)
        return [absent]
    events: list[e.AnyOrderEvent] = []
    if command.broker_order_id is not None:
        known = e.OrderAcknowledged(order_id=order.id, at=at, broker_order_id=command.broker_order_id)
        events.append(known)
    if (cum_qty := _filled(order, command)) > ZERO:
        events.append(_fill(order, command, cum_qty))
    match command.resolution:
        case Resolution.CANCELED:
            events.append(e.OrderCanceled(order_id=order.id, at=at, evidence=evidence))
        case Resolution.EXPIRED:
            events.append(e.OrderExpired(order_id=order.id, at=at, evidence=evidence))
        case Resolution.WORKING | Resolution.FILLED:
            pass
        case _:
            assert_never(command.resolution)
    return events


def _filled(order: Order, command: ResolveOrder) -> Decimal:
    if command.resolution is Resolution.FILLED:
        return order.terms.quantity
    return command.cum_qty or ZERO


def _fill(order: Order, command: ResolveOrder, quantity: Decimal) -> e.AnyOrderEvent:
    """One execution at the average price; the broker's own take its place if they are told after all."""
    kind = e.OrderFilled if quantity >= order.terms.quantity else e.OrderPartiallyFilled
    return kind(
        order_id=order.id,
        at=command.asked_at,
        exec_id=by_hand(order.id),
        quantity=quantity,
        price=command.avg_px or ZERO,
        broker_order_id=command.broker_order_id,
    )


def _wrong(order: Order, command: ResolveOrder) -> dict[str, str]:
    """Each field that does not fit, and why."""
    wrong: dict[str, str] = {}
    resolution, filled = command.resolution, _filled(order, command)
    if resolution is Resolution.NEVER_ARRIVED and command.broker_order_id is not None:
        wrong["broker_order_id"] = "an order that never arrived has none"
    if resolution is not Resolution.NEVER_ARRIVED and command.broker_order_id is None:
        wrong["broker_order_id"] = "is required: which order it is at the broker"
    if resolution not in _ENDED and command.cum_qty is not None:
        wrong["cum_qty"] = "the broker tells what is filled"
    if resolution is Resolution.FILLED and command.cum_qty not in (None, order.terms.quantity):
        wrong["cum_qty"] = "a filled order has all of its quantity"
    if resolution is not Resolution.FILLED and not ZERO <= filled < order.terms.quantity:
        wrong["cum_qty"] = "must be less than the order's quantity, and not negative"
    if (filled > ZERO) != (command.avg_px is not None):
        wrong["avg_px"] = "belongs to what was filled, and only to that"
    return wrong
