"""The stream over a real socket: who gets in, what is told, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ordergate.api.deps import Bounds
from ordergate.api.places import Room
from ordergate.ports.market_data import Quote, Trade
from ordergate.ports.views import Snapshot
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.ledger import ACCOUNT, ES
from tests.api.people import LIVE, READER, TRADER, Directory, StillClock, deps_of
from tests.api.replica import Replica
from tests.api.served import PATIENCE_S, Served, Talk, serving

KEY = "stream-key-00000"
AT = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
async def talk(served: Served) -> AsyncIterator[Talk]:
    async with served.stream() as talk:
        await talk.until("authenticated")
        yield talk


async def subscribed(talk: Talk, *channels: str, **more: Any) -> None:
    await talk.send(
        type="subscribe", account_id="P-DEMO", channels=list(channels) or ["orders", "positions"], **more
    )


async def test_a_client_is_welcomed_and_told_who_it_is(served: Served) -> None:
    async with served.stream() as talk:
        welcome = await talk.next()
        assert (welcome["type"], welcome["env"], welcome["authenticated"]) == ("welcome", "paper", True)
        assert (await talk.next())["client_id"] == "trader"
        headers = talk.socket.response.headers if talk.socket.response else {}
        assert headers["x-ordergate-env"] == "paper"
        assert "sec-websocket-extensions" not in headers


async def test_a_token_may_come_as_the_first_frame(served: Served) -> None:
    async with served.stream(token=None) as talk:
        assert (await talk.next())["authenticated"] is False
        await talk.send(type="authenticate", token=TRADER, id="1")
        assert (await talk.next())["type"] == "authenticated"
        await subscribed(talk)
        assert (await talk.until("reset"))["as_of_seq"] == 1


@pytest.mark.parametrize("token", ["nobody", LIVE, ""])
async def test_a_token_that_is_not_valid_is_a_401_before_the_upgrade(served: Served, token: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with served.stream(token=token):
            pass
    response = refused.value.response
    assert response.status_code == 401
    assert msgspec.json.decode(response.body or b"")["code"] == "unauthenticated"
    assert response.headers["x-correlation-id"]


async def test_an_invalid_token_in_a_frame_closes_with_4001(served: Served) -> None:
    async with served.stream(token=None) as talk:
        await talk.send(type="authenticate", token="nobody")
        assert (await talk.until("error"))["code"] == "unauthenticated"
        assert (await talk.closed())[0] == 4001


@pytest.mark.parametrize(
    ("origin", "opens"), [("https://console.example", True), ("https://evil.example", False)]
)
async def test_only_pages_of_a_known_origin_may_open_a_stream(books: Books, origin: str, opens: bool) -> None:
    deps = deps_of(books, bounds=Bounds(origins=frozenset({"https://console.example"})))
    async with serving(deps) as served:
        headers = {"authorization": f"Bearer {TRADER}", "origin": origin}
        if opens:
            async with connect(served.stream_url, additional_headers=headers) as page:
                assert "welcome" in str(await page.recv())
        else:
            with pytest.raises(InvalidStatus) as refused:
                await connect(served.stream_url, additional_headers=headers)
            assert refused.value.response.status_code == 403


async def test_an_order_lives_on_the_stream(talk: Talk, books: Books, clock: StillClock) -> None:
    replica = Replica()
    await subscribed(talk)
    replica.hear(await talk.until("subscribed"))
    replica.hear(await talk.until("reset"))
    await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
    event = await talk.until("event", kind="order_accepted")
    replica.hear(event)
    answer = await talk.until("answer", id="1")
    assert (answer["status"], answer["order"]) == (201, event["order"])
    books.fill(answer["order"]["id"], "3", "4800.25")
    replica.hear(await talk.until("event", kind="order_filled"))
    heartbeat = await talk.until("heartbeat")
    replica.hear(heartbeat)
    assert heartbeat["last_seq"] == {"P-DEMO": 3}
    assert replica.positions["ESM4"]["quantity"] == "3"
    clock.seconds += 5
    replica.hear(await talk.until("state_hash"))
    assert replica.proofs == 1


async def test_rest_and_the_stream_share_their_keys(served: Served, talk: Talk, books: Books) -> None:
    async with served.client() as client:
        first = await client.post("/v1/orders", json=an_order(), headers={"idempotency-key": KEY})
    await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
    answer = await talk.until("answer", id="1")
    assert answer["replayed"] is True
    assert answer["order"]["id"] == first.json()["id"]
    await talk.send(type="place", id="2", idempotency_key=KEY, order=an_order(quantity="4"))
    other = await talk.until("answer", id="2")
    assert (other["status"], other["problem"]["code"]) == (422, "idempotency-key-reused")
    assert len(books.orders_by_id) == 1


async def test_what_was_seen_goes_with_a_command_and_comes_with_every_order(talk: Talk, books: Books) -> None:
    await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
    order = (await talk.until("answer", id="1"))["order"]
    assert order["revision"] == 1
    books.fill(order["id"], "1", "4800.25")
    commands = {"replace": {"quantity": "5"}, "cancel": {}}
    for kind, fields in commands.items():
        key = f"stale-{kind}-00000000"
        await talk.send(
            type=kind, id=kind, idempotency_key=key, order_id=order["id"], if_revision=1, **fields
        )
        stale = await talk.until("answer", id=kind)
        assert (stale["status"], stale["problem"]["code"]) == (412, "change-outdated")
        assert stale["problem"]["errors"] == [{"field": "revision", "message": "2"}]
    for seen, (kind, fields) in enumerate(commands.items(), start=2):
        key = f"right-{kind}-00000000"
        await talk.send(
            type=kind, id=key, idempotency_key=key, order_id=order["id"], if_revision=seen, **fields
        )
        assert (await talk.until("answer", id=key))["status"] == 202
    await talk.send(type="cancel", id="5", idempotency_key=KEY, order_id=order["id"], if_revision=0)
    wrong = await talk.until("answer", id="5")
    assert (wrong["status"], wrong["problem"]["errors"][0]["field"]) == (400, "if_revision")


async def test_refusals_and_denials_are_answers_with_the_problem_that_rest_gives(talk: Talk) -> None:
    await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order(quantity="1001"))
    denied = await talk.until("answer", id="1")
    assert (denied["status"], denied["problem"]["code"]) == (422, "risk-denied")
    assert denied["problem"]["failed_controls"][0]["control"] == "R05"
    await talk.send(type="cancel", id="2", idempotency_key=KEY, order_id="P-000000000000000000")
    assert (await talk.until("answer", id="2"))["problem"]["code"] == "not-found"


async def test_every_wrong_field_of_a_command_is_named(talk: Talk) -> None:
    wrong = an_order(side="hold", quantity="-1", limit_price="cheap")
    await talk.send(type="place", id="1", idempotency_key=KEY, order=wrong)
    told = (await talk.until("answer", id="1"))["problem"]
    assert {one["field"] for one in told["errors"]} == {"order.side", "order.quantity", "order.limit_price"}
    order = "P-000000000000000000"
    await talk.send(type="replace", id="2", idempotency_key=KEY, order_id=order, quantity="0", stop_price=1)
    told = (await talk.until("answer", id="2"))["problem"]
    assert {one["field"] for one in told["errors"]} == {"quantity", "stop_price"}


async def test_a_slow_broker_does_not_hold_up_the_next_frame(talk: Talk, books: Books) -> None:
    books.placing_waits_for = asyncio.Event()
    await talk.send(type="place", id="slow", idempotency_key=KEY, order=an_order())
    await talk.send(type="cancel", id="fast", idempotency_key=KEY, order_id="P-000000000000000000")
    assert (await talk.until("answer"))["id"] == "fast"
    books.placing_waits_for.set()
    assert (await talk.until("answer"))["id"] == "slow"


async def test_an_order_whose_client_goes_away_is_placed_all_the_same(served: Served, books: Books) -> None:
    books.placing_waits_for = asyncio.Event()
    async with served.stream() as talk:
        await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
        await talk.send(type="ping", id="2")
        await talk.until("pong")
    books.placing_waits_for.set()
    async with served.client() as client:
        again = await client.post("/v1/orders", json=an_order(), headers={"idempotency-key": KEY})
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_defect_is_answered_as_one_and_tells_nothing(talk: Talk, books: Books) -> None:
    books.breaks_down = True
    await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
    answer = await talk.until("answer")
    assert (answer["status"], answer["problem"]["code"]) == (500, "internal")
    assert "secret" not in str(answer)


async def test_a_database_that_is_away_is_no_defect(talk: Talk, books: Books) -> None:
    books.database_is_down = True
    await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
    answer = await talk.until("answer")
    assert (answer["status"], answer["problem"]["code"]) == (503, "unavailable")


async def test_a_scope_that_is_missing_is_answered_by_the_gate(served: Served) -> None:
    async with served.stream(token=READER) as talk:
        await talk.send(type="place", id="1", idempotency_key=KEY, order=an_order())
        assert (await talk.until("answer"))["problem"]["code"] == "forbidden"


async def test_a_dropped_client_resumes_where_it_was(served: Served, books: Books) -> None:
    replica = Replica()
    async with served.client() as client:
        async with served.stream() as talk:
            await subscribed(talk)
            replica.hear(await talk.until("subscribed"))
            replica.hear(await talk.until("reset"))
        for _ in range(600):
            await client.post("/v1/orders", json=an_order(), headers=a_key())
        async with served.stream() as talk:
            await subscribed(talk, resume={"stream_id": replica.stream_id, "after_seq": replica.last_seq})
            replica.hear(await talk.until("subscribed"))
            while replica.last_seq < 601:
                replica.hear(await talk.next())
            await client.post("/v1/orders", json=an_order(), headers=a_key())
            replica.hear(await talk.until("event"))
    assert replica.seen == list(range(2, 603))
    assert replica.resets == 1


async def test_a_revoked_token_ends_the_stream_before_anything_more_is_told(
    served: Served, talk: Talk, books: Books, identity: Directory
) -> None:
    await subscribed(talk)
    await talk.until("reset")
    identity.revoked.add("token-of-trader")
    books.accept_an_order()
    frames = []
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frames.append(await talk.next())
    assert (await talk.closed())[0] == 4001
    assert [frame for frame in frames if frame["type"] == "event"] == []


async def test_unsubscribing_ends_the_events(talk: Talk, books: Books) -> None:
    await subscribed(talk)
    await talk.until("reset")
    await talk.send(type="unsubscribe", account_id="P-DEMO", id="u")
    await talk.until("unsubscribed")
    books.accept_an_order()
    await talk.send(type="ping")
    assert (await talk.next())["type"] in {"pong", "heartbeat"}


async def test_prices_are_told_to_whoever_watches_them(served: Served, talk: Talk) -> None:
    await talk.send(type="subscribe", channel="quotes", symbols=["ESM4"])
    await talk.send(type="subscribe", channel="trades", symbols=["ESM4"])
    await talk.until("subscribed", channel="trades")
    quote = Quote(
        symbol=ES.symbol, bid=Decimal("4800.25"), bid_size=Decimal(3), ask=None, ask_size=Decimal(0), at=AT
    )
    served.deps.hub.tell_price(quote)
    told = await talk.until("quote")
    assert (told["symbol"], told["bid"], told["ask"]) == ("ESM4", "4800.25", None)
    served.deps.hub.tell_price(Trade(symbol=ES.symbol, price=Decimal("4800.50"), size=Decimal(2), at=AT))
    assert (await talk.until("trade"))["price"] == "4800.5"


@pytest.mark.parametrize(
    ("message", "code"), [(b"binary", 4000), ("x" * 70_000, 1009)], ids=["binary", "too big"]
)
async def test_a_message_that_is_no_text_frame_of_64_kib_closes(
    talk: Talk, message: str | bytes, code: int
) -> None:
    await talk.socket.send(message)
    assert (await talk.closed())[0] == code


async def test_a_frame_in_fragments_is_one_frame(talk: Talk) -> None:
    await talk.socket.send(['{"type":', '"ping",', '"id":"f"}'])
    assert (await talk.until("pong"))["id"] == "f"


async def test_text_that_is_not_utf_8_closes(talk: Talk) -> None:
    talk.socket.protocol.send_text(b"\xff\xfe")
    for data in talk.socket.protocol.data_to_send():
        talk.socket.transport.write(data)
    assert (await talk.closed())[0] == 1007


async def test_going_away_is_said_with_1001(served: Served, talk: Talk) -> None:
    served.deps.hub.shut_down()
    assert (await talk.closed())[0] == 1001


async def test_too_many_streams_of_one_client_are_refused(books: Books) -> None:
    deps = deps_of(books, bounds=Bounds(streams=Room(of_client=1)))
    async with serving(deps) as served, served.stream():
        with pytest.raises(InvalidStatus) as refused:
            async with served.stream():
                pass
        assert refused.value.response.status_code == 429


async def test_a_plain_request_for_the_stream_is_a_problem(served: Served) -> None:
    async with served.client() as client:
        answer = await client.get("/v1/stream")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


class Deaf:
    """A client that subscribes and then never reads again, with as small a buffer as can be had."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))

    def subscribe(self) -> None:
        self.log_in()
        self.say({"type": "subscribe", "account_id": "P-DEMO", "channels": ["orders"]})
        self._read_until(b'"reset"')

    def log_in(self) -> None:
        self.socket.sendall(
            b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + TRADER.encode() + b"\r\n\r\n"
        )
        self._read_until(b'"authenticated"')

    def say(self, frame: object) -> None:
        payload = msgspec.json.encode(frame).ljust(126)  # the least that has its length in two bytes
        self.socket.sendall(b"\x81\xfe" + len(payload).to_bytes(2) + bytes(4) + payload)

    def read_to_the_end(self) -> bytes:
        heard = b""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65_536):
                heard = (heard + data)[-200:]
        return heard

    def _read_until(self, wanted: bytes) -> None:
        heard = b""
        while wanted not in heard:
            heard += self.socket.recv(4_096)


