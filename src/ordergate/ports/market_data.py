"""Prices, with their age. A price without a time is no price."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from ordergate.core.ids import Symbol


class Quote(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Top of book. A missing side is None. `at` is when the gateway received it (UTC)."""

    symbol: Symbol
    bid: Decimal | None
    bid_size: Decimal
    ask: Decimal | None
    ask_size: Decimal
    at: datetime


class Trade(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    symbol: Symbol
    price: Decimal
    size: Decimal
    at: datetime


class MarketData(Protocol):
    """A source of prices for a set of symbols, for as long as it is iterated."""

    def prices(self) -> AsyncIterator[Quote | Trade]: ...

    async def close(self) -> None: ...
