"""Alpaca's orders in our words."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, assert_never

import msgspec

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import Inexpressible
from ordergate.core.ids import AccountId, Env, Symbol, parse_cl_ord_id
from ordergate.core.money import ZERO
from ordergate.core.orders.reports import BrokerStatus, OrderSnapshot
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce

REJECTED: Final = "rejected by the broker"


def version(env: Env, client_order_id: str) -> int:
    """The version that our own ids carry; 0 for an order that is not ours."""
    parsed = parse_cl_ord_id(env, client_order_id)
    return 0 if parsed is None else parsed[1]


def status(word: wire.OrderStatus) -> BrokerStatus:
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
            assert_never(word)


def snapshot(
    order: wire.Order, *, env: Env, account: AccountId, filled_before: Decimal = ZERO
) -> OrderSnapshot:
    """Where an order stands, in totals as our orders count them.

    Fills stay on the order they happened to, and one that replaces it asks for what was left:
    `filled_before` is what the orders before it in the chain of replacements had.
    """
    asked = terms(order, account)
    return OrderSnapshot(
        cl_ord_id=order.client_order_id,
        version=version(env, order.client_order_id),
        broker_order_id=order.id,
        status=status(order.status),
        terms=msgspec.structs.replace(asked, quantity=asked.quantity + filled_before),
        cum_qty=Decimal(order.filled_qty) + filled_before,
        replaced_by=order.replaced_by,
        reason=REJECTED if order.status == "rejected" else None,
        broker_at=order.updated_at,
    )


def terms(order: wire.Order, account: AccountId) -> Terms:
    if order.qty is None:
        raise Inexpressible(f"order {order.id} is for a value, not for a quantity")
    if order.symbol is None or order.side is None or order.order_class not in ("", "simple"):
        raise Inexpressible(f"order {order.id} is of class {order.order_class!r}")
    return Terms(
        account=account,
        symbol=Symbol(order.symbol),
        side=Side(order.side),
        type=_order_type(order),
        quantity=Decimal(order.qty),
        limit_price=None if order.limit_price is None else Decimal(order.limit_price),
        stop_price=None if order.stop_price is None else Decimal(order.stop_price),
        time_in_force=_time_in_force(order),
        extended_hours=order.extended_hours,
    )


def _order_type(order: wire.Order) -> OrderType:
    match order.type:
        case "market" | "limit" | "stop" | "stop_limit":
            return OrderType(order.type)
        case "trailing_stop":
            raise Inexpressible(f"order {order.id} is a {order.type}")
        case _:
            assert_never(order.type)


def _time_in_force(order: wire.Order) -> TimeInForce:
    match order.time_in_force:
        case "day" | "gtc" | "ioc" | "fok":
            return TimeInForce(order.time_in_force)
        case "opg" | "cls":
            raise Inexpressible(f"order {order.id} is good for {order.time_in_force}")
        case _:
            assert_never(order.time_in_force)
