"""What is traded in a run, and on whose accounts. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import AssetClass, Instrument

ACCOUNTS: Final = (AccountId("P-ALPHA"), AccountId("P-BETA"))
LOGIN: Final = "paper"
TENANT: Final = "default"

ES: Final = Symbol("ESH4")
SPY: Final = Symbol("SPY")
SPY_RENAMED: Final = Symbol("SPYX")

INSTRUMENTS: Final[Mapping[Symbol, Instrument]] = {
    ES: Instrument(
        symbol=ES,
        name="E-mini S&P 500",
        asset_class=AssetClass.FUTURE,
        currency="USD",
        tick=Decimal("0.25"),
        lot=Decimal(1),
        multiplier=Decimal(50),
        calendar="CMES",
    ),
    SPY: Instrument(
        symbol=SPY,
        name="S&P 500 ETF",
        asset_class=AssetClass.EQUITY,
        currency="USD",
        tick=Decimal("0.01"),
        lot=Decimal(1),
        multiplier=Decimal(1),
        calendar="XNYS",
        aliases=(SPY_RENAMED,),
    ),
}

FIRST_PRICE: Final[Mapping[Symbol, Decimal]] = {ES: Decimal(4800), SPY: Decimal(480)}
"""Prices wander three percent either way at most; no order is as much as five away."""
