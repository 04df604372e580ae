"""Keeps the stop orders that sleep until a trade reaches their price.

Buy stops wake from the lowest price up, sell stops from the highest down, equals in the order they came.
Never trades: waking an order only hands it back.
"""

from __future__ import annotations

from heapq import heappop, heappush

from ordergate.venue.book.orders import BUY, Order


def reached(order: Order, price: int | None) -> bool:
    """Whether a trade at this price is at the order's stop or beyond it."""
    return price is not None and order.stop is not None and order.side * (price - order.stop) >= 0


class Stops:
    __slots__ = ("_buys", "_sells", "_turns")

    def __init__(self) -> None:
        self._turns = 0
        # A cancelled stop stays in its heap until it comes up: its turn no longer matches then.
        self._buys: list[tuple[int, int, Order]] = []
        self._sells: list[tuple[int, int, Order]] = []

    def add(self, order: Order) -> None:
        if order.stop is None:
            raise ValueError("the order has no stop price")
        self._turns += 1
        order.turn = self._turns
        heap = self._buys if order.side == BUY else self._sells
        heappush(heap, (order.stop * order.side, self._turns, order))

    def remove(self, order: Order) -> None:
        if not order.turn:
            raise ValueError("the order does not sleep here")
        order.turn = 0

    def wake(self, low: int | None, high: int | None) -> Order | None:
        """The next stop that trades from `low` to `high` have reached, awake and no longer kept, or None."""
        for heap, price in ((self._buys, high), (self._sells, low)):
            while heap and heap[0][1] != heap[0][2].turn:
                heappop(heap)
            if heap and reached(heap[0][2], price):
                order = heappop(heap)[2]
                order.turn = 0
                return order
        return None
