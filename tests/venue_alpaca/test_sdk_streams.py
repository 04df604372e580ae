"""The official SDK's streams hear what happens here, whole and in order."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ordergate.venue.server import Venue, running
from ordergate.venue.words import Changes, Ticket, VenueOrder
from tests.venue_alpaca import listening
from tests.venue_alpaca.floor import ACME, COIN, SETTINGS
from tests.venue_alpaca.listening import Heard


@pytest.fixture
async def here() -> AsyncIterator[Venue]:
    """A venue on this test's own loop, so that its exchange may be used directly."""
    async with running(SETTINGS) as venue:
        yield venue


def now() -> datetime:
    return datetime.now(UTC)


class Trader:
    """Someone who trades at the exchange itself, so that only the stream is under test."""

    def __init__(self, venue: Venue, account: str) -> None:
        self._exchange = venue.exchange
        self._account = account
        self._count = 0

    def place(self, side: str, qty: str, price: str, symbol: str = ACME, force: str = "day") -> VenueOrder:
        self._count += 1
        ticket = Ticket(
            client_order_id=f"{self._account}-{self._count}",
            symbol=symbol,
            side=side,  # type: ignore[arg-type]  # tests write the word
            type="limit",
            qty=Decimal(qty),
            limit_price=Decimal(price),
            time_in_force=force,  # type: ignore[arg-type]  # tests write the word
        )
        order = self._exchange.submit(self._account, ticket, now())
        assert isinstance(order, VenueOrder)
        return order

    def cancel(self, order: VenueOrder) -> None:
        assert isinstance(self._exchange.cancel(self._account, order.id, now()), VenueOrder)

    def replace(self, order: VenueOrder, qty: str) -> VenueOrder:
        new = self._exchange.replace(self._account, order.id, Changes(qty=Decimal(qty)), now())
        assert isinstance(new, VenueOrder)
        return new


async def test_an_order_is_new_then_partly_filled_then_filled(here: Venue) -> None:
    heard = Heard()
    stream = listening.trading_stream(here.base_url, heard)
    alice, bob = Trader(here, "alice"), Trader(here, "bob")
    async with listening.sdk_running(stream, lambda: here.is_heard_by("alice")):
        order = alice.place("buy", "10", "10.00")
        bob.place("sell", "4", "10.00")
        bob.place("sell", "6", "9.99")
        updates = await heard.count(3)
    assert [update.event for update in updates] == ["new", "partial_fill", "fill"]
    assert {str(update.order.id) for update in updates} == {order.id}
    assert [(update.qty, update.price, update.position_qty) for update in updates] == [
        (None, None, None),
        (4.0, 10.0, 4.0),
        (6.0, 10.0, 10.0),
    ]
    assert [update.order.status.value for update in updates] == ["new", "partially_filled", "filled"]
    executions = [execution.id for execution in here.exchange.executions("alice")]
    assert [str(update.execution_id) for update in updates[1:]] == executions


async def test_endings_are_told(here: Venue) -> None:
    heard = Heard()
    stream = listening.trading_stream(here.base_url, heard)
    alice = Trader(here, "alice")
    async with listening.sdk_running(stream, lambda: here.is_heard_by("alice")):
        alice.cancel(alice.place("buy", "1", "9.00"))
        alice.replace(alice.place("buy", "2", "9.00"), "1")
        here.exchange.end_session(None, now())
        alice.place("buy", "3", "9.00", force="ioc")
        updates = await heard.count(8)
    assert [(update.event, update.order.status.value) for update in updates] == [
        ("new", "new"),
        ("canceled", "canceled"),
        ("new", "new"),
        ("replaced", "replaced"),
        ("new", "new"),
        ("expired", "expired"),
        ("new", "new"),
        ("canceled", "canceled"),
    ]
    assert str(updates[4].order.replaces) == str(updates[3].order.id)


async def test_an_account_hears_nothing_of_another(here: Venue) -> None:
    heard = Heard()
    stream = listening.trading_stream(here.base_url, heard)
    alice, bob = Trader(here, "alice"), Trader(here, "bob")
    async with listening.sdk_running(stream, lambda: here.is_heard_by("alice")):
        bob.place("buy", "1", "9.00")
        mine = alice.place("buy", "1", "9.00")
        updates = await heard.count(1)
    assert [str(update.order.id) for update in updates] == [mine.id]


async def test_quotes_and_trades_of_stocks_arrive(here: Venue) -> None:
    quotes, trades = Heard(), Heard()
    stream = listening.stock_stream(here.base_url)
    stream.subscribe_quotes(quotes.add, ACME)
    stream.subscribe_trades(trades.add, "*")
    alice, bob = Trader(here, "alice"), Trader(here, "bob")
    async with listening.sdk_running(stream, lambda: here.is_watched(ACME)):
        alice.place("buy", "10", "10.00")
        bob.place("sell", "3", "10.00")
        bob.place("sell", "5", "10.02")
        last = (await quotes.until(lambda seen: seen[-1].ask_price == 10.02 if seen else False))[-1]
        prints = await trades.count(1)
    assert (last.symbol, last.bid_price, last.bid_size, last.ask_size) == (ACME, 10.0, 7.0, 5.0)
    assert [(trade.symbol, trade.price, trade.size) for trade in prints] == [(ACME, 10.0, 3.0)]


async def test_quotes_and_trades_of_crypto_arrive_on_their_own_feed(here: Venue) -> None:
    seen: dict[str, Heard] = {"quotes": Heard(), "trades": Heard()}
    stream = listening.crypto_stream(here.base_url)
    stream.subscribe_quotes(seen["quotes"].add, COIN)
    stream.subscribe_trades(seen["trades"].add, COIN)
    alice, bob = Trader(here, "alice"), Trader(here, "bob")
    async with listening.sdk_running(stream, lambda: here.is_watched(COIN)):
        bob.place("buy", "7", "10.00")
        bob.place("sell", "0.5", "42000.01", symbol=COIN, force="gtc")
        alice.place("buy", "0.25", "42000.01", symbol=COIN, force="ioc")
        trade: Any = (await seen["trades"].count(1))[0]
        quote: Any = (
            await seen["quotes"].until(lambda quotes: quotes[-1].ask_size == 0.25 if quotes else False)
        )[-1]
    assert (trade.symbol, trade.price, trade.size) == (COIN, 42000.01, 0.25)
    assert (quote.bid_price, quote.ask_price) == (0.0, 42000.01)
