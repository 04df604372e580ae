"""Matches orders by price, then by time: the whole exchange rule, and nothing else.

An order meets the best opposite price first and within a price the oldest order first, always at the price
of the order that was there. Before the open nothing meets. The same input always gives the same result:
there is no clock, no chance and no money here, and nobody is ever told anything: what happened is returned.
"""

from __future__ import annotations

from collections.abc import Iterator

from ordergate.venue.book.orders import BUY, SELL, Drop, Fill, Happening, Level, Life, Order, Wake
from ordergate.venue.book.sides import BookSide
from ordergate.venue.book.stops import Stops, reached


class Book:
    """One symbol's orders. `last` is the last traded price; stops listen to every traded price on the way."""

    __slots__ = ("_asks", "_bids", "_span", "_stops", "_tagged", "last", "open")

    def __init__(self) -> None:
        self.open = True
        self.last: int | None = None
        self._bids = BookSide(BUY)
        self._asks = BookSide(SELL)
        self._stops = Stops()
        self._span: tuple[int, int] | None = None  # lowest and highest trade since stops were looked at
        self._tagged = 0  # how many resting orders are somebody's

    # -- what can be asked

    def levels(self, side: int) -> Iterator[Level]:
        """One side's price levels, best first."""
        return iter(self._own(side))

    def best(self, side: int) -> Level | None:
        return self._own(side).best()

    @property
    def crossed(self) -> bool:
        bid, ask = self._bids.best(), self._asks.best()
        return bid is not None and ask is not None and bid.price >= ask.price

    # -- what participants do

    def enter(self, order: Order) -> list[Happening]:
        """Take a new order: it sleeps, meets, rests or drops. Stops it wakes follow in the same breath."""
        news: list[Happening] = []
        if order.stop is None:
            self._arrive(order, news)
        elif self.open and reached(order, self.last):
            self._wake(order, news)
        else:
            self._stops.add(order)
            return news
        self.wake_stops(news)
        return news

    def cancel(self, order: Order) -> None:
        """Take a resting or sleeping order out."""
        if order.sleeping:
            self._stops.remove(order)
        else:
            self.lift(order)

    def amend(
        self, order: Order, *, leaves: int, price: int | None, stop: int | None, life: Life
    ) -> list[Happening]:
        """Change a live order. Less of it at the same price keeps its place; any other change loses it."""
        if order.resting and price == order.price and leaves <= order.leaves and life == "rest":
            self.resize(order, leaves)
            return []
        awake = order.resting
        self.cancel(order)
        order.leaves, order.price, order.life = leaves, price, life
        order.stop = None if awake else stop
        return self.enter(order)

    def wake_stops(self, news: list[Happening]) -> None:
        """Let every stop in that a trade has reached, also a trade of those woken by the ones before.

        A taker may trade through several prices; what reached a stop on the way has reached it.
        """
        while self.open and (order := self._stops.wake(*self._reach())) is not None:
            self._wake(order, news)
        self._span = None

    # -- the parts, for whoever drives recorded flow through the book

    def trade_at(self, price: int) -> None:
        """A trade happened at this price. Stops hear of it when they are woken next."""
        self.last = price
        low, high = self._span or (price, price)
        self._span = (min(low, price), max(high, price))

    def meet(self, taker: Order, news: list[Happening]) -> None:
        """Trade the taker against the other side as far as its price reaches; what is left stays with it."""
        other = self._own(-taker.side)
        while taker.leaves:
            level = other.best()
            if level is None or not _reaches(taker, level.price):
                return
            while taker.leaves and (maker := level.head) is not None:
                self._trade(maker, taker, level, news)

    def meet_where_it_stands(self, order: Order, news: list[Happening]) -> None:
        """Like `meet`, of an order that rests: what is left of it keeps its place."""
        level, before = order.level, order.leaves
        if level is None:
            raise ValueError("the order does not rest here")
        self.meet(order, news)
        level.total -= before - order.leaves
        if not order.leaves:
            self.lift(order)

    def meet_tagged(self, taker: Order, news: list[Happening]) -> None:
        """Like `meet`, but only with orders that are somebody's; recorded orders are passed over."""
        if not self._tagged:
            return
        for maker in self._tagged_within(taker):
            if not taker.leaves:
                return
            if maker.level is not None:
                self._trade(maker, taker, maker.level, news)

    def rest(self, order: Order, *, front: bool = False) -> None:
        self._own(order.side).join(order, front=front)
        if order.tag is not None:
            self._tagged += 1

    def lift(self, order: Order) -> None:
        """Take a resting order out of its queue."""
        self._own(order.side).leave(order)
        if order.tag is not None:
            self._tagged -= 1

    def resize(self, order: Order, leaves: int) -> None:
        """Change what a resting order shows, where it stands."""
        if order.level is None:
            raise ValueError("the order does not rest here")
        order.level.total += leaves - order.leaves
        order.leaves = leaves

    def reachable(self, taker: Order) -> bool:
        """Whether the whole taker could trade now."""
        missing = taker.leaves
        for level in self._own(-taker.side):
            if not _reaches(taker, level.price):
                break
            missing -= level.total
            if missing <= 0:
                return True
        return False

    # -- inside

    def _own(self, side: int) -> BookSide:
        return self._bids if side == BUY else self._asks

    def _reach(self) -> tuple[int | None, int | None]:
        return self._span or (self.last, self.last)

    def _wake(self, order: Order, news: list[Happening]) -> None:
        order.stop = None
        news.append(Wake(order))
        self._arrive(order, news)

    def _arrive(self, order: Order, news: list[Happening]) -> None:
        if self.open and not (order.life == "fok" and not self.reachable(order)):
            self.meet(order, news)
        if not order.leaves:
            return
        if order.price is None or order.life != "rest":
            news.append(Drop(order))
        else:
            self.rest(order)

    def _trade(self, maker: Order, taker: Order, level: Level, news: list[Happening]) -> None:
        qty = min(maker.leaves, taker.leaves)
        taker.leaves -= qty
        maker.leaves -= qty
        level.total -= qty
        self.trade_at(level.price)
        news.append(Fill(maker, taker, level.price, qty))
        if maker.leaves:
            return
        self.lift(maker)
        if maker.reserve:
            maker.leaves, maker.reserve = maker.reserve, 0
            self.rest(maker)

    def _tagged_within(self, taker: Order) -> list[Order]:
        found: list[Order] = []
        for level in self._own(-taker.side):
            if not _reaches(taker, level.price):
                break
            found += [order for order in level if order.tag is not None]
        return found


def _reaches(taker: Order, price: int) -> bool:
    return taker.price is None or taker.side * (taker.price - price) >= 0
