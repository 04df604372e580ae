"""One position, first in first out.

Lots keep their own prices, so realised profit is exact: nothing is averaged until it is
shown. Quantity is signed, long positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO, average
from ordergate.core.orders.terms import Side


class Lot(msgspec.Struct, frozen=True):
    """Signed quantity at one price, of one execution."""

    quantity: Decimal
    price: Decimal


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """`realised` is profit in points of price times quantity; the multiplier is not in it."""

    symbol: Symbol
    lots: tuple[Lot, ...] = ()
    quantity: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        """Signed sum of quantity times price over the open lots."""
        return sum((lot.quantity * lot.price for lot in self.lots), ZERO)

    @property
    def avg_px(self) -> Decimal | None:
        return average(self.cost, self.quantity)


NO_POSITIONS: Final[Mapping[Symbol, Position]] = {}


def traded(position: Position, side: Side, quantity: Decimal, price: Decimal) -> Position:
    """The position after one execution: opposite lots close first, the oldest first."""
    rest = quantity * side.sign
    realised = position.realised
    lots = list(position.lots)
    while rest != ZERO and lots and lots[0].quantity * rest < ZERO:
        oldest = lots[0]
        closing = -oldest.quantity if abs(oldest.quantity) <= abs(rest) else rest
        realised += -closing * (price - oldest.price)
        remaining = oldest.quantity + closing
        lots[:1] = [Lot(remaining, oldest.price)] if remaining != ZERO else []
        rest -= closing
    if rest != ZERO:
        lots.append(Lot(rest, price))
    return msgspec.structs.replace(
        position,
        lots=tuple(lots),
        quantity=position.quantity + quantity * side.sign,
        realised=realised,
    )
