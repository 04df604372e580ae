"""A conversation is kept alive, its gaps are told, and a server that drops it is never stormed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing

import pytest
from aiohttp import web
from yarl import URL

from ordergate.brokers._shared.socket import (
    Backoff,
    Down,
    Garbled,
    Link,
    LinkLost,
    Patience,
    Renewal,
    Up,
    lifeline,
    stream_session,
)
from tests.brokers.sockets import free_port
from tests.brokers.streams import Scene, Stage, stream_server
from tests.brokers.world import WAIT_S, FixedChance, HandClock

QUICK = Patience(connect_s=2.0, greet_s=2.0, ping_every_s=5.0, silence_s=5.0, probe_answer_s=2.0)
Heard = Up | Down | str


class Echoes:
    """A conversation of one word each way."""

    def __init__(self, url: str) -> None:
        self.url = URL(url.replace("http", "ws"))
        self.early: tuple[bytes, ...] = ()

    async def greet(self, link: Link) -> Sequence[bytes]:
        await link.send(b'"hello"')
        answer = await link.receive(WAIT_S)
        if answer != b'"welcome"':
            raise LinkLost("not welcome")
        return self.early

    def probe(self) -> bytes:
        return b'"still there?"'

    def read(self, frame: bytes) -> Iterable[str]:
        if frame == b'"garbage"':
            raise Garbled("garbage")
        return (frame.decode().strip('"'),)


async def listen(
    url: str,
    until: Callable[[list[Heard]], bool],
    *,
    clock: HandClock,
    patience: Patience = QUICK,
    conversation: Echoes | None = None,
    renewal: Renewal | None = None,
) -> list[Heard]:
    """Everything heard until it is enough."""
    heard: list[Heard] = []
    async with stream_session() as session, asyncio.timeout(WAIT_S):
        line = lifeline(
            session,
            conversation or Echoes(url),
            patience=patience,
            clock=clock,
            chance=FixedChance(),
            renewal=renewal,
        )
        async with aclosing(line):
            async for item in line:
                heard.append(item)
                if until(heard):
                    break
    return heard


def says(*words: str, then: Scene | None = None) -> Scene:
    async def scene(stage: Stage) -> None:
        assert await stage.hear() == "hello"
        await stage.say("welcome")
        for word in words:
            await stage.say(word)
        if then is not None:
            await then(stage)

    return scene


async def abort(stage: Stage) -> None:
    stage.abort()


async def test_it_says_that_it_is_up_before_what_it_heard(clock: HandClock) -> None:
    async with stream_server(says("one", "two", then=Stage.stay)) as server:
        heard = await listen(server.url, lambda it: len(it) == 3, clock=clock)
    assert heard == [Up(), "one", "two"]


async def test_binary_frames_are_read_like_text(clock: HandClock) -> None:
    async def scene(stage: Stage) -> None:
        await stage.hear()
        await stage.say("welcome", binary=True)
        await stage.say("one", binary=True)
        await stage.stay()

    async with stream_server(scene) as server:
        assert await listen(server.url, lambda it: len(it) == 2, clock=clock) == [Up(), "one"]


async def test_news_that_came_with_the_greeting_is_not_lost(clock: HandClock) -> None:
    async with stream_server(says("late", then=Stage.stay)) as server:
        conversation = Echoes(server.url)
        conversation.early = (b'"early"',)
        heard = await listen(server.url, lambda it: len(it) == 3, clock=clock, conversation=conversation)
    assert heard == [Up(), "early", "late"]


@pytest.mark.parametrize("ending", [None, abort], ids=["closed", "aborted"])
async def test_a_lost_line_is_told_and_mended(clock: HandClock, ending: Scene | None) -> None:
    async with stream_server(says("one", then=ending), says("two", then=Stage.stay)) as server:
        heard = await listen(server.url, lambda it: len(it) == 5, clock=clock)
    assert [item for item in heard if not isinstance(item, Down)] == [Up(), "one", Up(), "two"]
    assert isinstance(heard[2], Down)


async def renewed(url: str, clock: HandClock, *, two_at_once: bool) -> tuple[list[Heard], Renewal]:
    """What is heard where a renewal is asked for at the first word, up to the second."""
    heard: list[Heard] = []
    renewal = Renewal(two_at_once=two_at_once)
    async with stream_session() as session, asyncio.timeout(WAIT_S):
        line = lifeline(
            session, Echoes(url), patience=QUICK, clock=clock, chance=FixedChance(), renewal=renewal
        )
        async with renewal, aclosing(line):
            async for item in line:
                heard.append(item)
                if item == "one":
                    renewal.ask()
                    assert renewal.pending
                if item == "two":
                    break
            assert not renewal.pending
    return heard, renewal


async def test_a_renewed_line_listens_before_the_old_one_ends_and_is_never_down(clock: HandClock) -> None:
    async with stream_server(says("one", then=Stage.stay), says("two", then=Stage.stay)) as server:
        heard, _ = await renewed(server.url, clock, two_at_once=True)
    assert heard == [Up(), "one", Up(), "two"]


async def test_a_renewal_that_is_not_let_in_keeps_the_old_line_and_tries_again(clock: HandClock) -> None:
    async with stream_server(says("one", then=Stage.stay), abort, says("two", then=Stage.stay)) as server:
        heard, _ = await renewed(server.url, clock, two_at_once=True)
    assert heard == [Up(), "one", Up(), "two"]


async def test_where_only_one_line_may_stand_the_old_one_ends_first(clock: HandClock) -> None:
    async with stream_server(says("one", then=Stage.stay), says("two", then=Stage.stay)) as server:
        heard, _ = await renewed(server.url, clock, two_at_once=False)
    assert heard == [Up(), "one", Down("renewed"), Up(), "two"]


async def test_a_renewal_of_what_nobody_listens_to_is_not_pending() -> None:
    renewal = Renewal(two_at_once=True)
    renewal.ask()
    assert not renewal.pending


async def test_a_renewal_asked_for_while_one_is_being_made_is_made_too(clock: HandClock) -> None:
    """The first was greeted with what held before: who asked again waits for the one after it."""
    renewal = Renewal(two_at_once=True)

    async def asked_again(stage: Stage) -> None:
        assert await stage.hear() == "hello"
        renewal.ask()
        await stage.say("welcome")
        await stage.stay()

    def enough(heard: list[Heard]) -> bool:
        if heard[-1] == "one":
            renewal.ask()
        return heard[-1] == "three"

    scenes = says("one", then=Stage.stay), asked_again, says("three", then=Stage.stay)
    async with stream_server(*scenes) as server:
        heard = await listen(server.url, enough, clock=clock, renewal=renewal)
    assert heard == [Up(), "one", Up(), Up(), "three"]
    assert not renewal.pending


def let_go(ended: asyncio.Semaphore) -> Scene:
    """Counts the lines that the client ended, and not the test."""

    async def scene(stage: Stage) -> None:
        await stage.stay()
        if not stage.over.is_set():
            ended.release()

    return scene


async def test_a_line_that_is_being_greeted_is_let_go_with_the_one_that_it_would_replace(
    clock: HandClock,
) -> None:
    renewal = Renewal(two_at_once=True)
    began, ended = asyncio.Event(), asyncio.Semaphore(0)

    async def never_welcomed(stage: Stage) -> None:
        assert await stage.hear() == "hello"
        began.set()
        await let_go(ended)(stage)

    async with (
        stream_server(says("one", then=Stage.stay), never_welcomed) as server,
        stream_session() as session,
        asyncio.timeout(WAIT_S),
    ):
        conversation = Echoes(server.url)
        line = lifeline(
            session, conversation, patience=QUICK, clock=clock, chance=FixedChance(), renewal=renewal
        )
        async with renewal, aclosing(line):
            assert [await anext(line), await anext(line)] == [Up(), "one"]
            renewal.ask()
            await began.wait()
        await ended.acquire()


async def test_a_line_that_was_greeted_and_never_used_is_let_go(clock: HandClock) -> None:
    renewal = Renewal(two_at_once=True)
    ended = asyncio.Semaphore(0)
    async with (
        stream_server(says(then=let_go(ended))) as server,
        stream_session() as session,
        asyncio.timeout(WAIT_S),
    ):

        async def dial() -> tuple[Link, Sequence[bytes]]:
            link = Link(await session.ws_connect(server.url, decode_text=False))
            return link, await Echoes(server.url).greet(link)

        old, _ = await dial()
        async with renewal:
            renewal.ask()
            await renewal.replace(old, dial, lambda: clock.sleep(0))
        await ended.acquire()  # the old one's end
        await ended.acquire()


async def test_a_frame_that_cannot_be_read_is_a_gap(clock: HandClock) -> None:
    async with stream_server(says("garbage", then=Stage.stay), says("two", then=Stage.stay)) as server:
        heard = await listen(server.url, lambda it: len(it) == 4, clock=clock)
    assert heard == [Up(), Down("garbage"), Up(), "two"]


async def test_a_server_that_is_not_there_is_told_once_and_tried_ever_more_slowly(clock: HandClock) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    heard: list[Heard] = []
    async with stream_session() as session, asyncio.timeout(WAIT_S):
        line = lifeline(session, Echoes(url), patience=QUICK, clock=clock, chance=FixedChance(1.0))

        async def collect() -> None:
            async with aclosing(line):
                async for item in line:
                    heard.append(item)

        clock.sleeps_max = 9
        task = asyncio.create_task(collect())
        await clock.worn_out.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(heard) == 1
    assert isinstance(heard[0], Down)
    waits = [round(wait, 2) for wait in clock.slept]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


async def test_a_server_that_welcomes_and_drops_at_once_is_not_stormed(clock: HandClock) -> None:
    """Ups do not reset the backoff: only a line that held for a while does."""
    async with stream_server(says()) as server:
        heard = await listen(server.url, lambda it: len(it) == 12, clock=clock)
        assert server.connections == 6
    assert heard == [Up(), Down("closed with code 1000")] * 6
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0]


async def test_a_line_that_held_starts_the_backoff_over(clock: HandClock) -> None:
    def enough(heard: list[Heard]) -> bool:
        if heard.count(Up()) == 3 and heard[-1] == Up():
            clock.seconds += QUICK.stable_s
        return len(heard) == 8

    async with stream_server(says()) as server:
        await listen(server.url, enough, clock=clock)
    assert clock.slept == [0.25, 0.5, 0.25]


async def test_a_line_that_never_came_up_does_not_start_the_backoff_over(clock: HandClock) -> None:
    """However long a server took to turn us away."""

    async def slowly_turned_away(stage: Stage) -> None:
        assert await stage.hear() == "hello"
        clock.seconds += QUICK.stable_s
        await stage.say("go away")

    async with stream_server(slowly_turned_away, slowly_turned_away, says(then=Stage.stay)) as server:
        heard = await listen(server.url, lambda it: len(it) == 2, clock=clock)
    assert heard == [Down("not welcome"), Up()]
    assert clock.slept == [0.25, 0.5]


async def test_a_silent_application_is_asked_and_its_answer_counts(clock: HandClock) -> None:
    async def answers(stage: Stage) -> None:
        assert await stage.hear() == "still there?"
        await stage.say("yes")
        await stage.stay()

    patience = Patience(silence_s=0.05, probe_answer_s=5.0)
    async with stream_server(says(then=answers)) as server:
        heard = await listen(server.url, lambda it: len(it) == 2, clock=clock, patience=patience)
    assert heard == [Up(), "yes"]


async def test_a_silent_application_that_does_not_answer_is_given_up(clock: HandClock) -> None:
    """The socket is alive and answers pings, which is why pings alone are not enough."""
    patience = Patience(silence_s=0.05, probe_answer_s=0.05)
    async with stream_server(says(then=Stage.stay)) as server:
        heard = await listen(server.url, lambda it: len(it) == 2, clock=clock, patience=patience)
    assert isinstance(heard[1], Down)
    assert "silent" in heard[1].why


async def test_an_unanswered_ping_is_a_lost_line(clock: HandClock) -> None:
    async with stream_server(says(then=Stage.freeze)) as server:
        patience = Patience(ping_every_s=0.1, silence_s=60.0)
        heard = await listen(server.url, lambda it: len(it) == 2, clock=clock, patience=patience)
    assert isinstance(heard[1], Down)


async def test_no_answer_to_the_greeting_is_a_lost_line(clock: HandClock) -> None:
    async with stream_server(Stage.stay) as server:
        patience = Patience(greet_s=0.05)
        heard = await listen(server.url, lambda it: len(it) == 1, clock=clock, patience=patience)
    assert heard == [Down("no answer to the greeting within the time allowed")]


async def test_a_frame_over_the_bound_is_a_lost_line(clock: HandClock) -> None:
    patience = Patience(frame_bytes_max=1_000)
    async with stream_server(says("x" * 2_000, then=Stage.stay)) as server:
        heard = await listen(server.url, lambda it: len(it) == 2, clock=clock, patience=patience)
    assert isinstance(heard[1], Down)


async def test_a_redirect_of_the_handshake_is_not_followed(clock: HandClock) -> None:
    async with stream_server(says()) as elsewhere:

        async def redirect(request: web.Request) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(elsewhere.url)

        app = web.Application()
        app.router.add_get("/{path:.*}", redirect)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            heard = await listen(url, lambda it: len(it) == 1, clock=clock)
        finally:
            await runner.cleanup()
        assert heard == [Down("no connection: Redirected")]
        assert elsewhere.connections == 0


@pytest.mark.parametrize("share", [0.0, 0.25, 0.999])
def test_the_backoff_is_jittered_within_half_and_capped(share: float) -> None:
    backoff = Backoff(Patience(retry_first_s=1.0, retry_s_max=4.0), FixedChance(share))
    waits = [backoff.take() for _ in range(5)]
    for wait, whole in zip(waits, [1.0, 2.0, 4.0, 4.0, 4.0], strict=True):
        assert whole / 2 <= wait <= whole
    backoff.reset()
    assert backoff.take() == waits[0]


@pytest.mark.parametrize(("first", "most"), [(0.01, 1.0), (2.0, 1.0)])
def test_a_backoff_that_would_storm_is_refused(first: float, most: float) -> None:
    with pytest.raises(ValueError):
        Patience(retry_first_s=first, retry_s_max=most)
