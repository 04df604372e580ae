"""An owner that was paused between a commit and its sending: it proves that it still is one, or is silent.

So it is in what it does for the whole database: whoever came after it signs and alerts alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env, Paper
from ordergate.engine.answering.answers import Answer
from ordergate.engine.duties import LOOK_S
from ordergate.journal.memory import MemoryJournal
from ordergate.telemetry import failpoints
from tests.engine.limit_people import edited, rule, setting
from tests.engine.stage import ACCOUNT, STEP_S, Stage

PAUSE_S = 6.0


class Sleep:
    """Struck once, right before the broker would be spoken to: time passes, and maybe the ownership."""

    def __init__(self, stage: Stage, *, taken: bool = False) -> None:
        self._stage = stage
        self._taken = taken
        self._slept = False

    def __call__(self, place: str) -> None:
        if place == "C4" and not self._slept:
            self._slept = True
            self._stage.clock._moved += PAUSE_S
            if self._taken:
                self._stage.journal.store.take(ACCOUNT)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


async def test_after_a_pause_an_order_is_sent_only_once_a_commit_has_proven_the_account_ours() -> None:
    async with Stage() as stage:
        failpoints.arm(Sleep(stage))
        await stage.place()
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        assert stage.listener.kinds.count("dispatch_started") == 1


async def test_without_a_pause_nothing_is_written_between_the_commit_and_the_sending() -> None:
    async with Stage() as stage:
        await stage.place()
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        assert stage.listener.kinds.count("dispatch_started") == 0


async def test_an_owner_that_slept_while_another_took_the_account_sends_nothing() -> None:
    async with Stage() as stage:
        failpoints.arm(Sleep(stage, taken=True))
        await stage.place()
        await stage.until(lambda: stage.lane.fenced)
        for _ in range(80):
            await stage.clock.move(0.25)
        assert stage.placed_at_exchange() == 0
        assert stage.listener.kinds.count("dispatch_started") == 0


async def test_limits_that_another_owner_changed_hold_once_the_account_is_taken_again() -> None:
    async with Stage() as stage:
        other = Stage()
        other.journal = stage.journal
        async with other:
            tight = rule({"instruments": {"ESH4": {"max_order_quantity": "4"}}})
            await edited(other, setting(tight))

        stage.lane.stop(JournalUnavailable("the connection is gone"))
        await stage.until(stage.lane.ready.is_set)

        answer = await stage.place(quantity=5)
        assert isinstance(answer, Answer)
        assert [no.control for no in answer.failed] == ["R06"]


class Owned(MemoryJournal[Paper]):
    """Knows whether the right to write was given up."""

    closed = False

    async def close(self) -> None:
        self.closed = True
        await super().close()


async def test_who_was_fenced_holds_nothing_that_another_gateway_needs() -> None:
    async with Stage() as stage:
        await stage.crash()
        journal = Owned(Env.PAPER)
        journal.store = stage.journal.store
        stage.journal = journal
        await stage.start()
        assert not journal.closed
        stage.journal.store.take(ACCOUNT)
        await stage.place()
        await stage.until(lambda: stage.lane.fenced)
        await stage.until(lambda: journal.closed)
        for _ in range(80):
            await stage.clock.move(0.25)
        assert stage.lane.fenced, "it does not take the account back"
        assert stage.gate.readiness()


class Rounds:
    """A duty: how often it was begun, and how many rounds it made."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.begun = 0
        self.made = 0

    async def run(self) -> None:
        self.begun += 1
        while True:
            self.made += 1
            await self._stage.clock.sleep(0.5)

    async def during(self, seconds: float) -> int:
        before = self.made
        for _ in range(int(seconds / STEP_S)):
            await self._stage.clock.move(STEP_S)
        return self.made - before


@pytest.fixture
async def dutiful() -> AsyncIterator[tuple[Stage, Rounds]]:
    stage = Stage()
    rounds = Rounds(stage)
    stage.duties["rounds"] = rounds.run
    async with stage:
        yield stage, rounds


async def test_who_gave_way_does_nothing_for_the_database_beside_its_successor(
    dutiful: tuple[Stage, Rounds],
) -> None:
    stage, rounds = dutiful
    assert await rounds.during(5.0) >= 9
    stage.journal.store.take(ACCOUNT)
    await stage.place()
    await stage.until(lambda: stage.lane.fenced)
    await rounds.during(LOOK_S)
    assert await rounds.during(20.0) == 0
    assert rounds.begun == 1


async def test_while_another_holds_the_fence_nothing_is_done_for_the_database(
    dutiful: tuple[Stage, Rounds],
) -> None:
    """It may be let in again when the other has ended, and goes on then as after a start."""
    stage, rounds = dutiful
    stage.journal.displaced = True
    await rounds.during(LOOK_S)
    assert await rounds.during(20.0) == 0
    stage.journal.displaced = False
    await rounds.during(LOOK_S)
    assert await rounds.during(5.0) >= 9
    assert rounds.begun == 2


async def test_a_duty_that_fails_is_begun_again_and_told_of(dutiful: tuple[Stage, Rounds]) -> None:
    stage, rounds = dutiful
    begun = asyncio.Event()

    async def failing() -> None:
        begun.set()
        raise JournalUnavailable("the database is away")

    stage.duties["failing"] = failing
    await stage.crash()
    await stage.start(ready=False)
    await stage.until(lambda: "failing" in stage.gate.readiness())
    begun.clear()
    await stage.until(begun.is_set)
    assert await rounds.during(5.0) >= 9
