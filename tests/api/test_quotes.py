"""The last prices by REST, and to whoever begins to watch them on the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps
from ordergate.core.access import Scope
from ordergate.engine.worth.prices import PriceBoard
from ordergate.ports.market_data import Quote, Trade
from tests.api.ledger import ES
from tests.api.people import EVERYTHING, TRADER, Directory, principal
from tests.api.served import Served, Talk

AT = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
QUOTE = Quote(
    symbol=ES.symbol, bid=Decimal("4800.25"), bid_size=Decimal(3), ask=None, ask_size=Decimal(0), at=AT
)
TRADE = Trade(symbol=ES.symbol, price=Decimal("4800.50"), size=Decimal(2), at=AT)
OF_ES = f"/v1/quotes?symbol={ES.symbol}"


@pytest.fixture
def board(deps: ApiDeps) -> PriceBoard:
    assert isinstance(deps.prices, PriceBoard)
    return deps.prices


@pytest.fixture
async def talk(served: Served) -> AsyncIterator[Talk]:
    async with served.stream() as talk:
        await talk.until("authenticated")
        yield talk


async def test_the_last_quote_and_the_last_trade_are_shown_with_their_times(
    client: httpx.AsyncClient, board: PriceBoard
) -> None:
    board.take(QUOTE)
    board.take(TRADE)
    answer = await client.get(OF_ES)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "symbol": "ESM4",
            "quote": {
                "bid": "4800.25",
                "bid_size": "3",
                "ask": None,
                "ask_size": "0",
                "at": "2024-03-01T14:30:00Z",
            },
            "trade": {"price": "4800.5", "size": "2", "at": "2024-03-01T14:30:00Z"},
        },
    )


async def test_what_is_not_known_is_null(client: httpx.AsyncClient, board: PriceBoard) -> None:
    board.take(TRADE)
    assert (await client.get(OF_ES)).json()["quote"] is None


async def test_where_nothing_is_known_there_is_a_code_for_it(client: httpx.AsyncClient) -> None:
    answer = await client.get(OF_ES)
    assert (answer.status_code, answer.json()["code"]) == (404, "no-price")


async def test_an_instrument_that_is_not_listed_has_no_quotes(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/quotes?symbol=NOPE")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-instrument")


async def test_quotes_take_the_scope_that_they_take_on_the_stream(
    client: httpx.AsyncClient, identity: Directory
) -> None:
    blind = msgspec.structs.replace(
        principal("blind", EVERYTHING), scopes=frozenset(Scope) - {Scope.MARKET_DATA_READ}
    )
    identity.principals[TRADER] = blind
    assert (await client.get(OF_ES)).json()["code"] == "forbidden"


async def test_whoever_begins_to_watch_quotes_is_told_the_last_one(talk: Talk, board: PriceBoard) -> None:
    board.take(QUOTE)
    await talk.send(type="subscribe", channel="quotes", symbols=["ESM4"])
    assert (await talk.until("subscribed"))["symbols"] == ["ESM4"]
    assert (await talk.until("quote"))["bid"] == "4800.25"


async def test_whoever_begins_to_watch_trades_is_told_the_last_one(talk: Talk, board: PriceBoard) -> None:
    board.take(TRADE)
    await talk.send(type="subscribe", channel="trades", symbols=["ESM4"])
    assert (await talk.until("subscribed"))["symbols"] == ["ESM4"]
    assert (await talk.until("trade"))["price"] == "4800.5"
