"""The latest quote and trade by REST: what a client asks for before its stream has said anything."""

from collections.abc import Iterable

from ordergate.venue.faces.alpaca.calls import Answer, Call, Counter, market_answer
from ordergate.venue.faces.alpaca.translate import quote_frame, trade_frame


def _symbols(counter: Counter, call: Call, *, crypto: bool) -> Iterable[str]:
    """The asked ones that are listed on this feed, each once; unknown ones are left out, as Alpaca does."""
    for symbol in dict.fromkeys(word.strip() for word in call.query.get("symbols", "").split(",")):
        listing = counter.exchange.listings.get(symbol)
        if listing is not None and (listing.asset_class == "crypto") == crypto:
            yield symbol


def _quotes(counter: Counter, call: Call, *, crypto: bool) -> Answer:
    found = {symbol: counter.exchange.quote(symbol) for symbol in _symbols(counter, call, crypto=crypto)}
    return market_answer(
        {"quotes": {s: quote_frame(q, crypto=crypto) for s, q in found.items() if q is not None}}
    )


def _trades(counter: Counter, call: Call, *, crypto: bool) -> Answer:
    found = {symbol: counter.exchange.last_trade(symbol) for symbol in _symbols(counter, call, crypto=crypto)}
    return market_answer(
        {"trades": {s: trade_frame(t, crypto=crypto) for s, t in found.items() if t is not None}}
    )


def stock_quotes(counter: Counter, call: Call) -> Answer:
    return _quotes(counter, call, crypto=False)


def stock_trades(counter: Counter, call: Call) -> Answer:
    return _trades(counter, call, crypto=False)


def crypto_quotes(counter: Counter, call: Call) -> Answer:
    return _quotes(counter, call, crypto=True)


def crypto_trades(counter: Counter, call: Call) -> Answer:
    return _trades(counter, call, crypto=True)
