"""Orders of kinds that our terms have no words for, as an adapter has to show them."""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.brokers.paper.orders import Kind, PaperExecution, PaperOrder
from ordergate.core.orders.reports import NO_SYMBOL, BrokerStatus, OrderSnapshot
from ordergate.core.orders.terms import OrderType, Terms

LEG: Final = "/"


def shown_terms(order: PaperOrder) -> Terms:
    """The nearest terms that could do no less than the order can, as far as a broker is told of them.

    What a client calls an order, and who decided it, never leaves the house.
    """
    whole = msgspec.structs.replace(
        order.terms,
        quantity=order.terms.quantity + order.filled_before,
        client_order_id=None,
        strategy=None,
        strategy_version=None,
        user=None,
    )
    if order.kind is Kind.PLAIN:
        return whole
    return msgspec.structs.replace(
        whole,
        symbol=NO_SYMBOL if order.kind is Kind.LEGGED else whole.symbol,
        type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        quantity=order.cum_qty if order.kind is Kind.BY_VALUE else whole.quantity,
    )


def leg_of(execution: PaperExecution) -> OrderSnapshot | None:
    """The order that an execution of an order in several symbols is told to be of; None of any other."""
    order = execution.order
    if order.kind is not Kind.LEGGED:
        return None
    symbol = order.terms.symbol
    return OrderSnapshot(
        cl_ord_id=f"{order.cl_ord_id}{LEG}{symbol}",
        version=0,
        broker_order_id=leg_id(order),
        status=BrokerStatus.FILLED,
        terms=msgspec.structs.replace(
            order.terms,
            type=OrderType.MARKET,
            limit_price=None,
            stop_price=None,
            quantity=execution.quantity,
        ),
        cum_qty=execution.quantity,
        broker_at=execution.at,
        inexpressible=f"part of order {order.id}, which is {order.kind}",
        unsized=True,
    )


def leg_id(order: PaperOrder) -> str:
    return f"{order.id}{LEG}{order.terms.symbol}"
