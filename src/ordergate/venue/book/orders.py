"""What the matching engine works on: orders in ticks and lots, and what matching made of them.

Everything is an integer, so that matching is exact and fast. An order is its own handle: whoever entered
it keeps it, and the book hands it back in what happened. Never knows a price in money, an account or a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

BUY: Final = 1
SELL: Final = -1

Life = Literal["rest", "ioc", "fok"]


class Order:
    """One order of the book. `tag` says whose it is; the orders of a recording have none."""

    __slots__ = (
        "ident",
        "leaves",
        "level",
        "life",
        "next",
        "prev",
        "price",
        "reserve",
        "side",
        "stop",
        "tag",
        "turn",
    )

    def __init__(
        self,
        side: int,
        leaves: int,
        price: int | None,
        *,
        stop: int | None = None,
        life: Life = "rest",
        tag: str | None = None,
        ident: int = 0,
    ) -> None:
        self.side = side
        self.leaves = leaves
        self.price = price  # None: at any price
        self.stop = stop  # None: awake
        self.life: Life = life
        self.tag = tag
        self.ident = ident
        self.reserve = 0  # hidden quantity that shows, at the back of the queue, once `leaves` is gone
        self.turn = 0  # place among the sleeping stops; 0 when awake
        self.level: Level | None = None
        self.prev: Order | None = None
        self.next: Order | None = None

    @property
    def resting(self) -> bool:
        return self.level is not None

    @property
    def sleeping(self) -> bool:
        return self.turn > 0

    def __repr__(self) -> str:
        side = "buy" if self.side == BUY else "sell"
        return f"Order({side} {self.leaves} at {self.price}, stop={self.stop}, {self.life}, tag={self.tag!r})"


class Level:
    """All orders at one price, oldest first: a list linked through the orders, so that joining, leaving and
    jumping to the front cost the same however long it is. `total` is the quantity they show.
    """

    __slots__ = ("head", "price", "tail", "total")

    def __init__(self, price: int) -> None:
        self.price = price
        self.total = 0
        self.head: Order | None = None
        self.tail: Order | None = None

    def __iter__(self) -> Iterator[Order]:
        order = self.head
        while order is not None:
            following = order.next
            yield order
            order = following

    def append(self, order: Order) -> None:
        order.level, order.prev, order.next = self, self.tail, None
        if self.tail is None:
            self.head = order
        else:
            self.tail.next = order
        self.tail = order
        self.total += order.leaves

    def append_front(self, order: Order) -> None:
        order.level, order.prev, order.next = self, None, self.head
        if self.head is None:
            self.tail = order
        else:
            self.head.prev = order
        self.head = order
        self.total += order.leaves

    def unlink(self, order: Order) -> None:
        if order.prev is None:
            self.head = order.next
        else:
            order.prev.next = order.next
        if order.next is None:
            self.tail = order.prev
        else:
            order.next.prev = order.prev
        order.level = order.prev = order.next = None
        self.total -= order.leaves


class Fill(NamedTuple):
    """`taker` met `maker` at the maker's price."""

    maker: Order
    taker: Order
    price: int
    qty: int


class Drop(NamedTuple):
    """What was left of the order may not rest, and is gone. Its `leaves` says how much that was."""

    order: Order


class Wake(NamedTuple):
    """The last trade reached the order's stop: from here on it is an order like any other."""

    order: Order


class Print(NamedTuple):
    """A trade of the recording in which no order of this book took part. `side` 0: an auction."""

    price: int
    qty: int
    side: int


Happening = Fill | Drop | Wake | Print
