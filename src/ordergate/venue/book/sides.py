"""Keeps one side of the book: its price levels, in order.

Prices are a sorted list whose last element is the best one: reading the best is free, finding a price is a
bisection. Never matches anything.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from ordergate.venue.book.orders import Level, Order


class BookSide:
    """One side's levels. Keys are prices times the side, so the greatest key is the best price."""

    __slots__ = ("_keys", "_levels", "_side")

    def __init__(self, side: int) -> None:
        self._side = side
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}

    def best(self) -> Level | None:
        return self._levels[self._keys[-1]] if self._keys else None

    def __iter__(self) -> Iterator[Level]:
        """Best price first. The side must not change while this runs."""
        return (self._levels[key] for key in reversed(self._keys))

    def join(self, order: Order, *, front: bool = False) -> None:
        if order.price is None:
            raise ValueError("an order without a price cannot rest")
        key = order.price * self._side
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = Level(order.price)
            insort(self._keys, key)
        if front:
            level.append_front(order)
        else:
            level.append(order)

    def leave(self, order: Order) -> None:
        level = order.level
        if level is None:
            raise ValueError("the order does not rest here")
        level.unlink(order)
        if level.head is None:
            self._discard(level)

    def _discard(self, level: Level) -> None:
        key = level.price * self._side
        del self._levels[key]
        if self._keys[-1] == key:
            self._keys.pop()
        else:
            del self._keys[bisect_left(self._keys, key)]
