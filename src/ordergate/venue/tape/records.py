"""What every tape is made of: steps in ticks and lots, in packets that happen at once.

A tape speaks market by order. The recording side of a book (`recording.py`) gives the words their effect.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Literal, Protocol

from msgspec import Struct

from ordergate.venue.words import Listing


class Action(IntEnum):
    ADD = 1  # an order joins the book
    MODIFY = 2  # an order has this price and size from now on
    CANCEL = 3  # this much of an order is gone
    AGGRESS = 4  # an incoming order trades, up to this price
    FILL = 5  # a resting order took part in the trade before
    AUCTION = 6  # the opening: everything that crosses trades at one price
    CLEAR = 7  # the recording starts from an empty book


class Step(Struct, frozen=True, gc=False):
    """One record. `side` is 1 for buy, -1 for sell, 0 for neither; `price` in ticks, `size` in lots."""

    action: Action
    ident: int
    side: int
    price: int
    size: int


class Packet(Struct, frozen=True):
    """Steps that happen together: between two packets the book is whole.

    `phase` says that from here on the market is before its open, or open; None leaves it as it is.
    """

    at_ns: int
    steps: tuple[Step, ...]
    phase: Literal["pre_open", "open"] | None = None


class Tape(Protocol):
    """A source of packets for one listing, in order of time. Reading it again starts it again."""

    @property
    def listing(self) -> Listing: ...

    @property
    def opens_at_ns(self) -> int | None:
        """When the market opens on this tape; None when it is open from its first packet."""

    def packets(self) -> Iterator[Packet]: ...


class TapeUnreadable(Exception):
    """The tape's data is not what its format promises."""
