"""Makes order flow up, from a seed: the same seed is the same flow, for any listing.

Orders join around a fair price that wanders, some are cancelled, and incoming ones trade against the best
price, more often towards the fair price than away from it. The flow is made on a book of its own, so what
it says of fills and remainders is what a book would do. It is a market to test in, not a model of one.
"""

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Final

from ordergate.venue.book import BUY, SELL, Book, Fill, Happening, Order
from ordergate.venue.tape.records import Action, Packet, Step
from ordergate.venue.words import Listing

NS_PER_S: Final = 1_000_000_000
LEVELS_AT_START: Final = 12
ORDERS_MIN: Final = 24  # on each side; below it nothing is cancelled and nothing trades
ORDERS_MAX: Final = 150
DEPTH_TICKS: Final = 20


class SyntheticTape:
    """`lots` is the usual size of an order; without `packets_max` the tape never ends."""

    def __init__(
        self,
        listing: Listing,
        *,
        seed: int,
        price: Decimal,
        lots: int = 10,
        rate_hz: float = 20.0,
        packets_max: int | None = None,
    ) -> None:
        ticks, off = divmod(price, listing.tick)
        if off or ticks <= DEPTH_TICKS * 2:
            raise ValueError(f"price must be a multiple of {listing.tick} with room below it, was {price}")
        if lots < 1 or rate_hz <= 0:
            raise ValueError("lots and rate_hz must be positive")
        self._listing = listing
        self._seed = seed
        self._ticks = int(ticks)
        self._lots = lots
        self._rate_hz = rate_hz
        self._packets_max = packets_max

    @property
    def listing(self) -> Listing:
        return self._listing

    @property
    def opens_at_ns(self) -> int | None:
        return None

    def packets(self) -> Iterator[Packet]:
        chance = Random(self._seed)  # noqa: S311  (a made-up market has no secrets)
        flow = _Flow(chance, self._ticks, self._lots)
        at_ns, made = 0, 0
        steps = flow.start()
        while self._packets_max is None or made < self._packets_max:
            yield Packet(at_ns, tuple(steps))
            made += 1
            at_ns += int(chance.expovariate(self._rate_hz) * NS_PER_S)
            steps = flow.next()


class _Flow:
    def __init__(self, chance: Random, fair: int, lots: int) -> None:
        self._chance = chance
        self._floor = fair // 2  # the fair price stays where there is room for a book below it
        self._fair = fair
        self._lots = lots
        self._book = Book()
        self._orders: dict[int, list[Order]] = {BUY: [], SELL: []}
        self._idents = 0

    def start(self) -> list[Step]:
        steps: list[Step] = []
        for distance in range(1, LEVELS_AT_START + 1):
            for side in (BUY, SELL):
                steps += [self._join(side, self._fair - side * distance) for _ in range(2)]
        return steps

    def next(self) -> list[Step]:
        self._wander()
        side = self._chance.choice((BUY, SELL))
        held = len(self._orders[side])
        drawn = self._chance.random()
        if held < ORDERS_MIN or (drawn < 0.45 and held < ORDERS_MAX):
            return [self._add(side)]
        if drawn < 0.8:
            return [self._cancel(side)]
        return self._trade()

    def _wander(self) -> None:
        drawn = self._chance.random()
        if drawn < 0.04:
            self._fair += 1
        elif drawn < 0.08 and self._fair > self._floor:
            self._fair -= 1

    def _add(self, side: int) -> Step:
        """Near the fair price more often than far from it, and never across the other side."""
        distance = 1 + min(int(self._chance.expovariate(0.35)), DEPTH_TICKS)
        price = self._fair - side * distance
        other = self._book.best(-side)
        if other is not None and side * (price - other.price) >= 0:
            price = other.price - side
        return self._join(side, price)

    def _join(self, side: int, price: int) -> Step:
        self._idents += 1
        order = Order(side, self._chance.randint(1, 2 * self._lots), price, ident=self._idents)
        self._book.rest(order)
        self._orders[side].append(order)
        return Step(Action.ADD, order.ident, side, price, order.leaves)

    def _cancel(self, side: int) -> Step:
        orders = self._orders[side]
        at = self._chance.randrange(len(orders))
        orders[at], orders[-1] = orders[-1], orders[at]
        order = orders.pop()
        self._book.lift(order)
        return _gone(order, order.leaves)

    def _trade(self) -> list[Step]:
        """An incoming order takes from the best price what it wants, or what there is."""
        side = self._taker_side()
        best = self._book.best(-side)
        if best is None or len(self._orders[-side]) < ORDERS_MIN:
            return [self._add(-side)]
        wanted = min(self._chance.randint(1, 3 * self._lots), best.total)
        self._idents += 1
        taker = Order(side, wanted, best.price, ident=self._idents)
        steps = [Step(Action.AGGRESS, taker.ident, side, best.price, wanted)]
        news: list[Happening] = []
        self._book.meet(taker, news)
        fills = [item for item in news if isinstance(item, Fill)]
        steps += [Step(Action.FILL, fill.maker.ident, -side, fill.price, fill.qty) for fill in fills]
        for fill in fills:
            if fill.maker.leaves:
                steps.append(Step(Action.MODIFY, fill.maker.ident, -side, fill.price, fill.maker.leaves))
            else:
                self._orders[-side].remove(fill.maker)
                steps.append(_gone(fill.maker, fill.qty))
        return steps

    def _taker_side(self) -> int:
        """Towards the fair price more often than away from it."""
        bid, ask = self._book.best(BUY), self._book.best(SELL)
        if bid is None or ask is None:
            return self._chance.choice((BUY, SELL))
        pull = (self._fair - (bid.price + ask.price) / 2) * 0.15
        return BUY if self._chance.random() < min(0.9, max(0.1, 0.5 + pull)) else SELL


def _gone(order: Order, size: int) -> Step:
    return Step(Action.CANCEL, order.ident, order.side, order.price or 0, size)
