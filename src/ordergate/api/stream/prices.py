"""Quotes and trades as clients see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ordergate.api.market import PricesLike, price_text
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.wire import framed
from ordergate.core.ids import Symbol
from ordergate.core.money import text
from ordergate.ports.market_data import Quote, Trade

_encode: Final = msgspec.json.Encoder().encode


def quote_frame(quote: Quote) -> bytes:
    return _encode(
        {
            "type": "quote",
            "symbol": quote.symbol,
            "bid": price_text(quote.bid),
            "bid_size": text(quote.bid_size),
            "ask": price_text(quote.ask),
            "ask_size": text(quote.ask_size),
            "at": quote.at,
        }
    )


def trade_frame(trade: Trade) -> bytes:
    return _encode(
        {
            "type": "trade",
            "symbol": trade.symbol,
            "price": text(trade.price),
            "size": text(trade.size),
            "at": trade.at,
        }
    )


def tell_latest(prices: PricesLike, outbox: Outbox, channel: str, symbols: Iterable[str]) -> None:
    """What is known already, to somebody who begins to watch."""
    for symbol in map(Symbol, symbols):
        if channel == "quotes":
            quote = prices.quote(symbol)
            if quote is not None:
                outbox.push_quote(symbol, framed(quote_frame(quote)))
        elif (trade := prices.trade(symbol)) is not None:
            outbox.push_trade(framed(trade_frame(trade)))
