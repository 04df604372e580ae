"""What the public face asks of the market: the last prices, and what an account is worth by them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.money import text
from ordergate.engine.worth.appraising import Appraisal
from ordergate.ports.market_data import Quote, Trade
from ordergate.ports.views import Snapshot


class PricesLike(Protocol):
    """The last prices, as far as the API shows them."""

    def quote(self, symbol: Symbol) -> Quote | None: ...

    def trade(self, symbol: Symbol) -> Trade | None: ...


class WorthLike(Protocol):
    """What accounts are worth, as far as the API shows it."""

    def of(self, account: AccountId, snapshot: Snapshot) -> Appraisal: ...


class QuoteView(msgspec.Struct, frozen=True, kw_only=True):
    """Top of book. A side without a price is null; `at` is when the gateway received it."""

    bid: str | None
    bid_size: str
    ask: str | None
    ask_size: str
    at: datetime


class TradeView(msgspec.Struct, frozen=True, kw_only=True):
    price: str
    size: str
    at: datetime


class LastPricesView(msgspec.Struct, frozen=True, kw_only=True):
    """The last quote and the last trade of an instrument. At most one of the two is null."""

    symbol: str
    quote: QuoteView | None
    trade: TradeView | None


def last_prices(prices: PricesLike, symbol: Symbol) -> LastPricesView | None:
    """None where neither is known."""
    quote, trade = prices.quote(symbol), prices.trade(symbol)
    if quote is None and trade is None:
        return None
    return LastPricesView(
        symbol=symbol,
        quote=None if quote is None else _quote(quote),
        trade=None if trade is None else _trade(trade),
    )


def _quote(quote: Quote) -> QuoteView:
    return QuoteView(
        bid=price_text(quote.bid),
        bid_size=text(quote.bid_size),
        ask=price_text(quote.ask),
        ask_size=text(quote.ask_size),
        at=quote.at,
    )


def _trade(trade: Trade) -> TradeView:
    return TradeView(price=text(trade.price), size=text(trade.size), at=trade.at)


def price_text(price: Decimal | None) -> str | None:
    return None if price is None else text(price)
