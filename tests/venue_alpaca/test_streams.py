"""The streams' conversations: every form of authentication, every documented error, and slow clients."""

from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import msgspec
import pytest

from ordergate.venue.faces.alpaca.access import Doorkeeper, Keyring
from ordergate.venue.faces.alpaca.codec import Codec
from ordergate.venue.faces.alpaca.conversation import POLICY_VIOLATION
from ordergate.venue.faces.alpaca.market_data import MarketHub, MarketSession
from ordergate.venue.faces.alpaca.trade_updates import UpdatesHub, UpdatesSession
from ordergate.venue.server import Venue
from ordergate.venue.words import OrderUpdated, Quote, Ticket, Trade, VenueOrder
from tests.venue_alpaca.floor import ACME, ALICE
from tests.venue_alpaca.listening import line

AT = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
JSON = Codec(msgpack=False, binary=False)
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}
DOOR = Doorkeeper([Keyring(account=ALICE.id, key=ALICE.key, secret=ALICE.secret, token=ALICE.token)])


@pytest.mark.parametrize(
    "greeting",
    [
        {"action": "authenticate", "data": {"key_id": ALICE.key, "secret_key": ALICE.secret}},
        {"action": "authenticate", "data": {"oauth_token": ALICE.token}},
        {"action": "auth", "key": ALICE.key, "secret": ALICE.secret},
        {"action": "auth", "key": "oauth", "secret": ALICE.token},
    ],
)
async def test_every_documented_greeting_opens_the_trade_updates(venue: Venue, greeting: object) -> None:
    async with line(venue.base_url, "/stream") as updates:
        assert await updates.ask(greeting) == {
            "stream": "authorization",
            "data": {"status": "authorized", "action": "authenticate"},
        }
        assert await updates.ask(LISTEN) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        assert (await updates.ask({"action": "listen", "data": {"streams": []}}))["data"] == {"streams": []}
        assert updates.kinds == {aiohttp.WSMsgType.BINARY}


async def test_the_trade_updates_refuse_strangers_and_strange_frames(venue: Venue) -> None:
    async with line(venue.base_url, "/stream") as updates:
        assert (await updates.ask(LISTEN))["data"]["status"] == "unauthorized"
        wrong = {"action": "authenticate", "data": {"key_id": ALICE.key, "secret_key": "wrong"}}
        assert (await updates.ask(wrong))["data"]["status"] == "unauthorized"
        assert (await updates.ask("not json"))["data"]["code"] == 400
        assert (await updates.ask({"action": "dance"}))["data"]["code"] == 400


async def test_market_data_answers_with_the_documented_codes(venue: Venue) -> None:
    auth = {"action": "auth", "key": ALICE.key, "secret": ALICE.secret}
    async with line(venue.base_url, "/v2/iex") as market:
        assert await market.hear() == [{"T": "success", "msg": "connected"}]
        assert (await market.ask({"action": "subscribe", "quotes": [ACME]}))[0]["code"] == 401
        assert (await market.ask(auth | {"secret": "wrong"}))[0]["code"] == 402
        assert (await market.ask("{"))[0]["code"] == 400
        assert await market.ask(auth) == [{"T": "success", "msg": "authenticated"}]
        assert (await market.ask(auth))[0]["code"] == 403
        subscribed = (await market.ask({"action": "subscribe", "trades": [ACME], "bars": ["*"]}))[0]
        assert (subscribed["T"], subscribed["trades"], subscribed["bars"]) == ("subscription", [ACME], ["*"])
        assert subscribed["corrections"] == subscribed["cancelErrors"] == [ACME]
        left = (await market.ask({"action": "unsubscribe", "bars": ["*"]}))[0]
        assert (left["trades"], left["bars"]) == ([ACME], [])
        assert market.kinds == {aiohttp.WSMsgType.TEXT}


async def test_a_plain_request_for_a_stream_is_not_found(venue: Venue) -> None:
    async with aiohttp.ClientSession() as session, session.get(venue.base_url + "/stream") as answer:
        assert answer.status == 404


async def test_a_frame_beyond_the_bound_ends_the_connection(venue: Venue) -> None:
    async with line(venue.base_url, "/stream") as updates:
        with pytest.raises(ConnectionError):
            await updates.ask("x" * 70_000)
        assert updates.socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