async def test_a_client_that_does_not_read_is_closed_and_slows_nobody(served: Served, books: Books) -> None:
    deaf = Deaf(served.port)
    await asyncio.to_thread(deaf.subscribe)
    async with served.stream() as talk:
        await subscribed(talk, "orders")
        await talk.until("reset")
        heard = 0
        async with asyncio.timeout(60):
            while served.deps.hub.sessions == 2:
                books.accept_an_order()
                await talk.until("event")
                heard += 1
        books.accept_an_order()
        assert (await talk.until("event"))["seq"] == heard + 2
    last = await asyncio.to_thread(deaf.read_to_the_end)
    assert (4008).to_bytes(2) + b"slow-consumer" in last or last == b""
    deaf.socket.close()
    async with served.client() as client:
        assert 'ordergate_stream_closed_total{code="4008"} 1.0' in (await client.get("/metrics")).text


async def test_a_client_that_stays_stuck_is_closed_even_when_little_happens(books: Books) -> None:
    clock = StillClock()
    bounds = Bounds(heartbeat_s=0.01, stream_queue_messages_max=1_000_000, stream_queue_bytes_max=1 << 30)
    deps = deps_of(books, clock=clock, bounds=bounds)
    async with serving(deps) as served:
        deaf = Deaf(served.port)
        await asyncio.to_thread(deaf.subscribe)
        async with asyncio.timeout(60):
            while deps.hub.sessions:
                for _ in range(200):
                    books.accept_an_order()
                clock.seconds += 1
                await asyncio.sleep(0.01)
        deaf.socket.close()


class HeldBooks(Books):
    """A journal that answers a reader only once it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def snapshot(self, account: str) -> Snapshot | None:
        await self.let.wait()
        return await super().snapshot(ACCOUNT)


async def test_a_heartbeat_says_nothing_of_an_account_before_its_subscription_was_answered() -> None:
    """A client that resumes at 12 598 and hears of 0 would believe that it had been told too much."""
    held = HeldBooks()
    async with serving(deps_of(held)) as served, served.stream() as talk:
        await talk.until("authenticated")
        await subscribed(talk)
        assert (await talk.until("heartbeat"))["last_seq"] == {}
        held.let.set()
        answered = await talk.until("subscribed")
        assert (await talk.until("heartbeat"))["last_seq"] == {"P-DEMO": answered["seq"]}
