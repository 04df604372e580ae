"""What one unit of a currency is worth in another: from a table, its inverse, or a cross through its base.

Rates are exact where the table says them. A quotient is rounded once, to 18 digits, up and down: who
converts takes the one that is against the trader, and multiplies exactly. Knows no age: a control compares
it. Guesses nothing: a currency that the table lacks has no rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final, NamedTuple

import msgspec

from ordergate.core.durations import in_seconds
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO

AGE_MAX: Final = timedelta(days=1)
"""Where no limit says less."""

_UP: Final = Context(prec=18, rounding=ROUND_CEILING)
_DOWN: Final = Context(prec=18, rounding=ROUND_FLOOR)


class FxRate(msgspec.Struct, frozen=True, kw_only=True):
    """One unit in the table's base: a figure that `source` said at `as_of`, or the price of a `symbol`."""

    rate: Decimal | None = None
    as_of: datetime | None = None
    source: str | None = None
    symbol: str | None = None

    def __post_init__(self) -> None:
        figure = (self.rate, self.as_of, self.source)
        if self.symbol is None and any(each is None for each in figure):
            raise ValueError("needs rate, as_of and source, or the symbol whose price it is")
        if self.symbol is not None and any(each is not None for each in figure):
            raise ValueError("has a symbol whose price it is, and so no rate, as_of or source")
        if self.rate is not None and not self.rate > ZERO:
            raise ValueError("rate must be more than zero")


class FxTable(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of currencies, in one base."""

    base: str
    rates: Mapping[str, FxRate]

    def __post_init__(self) -> None:
        if self.base in self.rates:
            raise ValueError(f"rates has {self.base}, which is its base")


class Quoted(NamedTuple):
    """A price that stands for a rate, when it was learned (UTC), and from whom."""

    rate: Decimal
    at: datetime
    source: str


Prices = Callable[[Symbol], Quoted | None]


class Rate(NamedTuple):
    """One unit in the home currency, rounded up and down. `at` is the older one's of those it is made of."""

    up: Decimal
    down: Decimal
    at: datetime
    source: str

    def dear(self, value: Decimal) -> Decimal:
        """At least what it is worth: of what is owed, or exposed."""
        return value * (self.up if value >= ZERO else self.down)

    def cheap(self, value: Decimal) -> Decimal:
        """At most what it is worth: of what is owned, or was made."""
        return value * (self.down if value >= ZERO else self.up)


class Fx(msgspec.Struct, frozen=True):
    """Everything in `home`; no rate may be older than `max_age`."""

    home: str
    rates: Mapping[str, Rate]
    max_age: timedelta

    def said(self, now: datetime) -> dict[str, str]:
        """The rates that were at hand, their age and source, as inputs of an answer."""
        found: dict[str, str] = {}
        for currency, rate in sorted(self.rates.items()):
            found[f"fx_rate_{currency}{self.home}"] = format(rate.up, "f")
            found[f"fx_age_s_{currency}{self.home}"] = in_seconds(now - rate.at)
            found[f"fx_source_{currency}{self.home}"] = rate.source
        return found


def rates_of(table: FxTable | None, prices: Prices, home: str, currencies: Iterable[str]) -> dict[str, Rate]:
    """The rate of every currency that has one."""
    found = {currency: _rate(table, prices, home, currency) for currency in currencies if currency != home}
    return {currency: rate for currency, rate in found.items() if rate is not None}


def _rate(table: FxTable | None, prices: Prices, home: str, currency: str) -> Rate | None:
    if table is None:
        return None
    ours, theirs = _in_base(table, prices, currency), _in_base(table, prices, home)
    if currency == table.base:
        return None if theirs is None else _quotient(Decimal(1), theirs.rate, theirs.at, theirs.source)
    if ours is None:
        return None
    if home == table.base:
        return Rate(ours.rate, ours.rate, ours.at, ours.source)
    if theirs is None:
        return None
    source = ours.source if ours.source == theirs.source else f"{ours.source} and {theirs.source}"
    return _quotient(ours.rate, theirs.rate, min(ours.at, theirs.at), source)


def _quotient(over: Decimal, under: Decimal, at: datetime, source: str) -> Rate:
    return Rate(_UP.divide(over, under), _DOWN.divide(over, under), at, source)


def _in_base(table: FxTable, prices: Prices, currency: str) -> Quoted | None:
    said = table.rates.get(currency)
    if said is None:
        return None
    if said.symbol is not None:
        found = prices(Symbol(said.symbol))
        usable = found is not None and found.rate.is_finite() and found.rate > ZERO
        return found._replace(source=f"{found.source} {said.symbol}") if found and usable else None
    if said.rate is None or said.as_of is None or said.source is None:
        return None
    return Quoted(said.rate, said.as_of, said.source)
