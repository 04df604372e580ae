"""Quotes and trades as clients see them. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.money import text
from ordergate.ports.market_data import Quote, Trade

_encode: Final = msgspec.json.Encoder().encode


def quote_frame(quote: Quote) -> bytes:
    return _encode(
        {
            "type": "quote",
            "symbol": quote.symbol,
            "bid": _text(quote.bid),
            "bid_size": text(quote.bid_size),
            "ask": _text(quote.ask),
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


def _text(price: Decimal | None) -> str | None:
    return None if price is None else text(price)
