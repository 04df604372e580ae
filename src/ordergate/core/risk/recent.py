"""The orders accepted a moment ago, so that an equal one can be questioned.

Bounded: beyond `RECENT_MAX` orders inside one window the memory says that it is full, and the
control that asks refuses rather than forget. Only that bound makes it forget, never a clock: one that
ran ahead and was set back would have made it forget what is recent.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import OrderType, Side, Terms

RECENT_MAX: Final = 10_000


class Likeness(NamedTuple):
    """What makes two orders equal in a person's eyes. The account is the lane's own."""

    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


def likeness(terms: Terms) -> Likeness:
    return Likeness(terms.symbol, terms.side, terms.type, terms.quantity, terms.limit_price, terms.stop_price)


class RecentOrders:
    """Accepted orders by likeness, as they came. Mutable, and owned by the account's lane."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: OrderedDict[Likeness, datetime] = OrderedDict()  # a dict looks for its first ever longer

    def __len__(self) -> int:
        return len(self._at)

    def last(self, terms: Terms) -> datetime | None:
        """When an equal order was last accepted, as far as is remembered."""
        return self._at.get(likeness(terms))

    def is_full(self, now: datetime, window: timedelta) -> bool:
        """True when nothing may be forgotten and nothing more fits."""
        if len(self._at) < RECENT_MAX:
            return False
        oldest = next(iter(self._at.values()))
        return now - oldest < window

    def remember(self, terms: Terms, at: datetime) -> None:
        """An order was accepted."""
        alike = likeness(terms)
        self._at[alike] = at
        self._at.move_to_end(alike)
        if len(self._at) > RECENT_MAX:
            self._at.popitem(last=False)
