"""The trade updates stream, against a WebSocket server that plays Alpaca's part and its failings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ordergate.brokers._shared.socket import Patience
from ordergate.brokers.alpaca.access import Bearer, Credentials
from ordergate.core.ids import Env, Paper
from ordergate.core.orders import reports as r
from ordergate.ports.broker import BrokerNews, News, StreamDown, StreamUp
from ordergate.telemetry.secret import Secret
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import KEYS, broker_of
from tests.brokers.streams import Scene, Stage, stream_server
from tests.brokers.world import WAIT_S, HandClock, our_id

AUTHORIZED = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
UNAUTHORIZED = {"stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"}}
LISTENING = {"stream": "listening", "data": {"streams": ["trade_updates"]}}
NEW = documents.update("new", documents.order(our_id(1)))


def welcomes(*frames: Any, early: tuple[Any, ...] = (), binary: bool = False) -> Scene:
    async def scene(stage: Stage) -> None:
        await stage.hear()
        await stage.say(AUTHORIZED, binary=binary)
        await stage.hear()
        for frame in early:
            await stage.say(frame, binary=binary)
        await stage.say(LISTENING, binary=binary)
        for frame in frames:
            if isinstance(frame, str):
                await stage.say_text(frame, binary=binary)
            else:
                await stage.say(frame, binary=binary)
        await stage.stay()

    return scene


async def listen(
    url: str,
    count: int,
    clock: HandClock,
    *,
    credentials: Credentials[Paper] = KEYS,
    patience: Patience | None = None,
) -> list[BrokerNews]:
    broker = broker_of(url, clock, credentials, patience=patience or Patience())
    heard: list[BrokerNews] = []
    try:
        async with asyncio.timeout(WAIT_S):
            async for item in broker.news():
                heard.append(item)
                if len(heard) == count:
                    break
    finally:
        await broker.close()
    return heard


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_it_logs_in_listens_and_reports(clock: HandClock, binary: bool) -> None:
    async with stream_server(welcomes(NEW, binary=binary)) as server:
        heard = await listen(server.url, 2, clock)
        assert server.paths == ["/stream"]
        assert server.heard == [
            {"action": "authenticate", "data": {"key_id": "PKTEST", "secret_key": "very-secret"}},
            {"action": "listen", "data": {"streams": ["trade_updates"]}},
        ]
    assert heard[0] == StreamUp()
    assert isinstance(heard[1], News)
    assert isinstance(heard[1].report, r.AcknowledgedReport)
    assert heard[1].report.cl_ord_id == our_id(1)
    assert heard[1].snapshot is None  # the terms of what is ours are in our books


async def test_a_bearer_token_logs_in_too(clock: HandClock) -> None:
    async with stream_server(welcomes()) as server:
        await listen(server.url, 1, clock, credentials=Bearer(Env.PAPER, Secret("token")))
        assert server.heard[0] == {"action": "authenticate", "data": {"oauth_token": "token"}}


async def test_an_update_that_overtakes_the_confirmation_is_kept(clock: HandClock) -> None:
    fill = documents.update("fill", documents.order(our_id(1), filled_qty="10"), qty="10", price="9")
    async with stream_server(welcomes(fill, early=(NEW,))) as server:
        heard = await listen(server.url, 3, clock)
    assert [type(item.report) for item in heard if isinstance(item, News)] == [
        r.AcknowledgedReport,
        r.ExecutedReport,
    ]


async def test_steps_that_prove_nothing_are_not_told(clock: HandClock) -> None:
    pending = documents.update("pending_cancel", documents.order(our_id(1)))
    async with stream_server(welcomes(pending, NEW)) as server:
        heard = await listen(server.url, 2, clock)
    assert isinstance(heard[1], News)
    assert isinstance(heard[1].report, r.AcknowledgedReport)


@pytest.mark.parametrize("kind", ["trailing_stop", "iceberg"])
async def test_a_foreign_order_beyond_our_terms_is_told_with_what_they_leave_out(
    clock: HandClock, kind: str
) -> None:
    theirs = documents.order("theirs", type=kind, filled_qty="1")
    fill = documents.update("partial_fill", theirs, qty="1", price="9")
    async with stream_server(welcomes(fill)) as server:
        heard = await listen(server.url, 2, clock)
    assert isinstance(heard[1], News)
    assert heard[1].snapshot is not None
    assert heard[1].snapshot.inexpressible is not None
    assert heard[1].report.version == 0


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("this is not JSON", "cannot be read"),
        ('{"stream":"trade_updates","stream":"listening","data":{}}', "same key twice"),
        ({"stream": "gossip", "data": {}}, "cannot be read"),
        (documents.update("margin_call", documents.order(our_id(1))), "cannot be read"),
        (documents.update("fill", documents.order(our_id(1))), "contradictory"),
        (documents.update("new", documents.order(our_id(1), status="on_holiday")), "cannot be read"),
        (UNAUTHORIZED, "taken back"),
        ({"stream": "listening", "data": {"streams": []}}, "does not let us listen"),
    ],
)
async def test_a_frame_that_is_not_understood_is_a_gap_and_never_passed_over(
    clock: HandClock, frame: Any, why: str
) -> None:
    async with stream_server(welcomes(frame), welcomes(NEW)) as server:
        heard = await listen(server.url, 4, clock)
    assert [type(item) for item in heard] == [StreamUp, StreamDown, StreamUp, News]
    assert isinstance(heard[1], StreamDown)
    assert why in heard[1].why


def _refuses(answer: Any, after: int) -> Scene:
    async def scene(stage: Stage) -> None:
        for _ in range(after):
            await stage.hear()
            await stage.say(AUTHORIZED)
        await stage.hear()
        await stage.say(answer)
        await stage.stay()

    return scene


@pytest.mark.parametrize(
    "scene",
    [
        _refuses(UNAUTHORIZED, 0),
        _refuses(LISTENING, 0),
        _refuses({"stream": "listening", "data": {"streams": []}}, 1),
        _refuses({"stream": "listening", "data": {"error": "internal server error"}}, 1),
        _refuses("nonsense", 1),
    ],
    ids=["unauthorized", "out of turn", "not listening", "an error", "nonsense"],
)
async def test_a_stream_that_does_not_let_us_in_is_never_up(clock: HandClock, scene: Scene) -> None:
    async with stream_server(scene, welcomes()) as server:
        heard = await listen(server.url, 2, clock)
    assert [type(item) for item in heard] == [StreamDown, StreamUp]


async def test_a_silent_stream_is_asked_to_confirm_that_it_listens(clock: HandClock) -> None:
    async def scene(stage: Stage) -> None:
        await stage.hear()
        await stage.say(AUTHORIZED)
        for _ in range(3):
            assert (await stage.hear())["action"] == "listen"
            await stage.say(LISTENING)
        await stage.say(NEW)
        await stage.stay()

    async with stream_server(scene) as server:
        heard = await listen(server.url, 2, clock, patience=Patience(silence_s=0.05))
    assert [type(item) for item in heard] == [StreamUp, News]


async def test_a_stream_that_went_silent_is_replaced(clock: HandClock) -> None:
    patience = Patience(silence_s=0.05, probe_answer_s=0.05)
    async with stream_server(welcomes(), welcomes(NEW)) as server:
        heard = await listen(server.url, 4, clock, patience=patience)
    assert [type(item) for item in heard] == [StreamUp, StreamDown, StreamUp, News]


async def test_listening_again_is_listening_to_a_new_line(clock: HandClock) -> None:
    async with stream_server(welcomes(NEW)) as server:
        broker = broker_of(server.url, clock)
        for _ in range(2):
            line = broker.news()
            async with asyncio.timeout(WAIT_S):
                assert await anext(line) == StreamUp()
        await broker.close()
        assert server.connections == 2


async def test_the_log_of_a_lost_stream_holds_no_secret(
    clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with stream_server(_refuses(UNAUTHORIZED, 0), welcomes()) as server:
        await listen(server.url, 2, clock)
    shown = capsys.readouterr()
    assert "very-secret" not in shown.out + shown.err
