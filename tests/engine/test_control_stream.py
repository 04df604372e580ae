"""Readings of a control stream: whoever asks is answered by one that was begun after."""

from __future__ import annotations

import asyncio

from ordergate.core.ids import AccountId, Env, Paper
from ordergate.engine.desks.control_stream import ControlStream
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.journal import AnyEvent, Taken
from tests.engine.stage import Listener, let_run

STREAM = AccountId("P-LIMITS")


class Slow(MemoryJournal[Paper]):
    """Takes a stream when it is told to, and counts how often."""

    taken = 0

    def __init__(self) -> None:
        super().__init__(Env.PAPER)
        self.go = asyncio.Event()

    async def take(self, account: AccountId) -> Taken:
        self.taken += 1
        await self.go.wait()
        return await super().take(account)


class Nothing:
    def begin(self) -> None: ...

    def take(self, event: AnyEvent) -> None: ...

    def end(self) -> None: ...


async def test_many_who_ask_at_once_are_answered_by_one_reading() -> None:
    journal = Slow()
    stream = ControlStream(STREAM, journal, Listener(), Nothing())
    asked = [asyncio.ensure_future(stream.catch_up()) for _ in range(50)]
    await let_run()
    journal.go.set()
    await asyncio.gather(*asked)
    assert journal.taken <= 2


async def test_a_reading_that_had_begun_before_does_not_answer() -> None:
    journal = Slow()
    stream = ControlStream(STREAM, journal, Listener(), Nothing())
    early = asyncio.ensure_future(stream.catch_up())
    await let_run()
    late = asyncio.ensure_future(stream.catch_up())
    await let_run()
    journal.go.set()
    await asyncio.gather(early, late)
    assert journal.taken == 2


async def test_who_asks_again_later_is_answered_by_another_reading() -> None:
    journal = Slow()
    journal.go.set()
    stream = ControlStream(STREAM, journal, Listener(), Nothing())
    await stream.catch_up()
    await stream.catch_up()
    assert journal.taken == 2
