"""Lines that break, and lines that only look alive: the broker's to us, and ours to clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from ordergate.api.deps import Bounds
from ordergate.brokers._shared.socket import Down, Up
from ordergate.brokers.paper import fates
from ordergate.core.orders import reports as r
from ordergate.core.orders.terms import Side
from ordergate.engine.answering.answers import Answer
from ordergate.ports.broker import News, StreamDown, StreamUp
from ordergate.venue.faults import Fault
from tests.api.books import Books
from tests.api.people import deps_of
from tests.api.served import Served, Talk, serving
from tests.api.test_stream import Deaf
from tests.brokers.conformance import Ear, listening, placed
from tests.brokers.streams import stream_server
from tests.brokers.test_alpaca_faults import QUICK, WATCHFUL
from tests.brokers.test_socket import listen, says
from tests.brokers.venue_floor import TUNED, VenueFloor, venue_floor
from tests.brokers.world import HandClock
from tests.engine.stage import ES, Stage
from tests.wounds.scenes import at_exchange, held, limit_to, placing, reconnect, seat_of


@pytest.fixture
async def floor() -> AsyncIterator[VenueFloor]:
    async with venue_floor(msgspec.structs.replace(TUNED, http=QUICK, patience=WATCHFUL)) as floor:
        yield floor


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
async def served(books: Books) -> AsyncIterator[Served]:
    async with serving(deps_of(books)) as served:
        yield served


async def test_alpaca_py_740_a_socket_that_is_mute_is_replaced_and_what_it_kept_back_is_told(
    floor: VenueFloor,
) -> None:
    """A socket stayed mute for hours and called itself connected."""
    async with listening(floor.broker) as ear:
        floor.venue.faults.add(Fault(kind="silent", scope="stream", count=1))
        await placed(floor.broker)
        await ear.until(lambda heard: heard[-1] == StreamUp() and len(heard) > 1)
        await floor.trade(Side.SELL, Decimal(10), Decimal(10))
        await ear.until(lambda _: any(isinstance(it, r.ExecutedReport) for it in ear.reports()))
        assert StreamDown in [type(it) for it in ear.heard]


async def test_alpaca_py_740_a_server_that_drops_every_link_is_not_stormed(clock: HandClock) -> None:
    """The trading stream came back every ten milliseconds, until the broker throttled the account."""
    async with stream_server(says()) as server:
        heard = await listen(server.url, lambda it: len(it) == 16, clock=clock)
    assert [type(it) for it in heard] == [Up, Down] * 8
    assert min(clock.slept) >= 0.25
    assert clock.slept == sorted(clock.slept)
    assert sum(clock.slept) >= 20


async def test_rust_ibapi_777_a_gap_of_the_brokers_stream_is_said_before_anything_after_it(
    floor: VenueFloor,
) -> None:
    """After a reconnect the order stream went on as if nothing was missing."""
    async with listening(floor.broker) as ear:
        await placed(floor.broker)
        floor.venue.faults.add(Fault(kind="disconnect", scope="stream", count=1))
        await floor.trade(Side.SELL, Decimal(4), Decimal(10))
        await ear.until(lambda heard: heard.count(StreamUp()) == 2)
        await floor.trade(Side.SELL, Decimal(6), Decimal(10))
        await ear.until(lambda heard: isinstance(heard[-1], News) and heard.count(StreamUp()) == 2)
        gap = [type(it) for it in ear.heard].index(StreamDown)
        assert ear.heard[gap + 1] == StreamUp()


@pytest.mark.parametrize(
    "resume",
    [{"stream_id": "another-stream", "after_seq": 1}, {"stream_id": "stream-1", "after_seq": 10_000}],
    ids=["another stream", "the future"],
)
async def test_rust_ibapi_777_our_own_stream_goes_on_gapless_or_says_that_it_starts_over(
    served: Served, books: Books, resume: dict[str, object]
) -> None:
    """The same of our own: a number that cannot be resumed from is answered with a whole snapshot."""
    async with served.stream() as talk:
        await talk.until("authenticated")
        channels = ["orders", "positions"]
        await talk.send(type="subscribe", account_id="P-DEMO", channels=channels, resume=resume)
        reset = await talk.until("reset")
        books.accept_an_order()
        books.accept_an_order()
        told = [(await talk.until("event"))["seq"] for _ in range(2)]
        assert told == [reset["as_of_seq"] + 1, reset["as_of_seq"] + 2]


async def test_lean_interactive_brokers_246_a_broker_that_is_gone_is_reported_until_it_is_back() -> None:
    """Three days every order was rejected after a nightly restart, and nothing reported it."""
    async with Stage() as stage:
        stage.broker.stream.cut("nightly restart")
        await stage.until(stage.gate.readiness, within_s=5)
        for _ in range(400):
            await stage.clock.move(0.25)
            assert "stream is down" in str(stage.gate.readiness())
        assert stage.clock.monotonic() - seat_of(stage).heard_at >= 100
        stage.broker.stream.restore()
        await stage.until(lambda: not stage.gate.readiness(), within_s=5)


async def test_lean_interactive_brokers_246_an_order_that_cannot_be_sent_says_why() -> None:
    """Seen from one order of such a day: its rejection carries the reason."""
    nothing_leaves = placing(*[fates.NotSent("no connection to the broker")] * 100)
    async with Stage(fate=nothing_leaves) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert held(stage, order).reason == "no connection to the broker"


async def test_lean_alpaca_60_no_order_that_opens_is_taken_while_the_stream_is_down() -> None:
    """Orders were placed while the stream of trades was down, until they were blocked for so long."""
    async with Stage() as stage:
        limits = limit_to(stage, stream_stale_max=timedelta(seconds=10))
        stage.broker.stream.cut("down")
        await stage.until(stage.gate.readiness, within_s=5)
        await stage.clock.move(limits.stream_stale_max.total_seconds() + 1)
        answer = await stage.place()
        assert isinstance(answer, Answer)
        assert [failed.reason for failed in answer.failed] == ["stale-account"]
        stage.broker.stream.restore()
        await stage.until(lambda: not stage.gate.readiness(), within_s=5)
        await stage.accepted()


async def test_openalgo_1396_a_price_that_stands_still_is_no_price_to_judge_by() -> None:
    """Feeds stalled or flapped behind connections that looked alive."""
    async with Stage() as stage:
        limit_to(stage, reference_price_max_age=timedelta(seconds=5))
        await stage.accepted()
        await stage.clock.move(6)
        answer = await stage.place(limit="4701")
        assert isinstance(answer, Answer)
        assert "stale-reference-price" in {failed.reason for failed in answer.failed}
        stage.price(Decimal(4800))
        await stage.accepted(limit="4702")


async def test_hummingbot_8250_news_goes_on_after_any_number_of_disconnects(floor: VenueFloor) -> None:
    """The connector did not recover from a disconnect."""
    async with listening(floor.broker) as ear:
        for round_ in range(1, 4):
            floor.venue.faults.add(Fault(kind="disconnect", scope="stream", count=1))
            await placed(floor.broker, round_)
            await until_up_again(ear, round_ + 1)
        await floor.trade(Side.SELL, Decimal(30), Decimal(10))
        await ear.until(
            lambda _: sum(it.quantity for it in ear.reports() if isinstance(it, r.ExecutedReport)) == 30
        )


async def test_vnpy_2602_after_a_reconnect_everything_is_subscribed_and_asked_for_again() -> None:
    """After a reconnect nothing was subscribed again."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        there = at_exchange(stage)[0]
        for _ in range(2):
            reconnect(stage)
            stage.exchange.fill(there.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled", within_s=5)
        assert stage.held(ES) == 2


async def test_vnpy_webtrader_defect_9_a_client_that_does_not_read_stalls_nobody(
    served: Served, books: Books
) -> None:
    """One slow client held up everybody's events: they were sent one after the other."""
    deaf = Deaf(served.port)
    await asyncio.to_thread(deaf.subscribe)
    async with served.stream() as talk:
        await followed(talk)
        async with asyncio.timeout(60):
            while served.deps.hub.sessions == 2:
                books.accept_an_order()
                await talk.until("event")
    deaf.socket.close()


async def test_vnpy_webtrader_defect_9_a_client_that_died_ends_nobody_elses_stream(
    books: Books,
) -> None:
    """A dead client broke the loop that told everybody, for everybody behind it."""
    async with (
        serving(deps_of(books, bounds=Bounds(heartbeat_s=0.05))) as served,
        served.stream() as dying,
        served.stream() as talk,
    ):
        await followed(dying)
        await followed(talk)
        dying.socket.transport.abort()
        for _ in range(20):
            books.accept_an_order()
        told = [(await talk.until("event"))["seq"] for _ in range(20)]
        assert told == list(range(told[0], told[0] + 20))


async def until_up_again(ear: Ear, times: int) -> None:
    await ear.until(lambda heard: heard.count(StreamUp()) == times)


async def followed(talk: Talk) -> None:
    await talk.until("authenticated")
    await talk.send(type="subscribe", account_id="P-DEMO", channels=["orders"])
    await talk.until("reset")
