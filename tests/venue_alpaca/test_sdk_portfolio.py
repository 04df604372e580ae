"""The official SDK sees its account, positions, fills, assets and market here, and closes positions."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockLatestQuoteRequest, StockLatestTradeRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
)
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)

from ordergate.venue.server import Venue
from ordergate.venue.settings import DbnTapeSettings
from tests.venue_alpaca import floor
from tests.venue_alpaca.floor import ACME, COIN, EMINI, Sdk
from tests.venue_alpaca.trading import bid, offer, placed, shown


def test_positions_and_cash_follow_the_fills(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.00", 100)
    bid(alice, "10.00", 100)
    position = alice.get_open_position(ACME)
    assert (position.qty, position.avg_entry_price, position.side) == ("100", "10", PositionSide.LONG)
    assert (position.cost_basis, position.unrealized_pl) == ("1000", "0")
    assert [held.symbol for held in alice.get_all_positions()] == [ACME]
    assert alice.get_account().cash == "99000"
    assert bob.get_open_position(ACME).qty == "-100"
    assert bob.get_open_position(ACME).side is PositionSide.SHORT


def test_what_open_orders_would_close_is_not_available(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.00", 100)
    bid(alice, "10.00", 100)
    offer(alice, "12.00", 30)
    assert alice.get_open_position(ACME).qty_available == "70"


def test_a_future_moves_no_cash_until_it_is_closed(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "4800.25", 1, EMINI)
    placed(alice, MarketOrderRequest(symbol=EMINI, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY))
    assert alice.get_account().cash == "100000"
    assert alice.get_open_position(EMINI).cost_basis == "240012.5"
    placed(
        bob,
        LimitOrderRequest(
            symbol=EMINI, qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=4801.5
        ),
    )
    alice.close_position(EMINI)
    assert alice.get_account().cash == "100062.5"


def test_positions_are_closed_by_order(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.00", 100)
    bid(alice, "10.00", 100)
    bid(bob, "9.99", 100)
    part = alice.close_position(ACME, ClosePositionRequest(percentage="25"))
    assert (part.qty, part.side, part.type) == ("25", OrderSide.SELL, OrderType.MARKET)
    answers = alice.close_all_positions(cancel_orders=True)
    assert [(answer.symbol, answer.status) for answer in answers] == [(ACME, 200)]
    assert alice.get_all_positions() == []


def test_what_open_orders_would_close_is_not_closed_a_second_time(venue: Venue, alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.00", 100)
    bid(alice, "10.00", 100)
    bid(bob, "9.99", 200)
    offer(alice, "12.00", 30)
    with floor.http(venue.base_url) as client:
        for asked in ("", "?qty=71", "?percentage=80"):
            assert client.delete(f"/v2/positions/{ACME}{asked}").status_code == 403
    [answer] = alice.close_all_positions(cancel_orders=False)
    assert (answer.symbol, answer.status) == (ACME, 403)
    assert alice.get_open_position(ACME).qty == "100"
    alice.close_position(ACME, ClosePositionRequest(qty="70"))
    assert alice.get_open_position(ACME).qty == "30"


@pytest.mark.parametrize("asked", ["qty=", "percentage="])
def test_how_much_to_close_is_not_all_of_it_when_it_is_left_empty(
    venue: Venue, alice: Sdk, bob: Sdk, asked: str
) -> None:
    offer(bob, "10.00", 100)
    bid(alice, "10.00", 100)
    bid(bob, "9.99", 100)
    with floor.http(venue.base_url) as client:
        assert client.delete(f"/v2/positions/{ACME}?{asked}").status_code == 422
    assert alice.get_open_position(ACME).qty == "100"


def test_a_pair_is_found_with_and_without_its_slash(alice: Sdk, bob: Sdk) -> None:
    placed(
        bob,
        LimitOrderRequest(
            symbol=COIN, qty=0.5, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, limit_price=42000.5
        ),
    )
    placed(
        alice, MarketOrderRequest(symbol=COIN, qty=0.0001, side=OrderSide.BUY, time_in_force=TimeInForce.GTC)
    )
    for name in ("BTCUSD", COIN):
        assert alice.get_open_position(name).qty == "0.0001"
        assert alice.get_asset(name).symbol == COIN
    asset = alice.get_asset(COIN)
    assert alice.get_asset(asset.id) == asset
    assert alice.get_account().cash == "99995.79995"


def test_fills_are_paged_in_both_directions(alice: Sdk, bob: Sdk) -> None:
    for n in range(7):
        offer(bob, f"10.0{n}", 1)
    placed(alice, MarketOrderRequest(symbol=ACME, qty=7, side=OrderSide.BUY, time_in_force=TimeInForce.DAY))

    def paged(direction: str) -> list[dict[str, Any]]:
        fills: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = alice.get("/account/activities/FILL", {"page_size": 3, "direction": direction, **token})
            assert isinstance(page, list)
            fills += page
            if not page:
                return fills
            token = {"page_token": page[-1]["id"]}

    up = paged("asc")
    assert [fill["price"] for fill in up] == ["10", "10.01", "10.02", "10.03", "10.04", "10.05", "10.06"]
    assert paged("desc") == list(reversed(up))
    assert [fill["type"] for fill in up] == ["partial_fill"] * 6 + ["fill"]
    assert sum(Decimal(fill["qty"]) for fill in up) == Decimal(up[-1]["cum_qty"]) == 7
    assert alice.get("/account/activities", {"activity_types": "FILL"}) == list(reversed(up))
    assert alice.get("/account/activities/DIV") == []
    day = up[0]["transaction_time"][:10]
    assert len(alice.get("/account/activities/FILL", {"date": day})) == 7
    assert alice.get("/account/activities/FILL", {"after": up[-1]["transaction_time"]}) == []


def test_assets_clock_and_calendar_are_answered(alice: Sdk) -> None:
    assert {asset.symbol for asset in alice.get_all_assets()} == {ACME, COIN, EMINI}
    crypto = alice.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    assert [(asset.symbol, asset.min_order_size) for asset in crypto] == [(COIN, 0.0001)]
    clock = alice.get_clock()
    assert clock.is_open
    assert clock.timestamp < clock.next_close
    days = alice.get_calendar(GetCalendarRequest(start=date(2024, 1, 1), end=date(2024, 1, 8)))
    assert [str(day.date) for day in days][-2:] == ["2024-01-05", "2024-01-08"]


@pytest.mark.parametrize(("end", "status"), [("9999-12-31", 422), ("9999-12-20", 200)])
def test_the_calendar_has_an_end(venue: Venue, end: str, status: int) -> None:
    with floor.http(venue.base_url) as client:
        asked = {"start": "9999-12-13", "end": end}
        assert client.get("/v2/calendar", params=asked).status_code == status


def test_a_bearer_token_opens_its_account(venue: Venue, alice: Sdk) -> None:
    bearer = TradingClient(oauth_token=floor.ALICE.token, url_override=venue.base_url)
    try:
        assert bearer.get_account() == alice.get_account()
    finally:
        bearer._session.close()


@pytest.mark.parametrize("amount", ["0.1", "0.29", "1.005", "30000000.0007"])
@pytest.mark.parametrize("quoted", [True, False])
def test_an_amount_keeps_every_digit_with_and_without_quotes(venue: Venue, amount: str, quoted: bool) -> None:
    qty = f'"{amount}"' if quoted else amount
    terms = f'"symbol":"{COIN}","side":"buy","type":"limit","time_in_force":"gtc","limit_price":1.00'
    body = f'{{{terms},"qty":{qty}}}'
    with floor.http(venue.base_url, floor.BOB) as client:
        answer = client.post("/v2/orders", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["qty"], answer.json()["limit_price"]) == (amount, "1")


def test_the_latest_quote_and_trade_can_be_asked_for(venue: Venue, alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.05", 10)
    bid(alice, "10.05", 4)
    bid(alice, "10.01", 7)
    data: Sdk = StockHistoricalDataClient(floor.ALICE.key, floor.ALICE.secret, url_override=venue.base_url)
    try:
        quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=ACME))[ACME]
        trade = data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=[ACME, COIN]))[ACME]
    finally:
        data._session.close()
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == (10.01, 7.0, 10.05, 6.0)
    assert (trade.price, trade.size) == (10.05, 4.0)


def test_an_order_joins_the_recorded_queue_and_fills_when_the_flow_gets_there(shared_dir: Path) -> None:
    tape = DbnTapeSettings(
        symbol=EMINI,
        paths=tuple(shared_dir / "data" / f"esh4-glbx-mdp3-202312{day}.mbo.dbn.zst" for day in (24, 25)),
    )
    with (
        floor.venue_on_a_thread(tapes=(tape,), paused=True) as venue,
        floor.admin(venue.base_url) as tapes,
        floor.http(venue.base_url) as client,
        floor.sdk(venue.base_url) as alice,
    ):
        quotes = client.get("/v2/stocks/quotes/latest", params={"symbols": EMINI}).json()["quotes"]
        order = offer(alice, quotes[EMINI]["ap"], 2, EMINI)
        assert order.status is OrderStatus.NEW
        for _ in range(200):
            tapes.post("/tape", json={"steps": 25})
            order = shown(alice, order)
            if order.status is OrderStatus.FILLED:
                break
        assert order.status is OrderStatus.FILLED
        assert order.filled_avg_price == order.limit_price
