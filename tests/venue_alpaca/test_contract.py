"""A broad conversation with the venue, every word of it checked against Alpaca's published documents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from alpaca.common.enums import Sort
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
)

from ordergate.venue.server import Venue
from tests.venue_alpaca import floor
from tests.venue_alpaca.contract import Contract, Document, StreamContract, Violation
from tests.venue_alpaca.floor import ACME, ALICE, BOB, COIN, EMINI, Sdk, limit_order
from tests.venue_alpaca.listening import line, updates_line


@pytest.fixture
def specs(shared_dir: Path) -> Path:
    return shared_dir / "reference" / "specs" / "alpaca"


@pytest.fixture
def contract(specs: Path) -> Contract:
    return Contract(specs / "trading-api.json")


@pytest.fixture
def checked(venue: Venue, contract: Contract) -> Iterator[tuple[Sdk, Sdk]]:
    """Two SDK clients whose every request and answer is checked."""

    def check(response: requests.Response, **_: Any) -> None:
        sent = response.request
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        assert body is None or isinstance(body, bytes)
        assert sent.method is not None
        assert sent.url is not None
        contract.check(sent.method, sent.url, body, response.status_code, response.content)

    with floor.sdk(venue.base_url, ALICE) as alice, floor.sdk(venue.base_url, BOB) as bob:
        for client in (alice, bob):
            client._session.hooks["response"].append(check)
        yield alice, bob


def limit(side: OrderSide, price: float, qty: float, symbol: str = ACME) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=symbol, qty=qty, side=side, time_in_force=TimeInForce.GTC, limit_price=price
    )


def trade_everything(alice: Sdk, bob: Sdk) -> None:
    """Every order type and ending, on every kind of listing."""
    for symbol, price, qty in ((ACME, 10.05, 40), (EMINI, 4800.25, 2), (COIN, 42000.01, 0.5)):
        bob.submit_order(limit(OrderSide.SELL, price, qty, symbol))
        alice.submit_order(
            MarketOrderRequest(symbol=symbol, qty=qty / 2, side=OrderSide.BUY, time_in_force=TimeInForce.IOC)
        )
    resting = alice.submit_order(limit(OrderSide.BUY, 9.5, 10))
    replaced = alice.replace_order_by_id(resting.id, ReplaceOrderRequest(qty=8, limit_price=9.51))
    alice.get_order_by_id(resting.id)
    alice.cancel_order_by_id(replaced.id)
    alice.submit_order(
        StopOrderRequest(symbol=ACME, qty=1, side=OrderSide.SELL, time_in_force=TimeInForce.DAY, stop_price=8)
    )
    alice.submit_order(
        StopLimitOrderRequest(
            symbol=ACME,
            qty=1,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.GTC,
            stop_price=8,
            limit_price=7.9,
        )
    )


def ask_everything(alice: Sdk) -> None:
    alice.get_account()
    alice.get_all_positions()
    alice.get_open_position(ACME)
    alice.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, limit=500, direction=Sort.ASC))
    alice.get_orders(GetOrdersRequest(symbols=[ACME], side=OrderSide.SELL))
    alice.get("/account/activities", {"activity_types": "FILL", "page_size": 2})
    page = alice.get("/account/activities/FILL", {"page_size": 1, "direction": "asc"})
    alice.get("/account/activities/FILL", {"page_token": page[-1]["id"]})
    alice.get_all_assets()
    alice.get_asset(ACME)
    alice.get_clock()
    alice.get_calendar()


def test_a_broad_conversation_keeps_to_the_document(checked: tuple[Sdk, Sdk], contract: Contract) -> None:
    alice, bob = checked
    trade_everything(alice, bob)
    ask_everything(alice)
    bob.submit_order(limit(OrderSide.BUY, 10.0, 30))
    alice.close_position(ACME, ClosePositionRequest(qty="5"))
    alice.close_all_positions(cancel_orders=True)
    alice.cancel_orders()
    assert contract.seen >= {
        ("POST", "/v2/orders", 200),
        ("GET", "/v2/orders", 200),
        ("GET", "/v2/orders/{order_id}", 200),
        ("PATCH", "/v2/orders/{order_id}", 200),
        ("DELETE", "/v2/orders/{order_id}", 204),
        ("DELETE", "/v2/orders", 207),
        ("GET", "/v2/account", 200),
        ("GET", "/v2/account/activities", 200),
        ("GET", "/v2/account/activities/{activity_type}", 200),
        ("GET", "/v2/positions", 200),
        ("GET", "/v2/positions/{symbol_or_asset_id}", 200),
        ("DELETE", "/v2/positions/{symbol_or_asset_id}", 200),
        ("DELETE", "/v2/positions", 207),
        ("GET", "/v2/assets", 200),
        ("GET", "/v2/assets/{symbol_or_asset_id}", 200),
        ("GET", "/v2/clock", 200),
        ("GET", "/v2/calendar", 200),
    }


def test_every_no_is_an_error_of_the_documented_shape(
    http: httpx.Client, venue: Venue, contract: Contract
) -> None:
    def tell(answer: httpx.Response) -> int:
        sent = answer.request
        contract.check(sent.method, str(sent.url), sent.content, answer.status_code, answer.content)
        return answer.status_code

    unknown = "/v2/orders/00000000-0000-4000-8000-000000000000"
    assert tell(http.post("/v2/orders", json=limit_order("a"))) == 200
    assert tell(http.get("/v2/orders:by_client_order_id", params={"client_order_id": "a"})) == 200
    assert tell(http.post("/v2/orders", json=limit_order("a"))) == 422
    assert tell(http.post("/v2/orders", json=limit_order("b", qty="99999999"))) == 403
    assert tell(http.post("/v2/orders", content=b"{")) == 400
    assert tell(http.post("/v2/orders", json=limit_order("x", symbol="y" * 70_000))) == 413
    assert tell(http.get(unknown)) == 404
    assert tell(http.patch(unknown, json={"qty": "1"})) == 404
    assert tell(http.delete(unknown)) == 404
    assert tell(http.get("/v2/positions/ACME")) == 404
    assert tell(http.get("/v2/assets/NOSUCH")) == 404
    assert tell(http.get("/v2/account/activities/FILL", params={"page_token": "nothing"})) == 422
    with floor.http(venue.base_url, None) as stranger:
        assert tell(stranger.get("/v2/account")) == 401


async def test_the_frames_of_the_streams_keep_to_the_document(venue: Venue, specs: Path) -> None:
    contract = StreamContract(specs / "alpaca-asyncapi.yml")
    told: set[str] = set()
    auth = {"action": "auth", "key": ALICE.key, "secret": ALICE.secret}
    wanted = {"action": "subscribe", "trades": ["*"], "quotes": ["*"]}
    headers = {"APCA-API-KEY-ID": BOB.key, "APCA-API-SECRET-KEY": BOB.secret}
    coin = {"symbol": COIN, "time_in_force": "gtc", "qty": "0.5", "limit_price": "42000.5"}
    async with (
        line(venue.base_url, "/v2/iex") as stocks,
        line(venue.base_url, "/v1beta3/crypto/us") as crypto,
        updates_line(venue.base_url) as updates,
        httpx.AsyncClient(base_url=venue.base_url, headers=headers, timeout=20) as bob,
        httpx.AsyncClient(base_url=venue.base_url, timeout=20) as alice,
    ):
        alice.headers.update({"APCA-API-KEY-ID": ALICE.key, "APCA-API-SECRET-KEY": ALICE.secret})
        for market in (stocks, crypto):
            await market.hear()
            for frame in (wanted, auth, wanted):
                await market.ask(frame)
        for terms in ({}, coin):
            for client, side in ((bob, "sell"), (alice, "buy")):
                order = limit_order(f"{side}-{terms.get('symbol')}", **{**terms, "side": side})
                assert (await client.post("/v2/orders", json=order)).status_code == 200
        for _ in range(4):
            contract.check("TradeUpdate", await updates.hear())
        for market in (stocks, crypto):
            while not {"t", "q"} <= {message["T"] for frame in market.frames for message in frame}:
                await market.hear()
            for frame in market.frames:
                told.update(contract.check_market(frame, crypto=market is crypto))
    assert told >= {"ControlSuccess", "ControlError", "SubscriptionState"}
    assert told >= {"StockTrade", "StockQuote", "CryptoTrade", "CryptoQuote"}


def test_the_check_itself_finds_what_is_wrong(contract: Contract) -> None:
    clock = {"timestamp": "2024-01-02T03:04:05Z", "is_open": True}
    whole = clock | {"next_open": "2024-01-02T03:04:05Z", "next_close": "2024-01-02T03:04:05Z"}

    def check(body: dict[str, Any]) -> None:
        contract.check("GET", "http://venue/v2/clock", None, 200, httpx.Response(200, json=body).content)

    check(whole)
    for broken in (clock, whole | {"next_open": "soon"}, whole | {"mood": "good"}):
        with pytest.raises(Violation):
            check(broken)
    with pytest.raises(Violation):
        Document.check_schema({"type": "string", "format": "uuid"}, "not-a-uuid", "here")
