"""Which orders at a broker may be the one that nobody can ask for.

A broker of class C knows no client order id, so an order whose answer was lost can only be compared:
symbol, side, quantity, prices, and a window of time. Equality is no proof. What may be ours is listed
for a person and is not taken for anybody else's meanwhile. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import OrderSnapshot

# Clocks differ, and a broker may stamp an order with its latest change.
WINDOW: Final = timedelta(minutes=15)
CANDIDATES_MAX: Final = 20


def may_be(order: Order, seen: OrderSnapshot) -> bool:
    """True when what the broker shows could be this order, as far as anybody can see."""
    ours, theirs = order.terms, seen.terms
    if (ours.symbol, ours.side, ours.quantity) != (theirs.symbol, theirs.side, theirs.quantity):
        return False
    if (ours.limit_price, ours.stop_price) != (theirs.limit_price, theirs.stop_price):
        return False
    started = order.dispatched_at or order.accepted_at
    return seen.broker_at is None or seen.broker_at >= started - WINDOW


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
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        broker_at=seen.broker_at,
    )
