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
from ordergate.core.risk.fx import Rate


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

    def at_rate(self, rate: Rate) -> Share:
        """The same in another currency, no side of it smaller and no profit larger than it is."""
        return Share(
            rate.dear(self.gross),
            rate.dear(self.up),
            rate.cheap(self.down),
            rate.cheap(self.unrealised),
            rate.cheap(self.worth),
            rate.cheap(self.open_profit),
        )


NOTHING: Final = Share()
_NOWHERE: Final = frozenset[str]()


class Line(NamedTuple):
    """What a symbol's share is worked out from. `cost` includes the multiplier."""

    position: Position
    cost: Decimal
    opened: OpenInterest
    instrument: Instrument
    share: Share = NOTHING

    def is_of(self, position: Position, opened: OpenInterest, instrument: Instrument | None) -> bool:
        """True where nothing has changed since; an equal flat position is often another object."""
        return self.opened is opened and self.instrument is instrument and self.position == position

    def at(self, mark: Decimal | None, rate: Rate | None = None) -> Line:
        """The same at another price, converted where there is a rate."""
        share = share_of(self.position.quantity, self.cost, self, mark)
        return self._replace(share=share if rate is None else share.at_rate(rate))


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

    The first account to join says in which currency; one valued in another never does.
    """

    __slots__ = ("absent", "currency", "down", "gross", "open_profit", "present", "unrealised", "up", "worth")

    def __init__(self, absent: Iterable[AccountId] = ()) -> None:
        self.currency: str | None = None
        self.gross = self.up = self.down = self.unrealised = self.worth = self.open_profit = ZERO
        self.absent = set(absent)
        self.present: set[AccountId] = set()

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
    `shared` are the sums that it is part of, `abroad` the other currencies that something held or open is in.
    All is in `home`.
    """

    def __init__(self) -> None:
        self.own = Totals()
        self.shared: Mapping[str, Totals] = {}
        self.marked_at: datetime | None = None
        self.unknown: frozenset[Symbol] = frozenset()
        self._marks: dict[Symbol, Decimal] = {}
        self._lines: dict[Symbol, Line] = {}
        self._foreign: set[Symbol] = set()
        self.home: str | None = None
        self._rates: Mapping[str, Rate] = {}
        self._abroad: dict[Symbol, str] = {}
        self.abroad = _NOWHERE
        self._account: AccountId | None = None

    @property
    def has_foreign(self) -> bool:
        """True while something is held, or open, that has no known value in the home currency."""
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
        """The symbol's position or its open orders changed. `currency` is home until another is said."""
        self.home = self.home or currency
        known = self._lines.get(symbol)
        if known is not None and known.is_of(position, opened, instrument) and symbol not in self._foreign:
            return  # an acknowledgement, for one, moves nothing
        before = NOTHING if known is None else known.share
        if position.quantity == ZERO and opened.orders == 0:
            self._lines.pop(symbol, None)
            self._foreign.discard(symbol)
            self._is_in(symbol, None)
            self._move(before, NOTHING)
            return
        if instrument is None:
            self._foreign.add(symbol)
            return
        same = known is not None and known.position is position
        cost = known.cost if known is not None and same else position.cost * instrument.multiplier
        self._put(symbol, Line(position, cost, opened, instrument, before))

    def mark(self, symbol: Symbol, price: Decimal) -> None:
        """The symbol's price is this now."""
        if self._marks.get(symbol) == price:
            return
        self._marks[symbol] = price
        line = self._lines.get(symbol)
        if line is None or line.position.quantity == ZERO:
            return
        self._put(symbol, line)

    def _put(self, symbol: Symbol, line: Line) -> None:
        """The line at what its price and its rate are now, in the place of what it was."""
        rate, currency = None, line.instrument.currency
        if currency == self.home:
            self._is_in(symbol, None)
            self._foreign.discard(symbol)
        else:
            self._is_in(symbol, currency)
            rate = self._rates.get(currency)
            if rate is None:
                self._foreign.add(symbol)
                self._lines[symbol] = line._replace(share=NOTHING)
                self._move(line.share, NOTHING)
                return
            self._foreign.discard(symbol)
        self._lines[symbol] = after = line.at(self._marks.get(symbol), rate)
        self._move(line.share, after.share)

    def _is_in(self, symbol: Symbol, currency: str | None) -> None:
        """The symbol is in that other currency; None where it is in none, or gone."""
        if self._abroad.get(symbol) == currency:
            return
        if currency is None:
            del self._abroad[symbol]
        else:
            self._abroad[symbol] = currency
        self.abroad = frozenset(self._abroad.values())

    def express(self, home: str, rates: Mapping[str, Rate]) -> None:
        """Everything is in `home` from now on, at these rates. In another currency it is in no common sum."""
        if home != self.home:
            self._withdraw()
            self.home, self._rates = home, rates
            changed = set(self._lines)
        else:
            if rates == self._rates:
                return
            was, self._rates = self._rates, rates
            changed = {symbol for symbol, at in self._abroad.items() if was.get(at) != rates.get(at)}
        for symbol in changed:
            self._put(symbol, self._lines[symbol])

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
            totals.present.add(account)
        self.shared, self._account = joined, account

    def _withdraw(self) -> None:
        """The sums are not known until it joins them again; where nobody is left they are of no currency."""
        shared = self.shared
        self.leave()
        for totals in shared.values():
            if self._account is not None:
                totals.absent.add(self._account)
                totals.present.discard(self._account)
            if not totals.present:
                totals.currency = None

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
