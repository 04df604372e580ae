"""Judges a command against an order. Changes nothing."""

from __future__ import annotations

from ordergate.core.ids import VERSION_MAX
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import CancelOrder, ReplaceOrder
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.refusals import Code, Refusal


def decide_cancel(order: Order, command: CancelOrder) -> e.CancelRequested | Refusal:
    """A cancel of anything open is asked of the broker; asking twice is refused as pending."""
    if (outdated := _outdated(order, command.if_revision)) is not None:
        return outdated
    if order.is_final:
        return Refusal(Code.ORDER_FINAL, f"order {order.id} is {order.status}")
    if order.cancel_requested:
        return Refusal(Code.ORDER_PENDING, f"a cancel of order {order.id} is under way")
    return e.CancelRequested(order_id=order.id, at=command.asked_at, actor=command.actor)


def decide_replace(order: Order, command: ReplaceOrder) -> Replacement | Refusal:
    """What the order would become. Risk has still to be asked."""
    if (outdated := _outdated(order, command.if_revision)) is not None:
        return outdated
    if order.is_final:
        return Refusal(Code.ORDER_FINAL, f"order {order.id} is {order.status}")
    if order.status is Status.UNKNOWN:
        return Refusal(Code.ORDER_UNKNOWN, f"whether the broker has order {order.id} is not known")
    if order.status not in (Status.WORKING, Status.HELD):
        return Refusal(Code.ORDER_PENDING, f"order {order.id} is {order.status}")
    if order.cancel_requested or order.replacement is not None:
        return Refusal(Code.ORDER_PENDING, f"an earlier request on order {order.id} is unanswered")
    if order.versions_used >= VERSION_MAX:
        return Refusal(Code.INVALID, f"order {order.id} was replaced {VERSION_MAX} times")
    terms = order.terms
    asked = Replacement(
        version=order.versions_used + 1,  # a refused version's client order id is used up
        quantity=terms.quantity if command.quantity is None else command.quantity,
        limit_price=terms.limit_price if command.limit_price is None else command.limit_price,
        stop_price=terms.stop_price if command.stop_price is None else command.stop_price,
    )
    before = (terms.quantity, terms.limit_price, terms.stop_price)
    if (asked.quantity, asked.limit_price, asked.stop_price) == before:
        return Refusal(Code.NOTHING_TO_CHANGE, "give a quantity or price that differs")
    wrong = _misplaced_prices(order, asked)
    if asked.quantity <= order.cum_qty:
        wrong["quantity"] = f"must be more than the filled {order.cum_qty}"
    if wrong:
        return Refusal(Code.INVALID, "the replacement does not fit the order", wrong)
    return asked


def _outdated(order: Order, seen: int | None) -> Refusal | None:
    """What the asker saw is looked at first: what has moved on says so, whatever else it would say."""
    if seen is None or seen == order.revision:
        return None
    words = f"order {order.id} is at revision {order.revision} by now, not {seen}"
    return Refusal(Code.CHANGE_OUTDATED, words, {"revision": str(order.revision)})


def _misplaced_prices(order: Order, asked: Replacement) -> dict[str, str]:
    kind = order.terms.type
    wrong = {}
    if asked.limit_price is not None and not kind.needs_limit_price:
        wrong["limit_price"] = f"a {kind} order has none"
    if asked.stop_price is not None and not kind.needs_stop_price:
        wrong["stop_price"] = f"a {kind} order has none"
    return wrong
