"""What one paper account owns: cash and first-in-first-out lots, kept apart from the gateway's own books.

An execution that is changed is booked anew in its own place, as if it had always been so. Counts
every execution once, exactly, and decides nothing. Securities are paid for when traded; a future
moves cash by the profit of the lots it closes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument

_ZERO: Final = Decimal(0)
HOME: Final = "USD"


class PaperLedger:
    """Cash, in dollars and apart from that in every other currency, and positions.

    A symbol without an instrument is a security in dollars with multiplier 1.
    """

    def __init__(self, cash: Decimal, instruments: Mapping[Symbol, Instrument]) -> None:
        self.cash = cash
        self.foreign: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._instruments = instruments
        self._lots: dict[Symbol, deque[tuple[Decimal, Decimal]]] = {}
        self._opening_cash = cash
        self._booked: list[tuple[str, Symbol, Decimal, Decimal]] = []
        self._fees = _ZERO

    def book(
        self, symbol: Symbol, signed: Decimal, price: Decimal, exec_id: str = "", *, fee: Decimal = _ZERO
    ) -> None:
        """One execution: `signed` is positive for a buy. Its fee is not given back."""
        self._booked.append((exec_id, symbol, signed, price))
        self._fees += fee
        self.cash -= fee
        self._count(symbol, signed, price)

    def amend(self, exec_id: str, signed: Decimal, price: Decimal) -> None:
        """An execution is another one now; everything is counted anew."""
        self.cash = self._opening_cash - self._fees
        self.foreign.clear()
        self._lots.clear()
        for place, (known, symbol, was_signed, was_price) in enumerate(self._booked):
            now = (signed, price) if known == exec_id else (was_signed, was_price)
            self._booked[place] = (known, symbol, *now)
            self._count(symbol, *now)

    def _count(self, symbol: Symbol, signed: Decimal, price: Decimal) -> None:
        instrument = self._instruments.get(symbol)
        multiplier = Decimal(1) if instrument is None else instrument.multiplier
        profit = self._match(symbol, signed, price)
        moved = profit * multiplier
        if instrument is None or instrument.moves_cash_on_trade:
            moved = -signed * price * multiplier
        if instrument is None or instrument.currency == HOME:
            self.cash += moved
        else:
            self.foreign[instrument.currency] += moved

    def positions(self) -> dict[Symbol, Decimal]:
        """Signed quantities of what is open."""
        held = {symbol: sum((lot[0] for lot in lots), _ZERO) for symbol, lots in self._lots.items()}
        return {symbol: quantity for symbol, quantity in held.items() if quantity != _ZERO}

    def cost(self, symbol: Symbol) -> Decimal:
        """Signed sum of quantity times price of what is open."""
        return sum((quantity * price for quantity, price in self._lots.get(symbol, ())), _ZERO)

    def _match(self, symbol: Symbol, signed: Decimal, price: Decimal) -> Decimal:
        """Close the oldest lots of the other side, open what is left; the profit of the closed ones."""
        lots = self._lots.setdefault(symbol, deque())
        profit = _ZERO
        while signed and lots and (lots[0][0] > 0) != (signed > 0):
            quantity, entry = lots.popleft()
            closed = min(abs(quantity), abs(signed)).copy_sign(quantity)
            profit += closed * (price - entry)
            signed += closed
            if quantity != closed:
                lots.appendleft((quantity - closed, entry))
        if signed:
            lots.append((signed, price))
        return profit
