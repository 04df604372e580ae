"""When the market has reached a leg, and how far a trailing stop follows it. Pure arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ordergate.core.contingent.terms import Leg, LegType
from ordergate.core.orders.terms import Side

_HUNDRED: Final = Decimal(100)


def is_touched(leg: Leg, price: Decimal, mark: Decimal | None) -> bool:
    """True when the leg would trade at this price of the market."""
    if leg.type is LegType.MARKET:
        return True
    level = stop_level(leg, mark) if leg.type.stops else leg.limit_price
    if level is None:
        return False
    waits_for_fall = (leg.side is Side.SELL) is leg.type.stops
    return price <= level if waits_for_fall else price >= level


def stop_level(leg: Leg, mark: Decimal | None) -> Decimal | None:
    """Where a stop stands; None for a trailing one that has no mark yet, and for what is no stop."""
    if leg.type is not LegType.TRAILING_STOP:
        return leg.stop_price
    if mark is None:
        return None
    distance = leg.trail_amount
    if distance is None:
        distance = mark * (leg.trail_percent or _HUNDRED) / _HUNDRED
    return mark - distance if leg.side is Side.SELL else mark + distance


def is_better(leg: Leg, price: Decimal, mark: Decimal | None) -> bool:
    """True when the price lets the stop follow: up for what sells, down for what buys, never back."""
    if mark is None:
        return True
    return price > mark if leg.side is Side.SELL else price < mark
