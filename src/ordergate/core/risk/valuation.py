"""What one account's positions and open orders are worth, kept up to date in constant time.

Every symbol's share is worked out anew when its position, its open orders or its price changes, and only
the difference is added to the sums: the account's own, and those it has in common with other accounts of
this process. All lanes share one loop, so a sum is never looked at between a decision and its effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.accounts.positions import Position
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.risk.exposure import OpenInterest


class Share(NamedTuple):
    """One symbol's part. `up` and `down` are the net value if every buy, or every sell, filled.

    `worth` is what it adds to the account's cash: a security's value, a future's unrealised profit.
    `open_profit` is the unrealised profit that is in no cash yet, of futures alone.
    """

    gross: Decimal = ZERO
    up: Decimal = ZERO
    down: Decimal = ZERO
    unrealised: Decimal = ZERO
    worth: Decimal = ZERO
    open_profit: Decimal = ZERO


NOTHING: Final = Share()


class Line(NamedTuple):
    """What a symbol's share is worked out from. `cost` includes the multiplier."""

    position: Position
    cost: Decimal
    opened: OpenInterest
    instrument: Instrument
    share: Share = NOTHING

    def at(self, mark: Decimal | None) -> Line:
        """The same at another price."""
        return self._replace(share=share_of(self.position.quantity, self.cost, self, mark))


def exposed(value: Decimal, opened: OpenInterest) -> Share:
    """What a position of that value and the open orders beside it are exposed to, as a share."""
    up, down = value + opened.buy_value, value - opened.sell_value
    return Share(max(abs(value), abs(up), abs(down)), up, down)


def share_of(quantity: Decimal, cost: Decimal, line: Line, mark: Decimal | None) -> Share:
    """At the price of the market; at its own cost where none is known."""
    if quantity == ZERO:
        return exposed(ZERO, line.opened)
    instrument = line.instrument
    value = cost if mark is None else quantity * mark * instrument.multiplier
    gross, up, down = exposed(value, line.opened)[:3]
    unrealised = value - cost
    if instrument.moves_cash_on_trade:
        return Share(gross, up, down, unrealised, value, ZERO)
    return Share(gross, up, down, unrealised, unrealised, unrealised)


class Totals:
    """Shares added up. `absent` are accounts whose share is not in yet: the sum is not known then.

    The first account to join says in which currency; one in another never does.
    """

    __slots__ = ("absent", "currency", "down", "gross", "open_profit", "unrealised", "up", "worth")

    def __init__(self, absent: Iterable[AccountId] = ()) -> None:
        self.currency: str | None = None
        self.gross = self.up = self.down = self.unrealised = self.worth = self.open_profit = ZERO
        self.absent = set(absent)

    def move(self, before: Share, after: Share) -> None:
        self.gross += after.gross - before.gross
        self.up += after.up - before.up
        self.down += after.down - before.down
        self.unrealised += after.unrealised - before.unrealised
        self.worth += after.worth - before.worth
        self.open_profit += after.open_profit - before.open_profit


class Valuation:
    """The shares of one account. Mutable, and owned by the account's lane.

    `marked_at` is when every price was last looked up, `unknown` the symbols held that have no usable one.
    `shared` are the sums that it is part of.
    """

    def __init__(self) -> None:
        self.own = Totals()
        self.shared: Mapping[str, Totals] = {}
        self.marked_at: datetime | None = None
        self.unknown: frozenset[Symbol] = frozenset()
        self._marks: dict[Symbol, Decimal] = {}
        self._lines: dict[Symbol, Line] = {}
        self._foreign: set[Symbol] = set()

    @property
    def has_foreign(self) -> bool:
        """True while something is held, or open, that has no value in the account's currency."""
        return bool(self._foreign)

    def symbols(self) -> Iterator[Symbol]:
        """The symbols that have a position or an open order."""
        return iter(tuple(self._lines))

    def holds(self, symbol: Symbol) -> bool:
        """True when there is a position in it."""
        line = self._lines.get(symbol)
        return line is not None and line.position.quantity != ZERO

    def share(self, symbol: Symbol) -> Share:
        line = self._lines.get(symbol)
        return NOTHING if line is None else line.share

    def moved(
        self,
        symbol: Symbol,
        position: Position,
        opened: OpenInterest,
        instrument: Instrument | None,
        currency: str,
    ) -> None:
        """The symbol's position or its open orders changed."""
        before = self.share(symbol)
        if position.quantity == ZERO and opened.orders == 0:
            self._lines.pop(symbol, None)
            self._foreign.discard(symbol)
            self._move(before, NOTHING)
            return
        if instrument is None or instrument.currency != currency:
            self._foreign.add(symbol)
            return
        known = self._lines.get(symbol)
        same = known is not None and known.position is position
        cost = known.cost if known is not None and same else position.cost * instrument.multiplier
        line = Line(position, cost, opened, instrument).at(self._marks.get(symbol))
        self._lines[symbol] = line
        self._move(before, line.share)

    def mark(self, symbol: Symbol, price: Decimal) -> None:
        """The symbol's price is this now."""
        if self._marks.get(symbol) == price:
            return
        self._marks[symbol] = price
        line = self._lines.get(symbol)
        if line is None or line.position.quantity == ZERO:
            return
        self._lines[symbol] = line.at(price)
        self._move(line.share, self._lines[symbol].share)

    def looked_up(self, at: datetime, unknown: frozenset[Symbol]) -> None:
        """Every price was looked up; of these there is none that can be used."""
        self.marked_at, self.unknown = at, unknown

    def join(self, account: AccountId, currency: str, shared: Mapping[str, Totals]) -> None:
        """From now on this account is in the sums that it has in common with others."""
        joined: dict[str, Totals] = {}
        for name, totals in shared.items():
            totals.currency = totals.currency or currency
            if totals.currency != currency:
                continue
            joined[name] = totals
            for line in self._lines.values():
                totals.move(NOTHING, line.share)
            totals.absent.discard(account)
        self.shared = joined

    def leave(self) -> None:
        """What this one added to the sums is taken out of them, for another to take its place."""
        for totals in self.shared.values():
            for line in self._lines.values():
                totals.move(line.share, NOTHING)
        self.shared = {}

    def _move(self, before: Share, after: Share) -> None:
        self.own.move(before, after)
        for totals in self.shared.values():
            totals.move(before, after)
