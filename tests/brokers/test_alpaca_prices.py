"""Market data over a real WebSocket: exact, received in order, and mended when the line breaks."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from ordergate.brokers._shared.socket import Patience
from ordergate.brokers.alpaca.access import Bearer, Credentials, paper
from ordergate.brokers.alpaca.prices import AlpacaPrices, Feed
from ordergate.core.ids import Env, Paper, Symbol
from ordergate.ports.market_data import Quote, Trade
from ordergate.telemetry.secret import Secret
from tests.brokers.alpaca_account import KEYS
from tests.brokers.streams import Scene, Stage, stream_server
from tests.brokers.world import ACME, WAIT_S, FixedChance, HandClock

TOKEN = Bearer(Env.PAPER, Secret("token"))
CONNECTED = [{"T": "success", "msg": "connected"}]
AUTHENTICATED = [{"T": "success", "msg": "authenticated"}]
SUBSCRIBED = [{"T": "subscription", "trades": ["ACME"], "quotes": ["ACME"], "bars": []}]
TRADE = '{"T":"t","S":"ACME","i":1,"x":"V","p":4800.10,"s":3,"c":["@"],"t":"2024-03-01T14:30:00.123456789Z"}'
QUOTE = '{"T":"q","S":"ACME","bx":"V","bp":0.1,"bs":2,"ax":"V","ap":0.30000000000000004,"as":1.5,"c":["R"]}'
ONE_SIDED = '{"T":"q","S":"ACME","bp":0,"bs":0,"ap":5.25,"as":1}'


def feeds(*frames: str, then: Scene = Stage.stay) -> Scene:
    async def scene(stage: Stage) -> None:
        await stage.say(CONNECTED)
        await stage.hear()
        await stage.say(AUTHENTICATED)
        await stage.hear()
        await stage.say(SUBSCRIBED)
        for frame in frames:
            await stage.say_text(frame)
        await then(stage)

    return scene


async def listen(
    url: str,
    count: int,
    clock: HandClock,
    *,
    credentials: Credentials[Paper] = KEYS,
    feed: Feed = Feed.IEX,
    patience: Patience | None = None,
) -> list[Quote | Trade]:
    source = AlpacaPrices(
        paper(credentials, trading_url=url),
        feed,
        [ACME],
        clock=clock,
        chance=FixedChance(),
        patience=patience,
    )
    heard: list[Quote | Trade] = []
    try:
        async with asyncio.timeout(WAIT_S):
            async for price in source.prices():
                heard.append(price)
                if len(heard) == count:
                    break
    finally:
        await source.close()
    return heard


async def test_it_logs_in_subscribes_and_says_prices(clock: HandClock) -> None:
    async with stream_server(feeds(f"[{TRADE},{QUOTE}]", f"[{ONE_SIDED}]")) as server:
        heard = await listen(server.url, 3, clock)
        assert server.paths == ["/v2/iex"]
        assert server.heard == [
            {"action": "auth", "key": "PKTEST", "secret": "very-secret"},
            {"action": "subscribe", "trades": ["ACME"], "quotes": ["ACME"]},
        ]
    at = clock.now()
    assert heard == [
        Trade(symbol=ACME, price=Decimal("4800.10"), size=Decimal(3), at=at),
        Quote(
            symbol=ACME,
            bid=Decimal("0.1"),
            bid_size=Decimal(2),
            ask=Decimal("0.30000000000000004"),
            ask_size=Decimal("1.5"),
            at=at,
        ),
        Quote(symbol=ACME, bid=None, bid_size=Decimal(0), ask=Decimal("5.25"), ask_size=Decimal(1), at=at),
    ]


async def test_a_bearer_token_is_said_as_alpaca_wants_it(clock: HandClock) -> None:
    async with stream_server(feeds(f"[{TRADE}]")) as server:
        await listen(server.url, 1, clock, credentials=TOKEN, feed=Feed.CRYPTO_US)
        assert server.heard[0] == {"action": "auth", "key": "oauth", "secret": "token"}
        assert server.paths == ["/v1beta3/crypto/us"]


async def test_corrections_of_prints_are_no_prices(clock: HandClock) -> None:
    noise = '{"T":"c","S":"ACME","oi":1,"op":1,"ci":2,"cp":2},{"T":"x","S":"ACME","i":1,"a":"C"}'
    async with stream_server(feeds(f"[{noise},{TRADE}]")) as server:
        heard = await listen(server.url, 1, clock)
    assert isinstance(heard[0], Trade)


@pytest.mark.parametrize(
    "frame",
    [
        "nonsense",
        '[{"T":"t","S":"ACME","p":1e999,"s":1}]',
        '[{"T":"t","S":"ACME","p":-1,"s":1}]',
        '[{"T":"t","S":"ACME","p":"NaN","s":1}]',
        '[{"T":"gossip"}]',
        '[{"T":"error","code":407,"msg":"slow client"}]',
        '{"T":"t"}',
        '[{"T":"t","S":"ACME","x":' + "[" * 10_000,
    ],
    ids=lambda frame: frame[:40],
)
async def test_a_frame_that_is_not_understood_breaks_the_line_and_it_is_mended(
    clock: HandClock, frame: str
) -> None:
    async with stream_server(feeds(frame), feeds(f"[{TRADE}]")) as server:
        heard = await listen(server.url, 1, clock)
        assert server.connections == 2
    assert isinstance(heard[0], Trade)


def _says(*documents: Any) -> Scene:
    async def scene(stage: Stage) -> None:
        for document in documents:
            await stage.say(document)
        await stage.stay()

    return scene


@pytest.mark.parametrize(
    "scene",
    [
        _says([{"T": "error", "code": 406, "msg": "connection limit exceeded"}]),
        _says(CONNECTED, [{"T": "error", "code": 402, "msg": "auth failed"}]),
        _says(CONNECTED, SUBSCRIBED),
        _says(AUTHENTICATED),
    ],
    ids=["too many connections", "auth failed", "out of turn", "not connected"],
)
async def test_a_feed_that_does_not_let_us_in_is_tried_again(clock: HandClock, scene: Scene) -> None:
    async with stream_server(scene, feeds(f"[{TRADE}]")) as server:
        await listen(server.url, 1, clock)
        assert server.connections == 2
    assert len(clock.slept) == 1


async def test_a_feed_that_went_silent_is_replaced(clock: HandClock) -> None:
    patience = Patience(silence_s=0.05, probe_answer_s=0.05)
    async with stream_server(feeds(), feeds(f"[{TRADE}]")) as server:
        await listen(server.url, 1, clock, patience=patience)
        assert server.connections == 2


def test_a_feed_without_symbols_is_refused(clock: HandClock) -> None:
    nothing: list[Symbol] = []
    with pytest.raises(ValueError):
        AlpacaPrices(paper(KEYS), Feed.IEX, nothing, clock=clock, chance=FixedChance())
