"""Keeps the money of one account: cash and first-in-first-out lots, exact to the last digit.

Equity and crypto move cash by the signed notional of each fill. A future moves no cash when it is opened;
closing pays the profit of the lots it closes. There are no fees. Never asks whether a trade was wise,
allowed or affordable: it only books what has happened.
"""

from collections import deque
from decimal import Decimal

from msgspec import Struct

from ordergate.venue.words import Listing, SideName

ZERO = Decimal(0)


class Lot(Struct):
    """What is still open of one fill; `qty` is signed."""

    qty: Decimal
    price: Decimal


class Holding:
    """The open lots of one symbol, oldest first. They all have the same sign."""

    __slots__ = ("listing", "lots", "qty", "realized")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.lots: deque[Lot] = deque()
        self.qty = ZERO
        self.realized = ZERO

    @property
    def cost(self) -> Decimal:
        """Signed cost of the open lots, multiplier included."""
        return sum((lot.qty * lot.price for lot in self.lots), ZERO) * self.listing.multiplier

    @property
    def avg_price(self) -> Decimal:
        return self.cost / (self.qty * self.listing.multiplier) if self.qty else ZERO

    def book(self, signed_qty: Decimal, price: Decimal) -> Decimal:
        """Close the oldest opposite lots, open the rest, and return the profit realised."""
        profit, left = ZERO, signed_qty
        while left and self.lots and (self.lots[0].qty > 0) != (left > 0):
            lot = self.lots[0]
            closed = min(abs(lot.qty), abs(left)).copy_sign(lot.qty)
            profit += (price - lot.price) * closed
            lot.qty -= closed
            left += closed
            if not lot.qty:
                self.lots.popleft()
        if left:
            self.lots.append(Lot(left, price))
        self.qty += signed_qty
        profit *= self.listing.multiplier
        self.realized += profit
        return profit


class Ledger:
    """One account's cash and holdings."""

    __slots__ = ("cash", "holdings")

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.holdings: dict[str, Holding] = {}

    def qty(self, symbol: str) -> Decimal:
        holding = self.holdings.get(symbol)
        return ZERO if holding is None else holding.qty

    def book(self, listing: Listing, side: SideName, qty: Decimal, price: Decimal) -> None:
        holding = self.holdings.get(listing.symbol)
        if holding is None:
            holding = self.holdings[listing.symbol] = Holding(listing)
        signed = qty if side == "buy" else -qty
        profit = holding.book(signed, price)
        if listing.asset_class == "future":
            self.cash += profit
        else:
            self.cash -= signed * price * listing.multiplier