def updated(number: int) -> OrderUpdated:
    ticket = Ticket(client_order_id=f"c{number}", symbol=ACME, side="buy", type="market", qty=Decimal(1))
    order = VenueOrder(
        id=f"{number}",
        account=ALICE.id,
        ticket=ticket,
        status="new",
        created_at=AT,
        updated_at=AT,
        submitted_at=AT,
    )
    return OrderUpdated(event="new", order=order, at=AT)


def listener(hub: UpdatesHub, updates_max: int) -> UpdatesSession:
    session = UpdatesSession(DOOR, hub, JSON, updates_max)
    session.heard(msgspec.json.encode({"action": "auth", "key": ALICE.key, "secret": ALICE.secret}))
    session.heard(msgspec.json.encode(LISTEN))
    session.outbox.take()
    return session


def test_updates_are_never_dropped_a_slow_client_is_closed_instead() -> None:
    hub = UpdatesHub()
    slow, quick = listener(hub, updates_max=3), listener(hub, updates_max=3)
    told: list[str] = []
    for number in range(5):
        hub.publish(updated(number), "us_equity")
        told += [msgspec.json.decode(saying.frame)["data"]["order"]["id"] for saying in quick.outbox.take()]
    assert told == ["0", "1", "2", "3", "4"]
    assert quick.outbox.ended is None
    assert slow.outbox.ended == (POLICY_VIOLATION, "slow client")
    kept = [msgspec.json.decode(saying.frame)["data"]["order"]["id"] for saying in slow.outbox.take()]
    assert kept == ["0", "1", "2"]


def watcher(trades_max: int) -> tuple[MarketHub, MarketSession]:
    hub = MarketHub()
    session = MarketSession(DOOR, JSON, trades_max, crypto=False)
    hub.join(session)
    session.heard(msgspec.json.encode({"action": "auth", "key": ALICE.key, "secret": ALICE.secret}))
    session.heard(msgspec.json.encode({"action": "subscribe", "quotes": ["*"], "trades": ["*"]}))
    session.outbox.take()
    return hub, session


def quoted(symbol: str, size: int) -> Quote:
    return Quote(symbol=symbol, bid=Decimal(10), bid_size=Decimal(size), ask=None, ask_size=Decimal(0), at=AT)


def printed(number: int) -> Trade:
    return Trade(symbol=ACME, id=number, price=Decimal("10.01"), size=Decimal(1), taker_side="buy", at=AT)


def test_a_slow_client_gets_the_newest_quote_of_each_symbol_and_every_trade() -> None:
    hub, session = watcher(trades_max=10)
    for size in range(1, 4):
        hub.publish_quote(quoted(ACME, size), crypto=False)
        hub.publish_trade(printed(size), crypto=False)
    hub.publish_quote(quoted("OTHER", 9), crypto=False)
    (saying,) = session.outbox.take()
    frames = msgspec.json.decode(saying.frame)
    quotes = [(frame["S"], frame["bs"]) for frame in frames if frame["T"] == "q"]
    assert quotes == [(ACME, 3), ("OTHER", 9)]
    assert [frame["i"] for frame in frames if frame["T"] == "t"] == [1, 2, 3]
    assert session.outbox.take() == []


def test_a_client_too_slow_for_its_trades_is_told_so_and_closed() -> None:
    hub, session = watcher(trades_max=2)
    for number in range(3):
        hub.publish_trade(printed(number), crypto=False)
    assert session.outbox.ended == (POLICY_VIOLATION, "slow client")
    told = msgspec.json.decode(session.outbox.take()[0].frame)
    assert told == [{"T": "error", "code": 407, "msg": "slow client"}]


def test_a_client_that_does_not_authenticate_in_time_is_told_so_and_closed() -> None:
    market = MarketSession(DOOR, JSON, 1, crypto=False)
    market.late()
    assert msgspec.json.decode(market.outbox.take()[0].frame)[0]["code"] == 404
    updates = UpdatesSession(DOOR, UpdatesHub(), JSON, 1)
    updates.late()
    assert updates.outbox.ended == market.outbox.ended == (POLICY_VIOLATION, "auth timeout")
