"""The last price of everything, with its age: what risk judges by and clients are shown."""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal
from typing import Final

from ordergate.core.ids import Symbol
from ordergate.core.risk.view import ReferencePrice, Top
from ordergate.ports.audience import Audience
from ordergate.ports.market_data import MarketData, Quote, Trade

_TWO: Final = Decimal(2)


class PriceBoard:
    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._quotes: dict[Symbol, Quote] = {}
        self._trades: dict[Symbol, Trade] = {}
        self._watched: Container[Symbol] = ()
        self._on_watched: Callable[[Symbol], None] | None = None

    def watch(self, symbols: Container[Symbol], call: Callable[[Symbol], None]) -> None:
        """Call at every price of one of these symbols, which may change meanwhile."""
        self._watched, self._on_watched = symbols, call

    async def follow(self, source: MarketData) -> None:
        """Take prices from a source for as long as it gives them."""
        async for price in source.prices():
            self.take(price)

    def take(self, price: Quote | Trade) -> None:
        if isinstance(price, Quote):
            self._quotes[price.symbol] = price
        else:
            self._trades[price.symbol] = price
        self._audience.tell_price(price)
        if self._on_watched is not None and price.symbol in self._watched:
            self._on_watched(price.symbol)

    def quote(self, symbol: Symbol) -> Quote | None:
        return self._quotes.get(symbol)

    def trade(self, symbol: Symbol) -> Trade | None:
        return self._trades.get(symbol)

    def top(self, symbol: Symbol) -> Top | None:
        """The latest quote, whatever it says."""
        quote = self._quotes.get(symbol)
        return None if quote is None else Top(quote.bid, quote.ask, quote.at)

    def reference(self, symbol: Symbol) -> ReferencePrice | None:
        """The middle of an uncrossed quote, or the last trade when that is newer; never a guess."""
        quote, trade = self._quotes.get(symbol), self._trades.get(symbol)
        middle = None if quote is None else _middle(quote)
        if middle is not None and (trade is None or middle.at >= trade.at):
            return middle
        return None if trade is None else ReferencePrice(trade.price, trade.at, "trade")


def _middle(quote: Quote) -> ReferencePrice | None:
    if quote.bid is None or quote.ask is None or quote.bid > quote.ask:
        return None
    return ReferencePrice((quote.bid + quote.ask) / _TWO, quote.at, "quote")
