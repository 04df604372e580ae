"""The limit orders of an account that may be resting at the market, the best of each side at hand.

An order that would meet one of them would trade with its own owner. Whatever may be alive counts as
resting, at the most aggressive price that it may have. Stops are not seen: where they are when they
trigger is not known.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.ids import OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side

SPARE_ENTRIES: Final = 64


class Quoted(NamedTuple):
    """An order at its price."""

    price: Decimal
    order: OrderId


class _Ladder:
    """One side of one symbol: the best price first. What has gone is dropped when it comes to the top."""

    __slots__ = ("_alive", "_heap", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign  # the lowest sell is the best, and the highest buy
        self._alive: dict[OrderId, Decimal] = {}
        self._heap: list[tuple[Decimal, OrderId]] = []

    def put(self, order: OrderId, price: Decimal) -> None:
        if self._alive.get(order) == price:
            return
        self._alive[order] = price
        heapq.heappush(self._heap, (self._sign * price, order))
        if len(self._heap) > 2 * len(self._alive) + SPARE_ENTRIES:
            self._heap = [(self._sign * price, one) for one, price in self._alive.items()]
            heapq.heapify(self._heap)

    def drop(self, order: OrderId) -> None:
        self._alive.pop(order, None)

    def best(self) -> Quoted | None:
        while self._heap:
            key, order = self._heap[0]
            if self._alive.get(order) == self._sign * key:
                return Quoted(self._sign * key, order)
            heapq.heappop(self._heap)
        return None

    def up_to(self, price: Decimal | None, most: int) -> list[OrderId]:
        """The orders at that price or better, the oldest first; one more than `most` at most."""
        found = []
        for order, at in self._alive.items():
            if price is None or self._sign * at <= self._sign * price:
                found.append(order)
                if len(found) > most:
                    break
        return found

    @property
    def is_empty(self) -> bool:
        return not self._alive


class Resting:
    """The resting orders of one account. Mutable, and owned by the account's lane."""

    def __init__(self, instruments: Mapping[Symbol, Instrument]) -> None:
        self._instruments = instruments
        self._ladders: dict[tuple[Symbol, Side], _Ladder] = {}

    def moved(self, order: Order) -> None:
        """An order began, changed or ended."""
        listed = self._instruments.get(order.terms.symbol)
        place = (order.terms.symbol if listed is None else listed.symbol, order.terms.side)
        price = None if order.is_final else _rests_at(order)
        ladder = self._ladders.get(place)
        if price is not None:
            if ladder is None:
                ladder = self._ladders[place] = _Ladder(1 if place[1] is Side.SELL else -1)
            ladder.put(order.id, price)
        elif ladder is not None:
            ladder.drop(order.id)
            if ladder.is_empty:
                del self._ladders[place]

    def best(self, symbol: Symbol, side: Side) -> Quoted | None:
        """The lowest sell, or the highest buy."""
        ladder = self._ladders.get((symbol, side))
        return None if ladder is None else ladder.best()

    def up_to(self, symbol: Symbol, side: Side, price: Decimal | None, most: int) -> list[OrderId]:
        """Those of a side that an order at this price would meet; at the market it meets all of them.

        One more than `most` at most.
        """
        ladder = self._ladders.get((symbol, side))
        return [] if ladder is None else ladder.up_to(price, most)


def _rests_at(order: Order) -> Decimal | None:
    if order.terms.type is not OrderType.LIMIT or order.terms.limit_price is None:
        return None
    price, asked = order.terms.limit_price, order.replacement
    if asked is None or asked.limit_price is None:
        return price
    return max(price, asked.limit_price) if order.terms.side is Side.BUY else min(price, asked.limit_price)
