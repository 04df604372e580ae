"""Which orders at a broker may be the one that nobody can ask for.

A broker of class C knows no client order id, so an order whose answer was lost can only be compared:
symbol, side, quantity, prices, and a window of time. Equality is no proof. What may be ours is listed
for a person and is not taken for anybody else's meanwhile. So is what may be the replacement of an order
of ours, until the broker's word on that order says whether it is. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import OrderSnapshot

# Clocks differ, ours may have jumped when the order was sent, and a broker may stamp an order with its latest
# change. Too long a window shows a person one candidate too many; too short a one books an order twice.
WINDOW: Final = timedelta(days=1)
CANDIDATES_MAX: Final = 20


def may_be(order: Order, seen: OrderSnapshot) -> bool:
    """True when what the broker shows could be this order, as far as anybody can see."""
    ours, theirs = order.terms, seen.terms
    if (ours.symbol, ours.side, ours.quantity) != (theirs.symbol, theirs.side, theirs.quantity):
        return False
    if (ours.limit_price, ours.stop_price) != (theirs.limit_price, theirs.stop_price):
        return False
    return seen.broker_at is None or seen.broker_at >= shown_since(order)


def may_replace(order: Order, seen: OrderSnapshot) -> bool:
    """True when what the broker shows could be the replacement that was asked for. Brokers count its

    quantity with what was filled before, or without: it is not compared.
    """
    ours, theirs, asked = order.terms, seen.terms, order.replacement
    if asked is None or (ours.symbol, ours.side) != (theirs.symbol, theirs.side):
        return False
    return (asked.limit_price, asked.stop_price) == (theirs.limit_price, theirs.stop_price)


def shown_since(order: Order) -> datetime:
    """From when on the broker may have taken the order, by whatever clock."""
    return (order.dispatched_at or order.accepted_at) - WINDOW


def candidates(order: Order, seen: Iterable[OrderSnapshot]) -> tuple[e.Candidate, ...]:
    """What may be the order, in the order of the broker's ids, up to a bound."""
    alike = {one.broker_order_id: one for one in seen if may_be(order, one)}
    return tuple(_candidate(alike[key]) for key in sorted(alike)[:CANDIDATES_MAX])


def _candidate(seen: OrderSnapshot) -> e.Candidate:
    terms = seen.terms
    return e.Candidate(
        broker_order_id=seen.broker_order_id,
        status=seen.status,
        symbol=terms.symbol,
        side=terms.side,
        quantity=terms.quantity,
        cum_qty=seen.cum_qty,
        avg_px=seen.avg_px,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        broker_at=seen.broker_at,
    )
