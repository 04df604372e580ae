"""What the matching engine works on: orders in ticks and lots, and what matching made of them.

Everything is an integer, so that matching is exact and fast. An order is its own handle: whoever entered
it keeps it, and the book hands it back in what happened. Never knows a price in money, an account or a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from ordergate.venue.book.levels import Level

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
