"""One position, first in first out, in the order in which the broker executed.

Lots keep their own prices, so realised profit is exact: nothing is averaged until it is
shown. Quantity is signed, long positive. Which lots a closing trade closes depends on the order
of the trades, and news can come late: a trade that the broker executed before the latest ones
is put in its place, and what came after it is booked again. So the books depend on what was
executed, not on which news came first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO, average
from ordergate.core.orders.terms import Side


class Lot(msgspec.Struct, frozen=True, gc=False):
    """Signed quantity at one price, of one execution."""

    quantity: Decimal
    price: Decimal


class Booked(msgspec.Struct, frozen=True, gc=False):
    """A trade as it was booked: signed quantity, price, and when the broker says it was."""

    quantity: Decimal
    price: Decimal
    at: datetime | None


class Position(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`realised` is profit in points of price times quantity; the multiplier is not in it.

    `recent` are the latest trades, in the broker's order, up to a bound; `settled` and
    `settled_realised` are the lots and the profit as they were before the first of them.
    """

    symbol: Symbol
    lots: tuple[Lot, ...] = ()
    quantity: Decimal = ZERO
    realised: Decimal = ZERO
    recent: tuple[Booked, ...] = ()
    settled: tuple[Lot, ...] = ()
    settled_realised: Decimal = ZERO

    @property
    def cost(self) -> Decimal:
        """Signed sum of quantity times price over the open lots."""
        return sum((lot.quantity * lot.price for lot in self.lots), ZERO)

    @property
    def avg_px(self) -> Decimal | None:
        return average(self.cost, self.quantity)


NO_POSITIONS: Final[Mapping[Symbol, Position]] = {}
RECENT_MAX: Final = 512


def traded(
    position: Position, side: Side, quantity: Decimal, price: Decimal, at: datetime | None = None
) -> Position:
    """The position after one more execution, at its place among the recent ones.

    `at` is the broker's clock. Without it, and among equal times, the place is the last one.
    """
    trade = Booked(quantity * side.sign, price, at)
    place = _place(position.recent, at)
    recent = (*position.recent[:place], trade, *position.recent[place:])
    if place == len(position.recent):
        lots, realised = _booked(position.lots, position.realised, (trade,))
    else:
        lots, realised = _booked(position.settled, position.settled_realised, recent)
    settled, settled_realised = position.settled, position.settled_realised
    if len(recent) > RECENT_MAX:
        settled, settled_realised = _booked(settled, settled_realised, recent[:1])
        recent = recent[1:]
    return msgspec.structs.replace(
        position,
        lots=lots,
        quantity=position.quantity + trade.quantity,
        realised=realised,
        recent=recent,
        settled=settled,
        settled_realised=settled_realised,
    )


def amended(
    position: Position,
    side: Side,
    was: tuple[Decimal, Decimal],
    now: tuple[Decimal, Decimal],
    *,
    was_at: datetime | None,
    at: datetime | None,
) -> Position | None:
    """The position as if an execution had always been of another quantity and price.

    `was` and `now` are quantity and price; a quantity of zero takes it out, or puts it back in. It was
    booked with the time `was_at`, and `at` is its time. None when it is not among the recent ones: then
    only an opposite trade can undo it.
    """
    new = Booked(now[0] * side.sign, now[1], at)
    if was[0] == ZERO:
        return position if now[0] == ZERO else traded(position, side, now[0], now[1], at)
    old = Booked(was[0] * side.sign, was[1], was_at)
    if old not in position.recent:
        return None
    place = position.recent.index(old)
    kept = (new,) if now[0] != ZERO else ()
    recent = (*position.recent[:place], *kept, *position.recent[place + 1 :])
    if was_at is None:
        recent = _in_turn(recent)  # what has no time is never passed, and here was one
    lots, realised = _booked(position.settled, position.settled_realised, recent)
    return msgspec.structs.replace(
        position,
        lots=lots,
        quantity=position.quantity - old.quantity + new.quantity,
        realised=realised,
        recent=recent,
    )


def _place(recent: tuple[Booked, ...], at: datetime | None) -> int:
    """Behind every trade that was not later; what has no time is never passed."""
    place = len(recent)
    while place and at is not None:
        before = recent[place - 1].at
        if before is None or before <= at:
            break
        place -= 1
    return place


def _in_turn(trades: Iterable[Booked]) -> tuple[Booked, ...]:
    """Every trade at its place, as if the times had been known when it was booked."""
    placed: tuple[Booked, ...] = ()
    for trade in trades:
        place = _place(placed, trade.at)
        placed = (*placed[:place], trade, *placed[place:])
    return placed


def _booked(
    lots: tuple[Lot, ...], realised: Decimal, trades: Iterable[Booked]
) -> tuple[tuple[Lot, ...], Decimal]:
    """Lots and profit after these trades: opposite lots close first, the oldest first."""
    left = deque(lots)
    for trade in trades:
        rest = trade.quantity
        while rest != ZERO and left and left[0].quantity * rest < ZERO:
            oldest = left.popleft()
            closing = -oldest.quantity if abs(oldest.quantity) <= abs(rest) else rest
            realised += -closing * (trade.price - oldest.price)
            remaining = oldest.quantity + closing
            if remaining != ZERO:
                left.appendleft(Lot(remaining, oldest.price))
            rest -= closing
        if rest != ZERO:
            left.append(Lot(rest, trade.price))
    return tuple(left), realised
