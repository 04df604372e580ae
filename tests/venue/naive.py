"""A matching engine so simple that it is plainly right: one list, searched from end to end every time.

It keeps the same promises as the real book and shares no code with it.
"""

from dataclasses import dataclass, field
from typing import Literal

Life = Literal["rest", "ioc", "fok"]


@dataclass
class NaiveOrder:
    name: str
    side: int
    leaves: int
    price: int | None
    stop: int | None
    life: Life
    since: int = 0  # place in time; smaller is older
    awake: bool = False


@dataclass
class NaiveBook:
    orders: list[NaiveOrder] = field(default_factory=list)
    fills: list[tuple[str, str, int, int]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    last: int | None = None
    prices: list[int] = field(default_factory=list)  # of the trades since stops were looked at
    clock: int = 0

    def enter(self, order: NaiveOrder) -> None:
        self.clock += 1
        order.since = self.clock
        order.awake = order.stop is None
        self.orders.append(order)
        if order.awake:
            self._run(order)
        self._wake_all()

    def cancel(self, name: str) -> None:
        self.orders.remove(self.find(name))

    def amend(self, name: str, leaves: int, price: int | None, stop: int | None, life: Life) -> None:
        order = self.find(name)
        if order.awake and price == order.price and leaves <= order.leaves and life == "rest":
            order.leaves = leaves
            return
        self.orders.remove(order)
        self.enter(NaiveOrder(name, order.side, leaves, price, None if order.awake else stop, life))

    def find(self, name: str) -> NaiveOrder:
        return next(order for order in self.orders if order.name == name)

    def queue(self, side: int) -> list[tuple[str, int, int]]:
        """Every awake order of one side, in the order in which it would trade."""
        mine = [order for order in self.orders if order.awake and order.side == side]
        ranked = sorted(mine, key=lambda order: (-side * (order.price or 0), order.since))
        return [(order.name, order.price or 0, order.leaves) for order in ranked]

    def _run(self, taker: NaiveOrder) -> None:
        self.orders.remove(taker)
        reach = [order for order in self.orders if self._meets(taker, order)]
        if taker.life == "fok" and sum(order.leaves for order in reach) < taker.leaves:
            reach = []
        for maker in sorted(reach, key=lambda order: (taker.side * (order.price or 0), order.since)):
            qty = min(maker.leaves, taker.leaves)
            if not qty:
                break
            maker.leaves -= qty
            taker.leaves -= qty
            self.last = maker.price or 0
            self.prices.append(self.last)
            self.fills.append((maker.name, taker.name, maker.price or 0, qty))
        self.orders = [order for order in self.orders if order.leaves]
        if taker.leaves and taker.price is not None and taker.life == "rest":
            self.orders.append(taker)
        elif taker.leaves:
            self.dropped[taker.name] = taker.leaves

    def _meets(self, taker: NaiveOrder, maker: NaiveOrder) -> bool:
        if not maker.awake or maker.side == taker.side or maker.price is None:
            return False
        return taker.price is None or taker.side * (taker.price - maker.price) >= 0

    def _wake_all(self) -> None:
        while (sleeper := self._next_sleeper()) is not None:
            self.clock += 1
            sleeper.awake, sleeper.since = True, self.clock
            self._run(sleeper)
        self.prices.clear()

    def _next_sleeper(self) -> NaiveOrder | None:
        """Buys before sells, the nearest stop first, equals by age."""
        prices = self.prices or ([] if self.last is None else [self.last])
        due = [
            (-order.side, order.side * order.stop, order.since, order)
            for order in self.orders
            if not order.awake
            and order.stop is not None
            and any(order.side * (price - order.stop) >= 0 for price in prices)
        ]
        return min(due, key=lambda row: row[:3])[3] if due else None
