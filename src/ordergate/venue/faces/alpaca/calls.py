"""What every route works with: the counter it serves at, and the shapes of a call and its answer.

Routes are plain functions of a counter and a call: they read no socket and wait for nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Encoder

from ordergate.venue.exchange import Exchange
from ordergate.venue.faces.alpaca.errors import Denial
from ordergate.venue.faces.alpaca.wire import ErrorBody
from ordergate.venue.words import AssetClass, Listing

_JSON: Final = Encoder()
_MARKET_JSON: Final = Encoder(decimal_format="number")  # market data carries numbers, orders carry strings


def names_of(symbol: str) -> tuple[str, str]:
    """What a listing is called: a pair with its slash, and without it."""
    return symbol, symbol.replace("/", "")


class Counter(Struct, frozen=True):
    """The exchange and its surroundings. `new_id` names orders whose client gave no name."""

    exchange: Exchange
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def class_of(self, symbol: str) -> AssetClass:
        return self.exchange.listings[symbol].asset_class

    def listing(self, reference: str, asset_id: Callable[[str], str]) -> Listing | None:
        """By symbol, by a pair's symbol without its slash, or by asset id."""
        listings = self.exchange.listings
        found = listings.get(reference)
        if found is not None:
            return found
        for symbol, listing in listings.items():
            if reference in (*names_of(symbol), asset_id(symbol)):
                return listing
        return None


class Call(Struct, frozen=True):
    """One authenticated request. `target` is what the path names: an id, a symbol, or nothing."""

    account: str
    target: str
    query: Mapping[str, str]
    body: bytes


class Answer(Struct, frozen=True):
    """A status and a JSON body, empty for 204."""

    status: int
    body: bytes


def answer(body: Any, status: int = 200) -> Answer:
    return Answer(status, _JSON.encode(body))


def market_answer(body: Any) -> Answer:
    return Answer(200, _MARKET_JSON.encode(body))


def denied(denial: Denial) -> Answer:
    return Answer(denial.status, _JSON.encode(ErrorBody(denial.message, denial.code)))
