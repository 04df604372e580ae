"""Alpaca's orders in our words."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, get_args

import msgspec

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import Inexpressible
from ordergate.core.ids import AccountId, Env, Symbol, parse_cl_ord_id
from ordergate.core.money import ZERO
from ordergate.core.orders.reports import NO_SYMBOL, BrokerStatus, OrderSnapshot
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce

REJECTED: Final = "rejected by the broker"
PLACED_HERE: Final = 1
"""What has a later version may replace an order that was placed elsewhere, and be what that was."""

_STATUSES: Final = frozenset(get_args(wire.OrderStatus))
_KINDS: Final = frozenset(get_args(wire.OrderKind))
_FORCES: Final = frozenset(get_args(wire.Force))
_CLASSES: Final = frozenset(get_args(wire.OrderClass))
_SIDES: Final = frozenset({"buy", "sell", ""})
_EXPRESSED: Final = frozenset(OrderType)


def version(env: Env, client_order_id: str) -> int:
    """The version that our own ids carry; 0 for an order that is not ours."""
    parsed = parse_cl_ord_id(env, client_order_id)
    return 0 if parsed is None else parsed[1]


def status(word: str) -> BrokerStatus:
    """Raises Inexpressible for a word that is not Alpaca's."""
    match word:
        case "accepted" | "pending_new" | "accepted_for_bidding" | "held":
            return BrokerStatus.PENDING
        case "new" | "partially_filled" | "pending_cancel" | "pending_replace":
            return BrokerStatus.WORKING
        case "done_for_day" | "stopped" | "suspended" | "calculated":
            # Not executing now, and not over either: only a terminal word ends an order.
            return BrokerStatus.WORKING
        case "filled":
            return BrokerStatus.FILLED
        case "canceled":
            return BrokerStatus.CANCELED
        case "expired":
            return BrokerStatus.EXPIRED
        case "rejected":
            return BrokerStatus.REJECTED
        case "replaced":
            return BrokerStatus.REPLACED
        case _:
            raise Inexpressible(f"the status {word!r}")


def snapshot(
    order: wire.Order, *, env: Env, account: AccountId, filled_before: Decimal = ZERO
) -> OrderSnapshot:
    """Where an order stands, in totals as our orders count them.

    Fills stay on the order they happened to, and one that replaces it asks for what was left:
    `filled_before` is what the orders before it in the chain of replacements had. A word that nobody
    knows hides no order. Raises Inexpressible for one that was placed here and is of no kind that is.
    """
    number, strange, beyond = version(env, order.client_order_id), strange_words(order), unsaid(order)
    if beyond and number == PLACED_HERE:
        raise Inexpressible(f"order {order.id} is {', '.join(beyond)}")
    near = terms(order, account)
    return OrderSnapshot(
        cl_ord_id=order.client_order_id,
        version=number,
        broker_order_id=order.id,
        status=_status_or_working(order),
        terms=msgspec.structs.replace(near, quantity=near.quantity + filled_before),
        cum_qty=Decimal(order.filled_qty) + filled_before,
        avg_px=_price(order.filled_avg_price) if filled_before == ZERO else None,
        replaced_by=order.replaced_by,
        reason=REJECTED if order.status == "rejected" else None,
        broker_at=order.updated_at,
        inexpressible=", ".join((*strange, *beyond)) or None,
        unsized=order.qty is None,
        created_at=order.created_at,
    )


def strange_words(order: wire.Order) -> list[str]:
    """The words of the order that Alpaca has not published."""
    said = {
        "status": (order.status, _STATUSES),
        "type": (order.type, _KINDS),
        "time in force": (order.time_in_force, _FORCES),
        "class": (order.order_class or "", _CLASSES),
        "side": (order.side or "", _SIDES),
    }
    return [f"of the {what} {word!r}" for what, (word, known) in said.items() if word not in known]


def unsaid(order: wire.Order) -> list[str]:
    """What of the order our terms have no words for; nothing, for one that could be ours."""
    found = []
    if not has_place(order):
        found.append("in no one symbol and side")
    if order.qty is None:
        found.append(f"for a value of {order.notional or 'unknown amount'}, not for a quantity")
    if order.order_class in ("bracket", "oco", "oto", "mleg"):
        found.append(f"of the class {order.order_class!r}")
    if order.type == "trailing_stop":
        found.append("a trailing stop")
    if order.time_in_force in ("opg", "cls"):
        found.append(f"good for {order.time_in_force!r}")
    return found


def has_place(order: wire.Order) -> bool:
    """Whether it trades in one symbol, on one side. The parent of several legs does not."""
    return bool(order.symbol) and order.side in ("buy", "sell")


def terms(order: wire.Order, account: AccountId) -> Terms:
    """The order's terms, or for one that has others the nearest that could do no less than it can.

    An order for a value has the quantity that is filled. What may trade at any price is at the market.
    """
    placed, kind = has_place(order), _order_type(order)
    priced = order.type in _EXPRESSED
    return Terms(
        account=account,
        symbol=Symbol(order.symbol or "") if placed else NO_SYMBOL,
        side=Side(order.side or "") if placed else Side.BUY,  # in no symbol nothing is ever booked
        type=kind,
        quantity=Decimal(order.filled_qty if order.qty is None else order.qty),
        limit_price=_price(order.limit_price) if priced else None,
        stop_price=_price(order.stop_price) if priced or kind is OrderType.STOP else None,
        time_in_force=_time_in_force(order),
        extended_hours=order.extended_hours,
    )


def leg(fill: wire.FillActivity, parent: wire.Order, account: AccountId) -> OrderSnapshot:
    """What one symbol's part of an order in several did, as an order of its own that is over.

    The broker knows it by no name. Each of its fills says all that will ever be known of it.
    """
    quantity = Decimal(fill.qty)
    return OrderSnapshot(
        cl_ord_id=name_of_leg(parent.client_order_id, fill),
        version=0,
        broker_order_id=name_of_leg(parent.id, fill),
        status=BrokerStatus.FILLED,
        terms=Terms(
            account=account,
            symbol=Symbol(fill.symbol),
            side=Side.BUY if fill.side == "buy" else Side.SELL,
            type=OrderType.MARKET,
            quantity=quantity,
            time_in_force=TimeInForce.DAY,
        ),
        cum_qty=quantity,
        broker_at=fill.transaction_time,
        inexpressible=f"part of order {parent.id}, which is {', '.join(unsaid(parent))}",
        unsized=True,
    )


def name_of_leg(whole: str, fill: wire.FillActivity) -> str:
    return f"{whole}/{fill.symbol}"


def _status_or_working(order: wire.Order) -> BrokerStatus:
    """Only a terminal word ends an order, and one that nobody knows is none."""
    return status(order.status) if order.status in _STATUSES else BrokerStatus.WORKING


def _price(amount: str | None) -> Decimal | None:
    return None if amount is None else Decimal(amount)


def _order_type(order: wire.Order) -> OrderType:
    if order.type in _EXPRESSED:
        return OrderType(order.type)
    if order.type == "trailing_stop" and order.stop_price is not None:
        return OrderType.STOP  # at the price that it has trailed to
    return OrderType.MARKET


def _time_in_force(order: wire.Order) -> TimeInForce:
    match order.time_in_force:
        case "day" | "gtc" | "ioc" | "fok":
            return TimeInForce(order.time_in_force)
        case "opg" | "cls":
            return TimeInForce.DAY
        case _:
            return TimeInForce.GTC
