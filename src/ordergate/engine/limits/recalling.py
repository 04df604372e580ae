"""What risk calls recent, recalled from an account's books when they were folded anew.

What was decided and lost never happened, so only what is durable counts. A clock may have run ahead when an
order was accepted, or may do so now: neither makes anything forgotten that is younger by a true clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument, by_any_name
from ordergate.core.risk.memories import PricesSeen
from ordergate.core.risk.recent import RecentOrders
from ordergate.engine.accounts.lanes import Seat


def recall(seat: Seat, instruments: Mapping[Symbol, Instrument], now: datetime) -> None:
    """Equal orders are compared with these, and prices with those at which these were accepted."""
    run = seat.drift_window
    seat.recent, seat.prices_seen = RecentOrders(), PricesSeen(run)
    accepted = seat.lane.books.orders_accepted()
    if seat.limits is None:
        return
    for order in (*accepted, *seat.lane.books.held_orders()):
        seat.recent.remember(order.said, order.accepted_at)
    if not accepted:
        return
    listed = by_any_name(instruments)
    since = min(now, accepted[-1].accepted_at) - run
    young = (order for order in accepted if order.accepted_at >= since)
    for order in sorted(young, key=lambda one: one.accepted_at <= now):  # the last one decides what is old
        if order.reference_price is not None and order.terms.symbol in listed:
            symbol = listed[order.terms.symbol].symbol
            seat.prices_seen.remember(symbol, order.reference_price, order.accepted_at, run)
