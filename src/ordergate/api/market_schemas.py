"""The shapes of quotes and trades, for the OpenAPI document and queries."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel

from ordergate.api.schemas import Asked, Figure, Symbol


class QuotesQuery(Asked):
    """Of one instrument."""

    symbol: Symbol


class LastQuote(BaseModel):
    """Top of book. A side without a price is null; `at` is when the gateway received it."""

    bid: Figure | None
    bid_size: Figure
    ask: Figure | None
    ask_size: Figure
    at: AwareDatetime


class LastTrade(BaseModel):
    price: Figure
    size: Figure
    at: AwareDatetime


class LastPrices(BaseModel):
    """The last quote and the last trade of an instrument. At most one of the two is null."""

    symbol: str
    quote: LastQuote | None
    trade: LastTrade | None
