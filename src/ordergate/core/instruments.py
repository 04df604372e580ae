"""What can be traded, and the grid its prices and quantities lie on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from ordergate.core.ids import Symbol


class AssetClass(StrEnum):
    EQUITY = "equity"
    FUTURE = "future"
    CRYPTO = "crypto"


class Instrument(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One tradable contract or security.

    `tick` and `lot` are the steps of price and quantity; `multiplier` is the value in
    `currency` of one whole point of price for one unit of quantity (50 for E-mini S&P 500).
    `calendar` names the trading calendar; `24/7` never closes. `aliases` are other names, such as
    the one before it was renamed: news in any of them is about this instrument, and so are orders
    that were placed under them. New orders use `symbol`.
    """

    symbol: Symbol
    name: str
    asset_class: AssetClass
    currency: str
    tick: Decimal
    lot: Decimal
    multiplier: Decimal
    calendar: str
    aliases: tuple[Symbol, ...] = ()

    def __post_init__(self) -> None:
        if not all(step.is_finite() and step > 0 for step in (self.tick, self.lot, self.multiplier)):
            raise ValueError(f"{self.symbol}: tick, lot and multiplier must be positive")

    @property
    def moves_cash_on_trade(self) -> bool:
        """Securities and coins are paid for when traded; a future settles its profit only."""
        return self.asset_class is not AssetClass.FUTURE


def names_of(instruments: Iterable[Instrument]) -> dict[Symbol, Symbol]:
    """Every other name, and the symbol that it stands for. Raises ValueError for a name of two."""
    listed = list(instruments)
    names: dict[Symbol, Symbol] = {}
    symbols = {instrument.symbol for instrument in listed}
    for instrument in listed:
        for alias in instrument.aliases:
            if alias in symbols or alias in names:
                raise ValueError(f"{alias} names two instruments")
            names[alias] = instrument.symbol
    return names


def by_any_name(instruments: Mapping[Symbol, Instrument]) -> dict[Symbol, Instrument]:
    """The instruments by their symbols and by every other name."""
    other = names_of(instruments.values())
    return {**instruments, **{alias: instruments[symbol] for alias, symbol in other.items()}}
