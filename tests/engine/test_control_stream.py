"""A control stream: whoever asks is answered by a reading that was begun after, and is written once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ordergate.core.approvals import ChangeProposed, Person
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env, Paper
from ordergate.engine.desks.control_stream import ControlStream
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.journal import AnyEvent, Committed, Taken, Unit
from tests.engine.stage import START, Listener, let_run

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


class Told(Listener):
    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        self.seqs.append(seq)


class Doubtful(MemoryJournal[Paper]):
    """Its next answer to a write is lost, and the write is or is not."""

    def __init__(self, *, writes: bool) -> None:
        super().__init__(Env.PAPER)
        self._writes = writes
        self._lost = False

    def append(self, unit: Unit) -> Committed:
        if self._lost:
            return super().append(unit)
        self._lost = True
        if self._writes:
            super().append(unit)
        answer: Committed = asyncio.get_running_loop().create_future()
        answer.set_exception(JournalUnavailable("the connection was lost in the commit"))
        return answer


@pytest.mark.parametrize("writes", [True, False])
async def test_a_decision_whose_answer_was_lost_is_written_once_and_told_once(*, writes: bool) -> None:
    """And answered as it is written: whoever asked has one change that waits, and not two."""
    journal, told = Doubtful(writes=writes), Told()
    stream = ControlStream(STREAM, journal, told, Nothing())
    await stream.recover()
    decided: list[ChangeProposed] = []

    async def decide() -> list[AnyEvent]:
        decided.append(proposed(f"chg-{len(decided)}"))
        return [decided[-1]]

    done = await stream.record(decide, "asked-once")

    stored = [one.event async for one in journal.read(STREAM, after=0)]
    assert stored == done == [decided[-1]]
    assert len(decided) == (1 if writes else 2)
    assert told.seqs == [1]
    await stream.record(decide, "asked-again")
    assert len([one async for one in journal.read(STREAM, after=0)]) == 2


def proposed(change_id: str) -> ChangeProposed:
    return ChangeProposed(
        change_id=change_id,
        at=START,
        subject="limits",
        summary=("more",),
        content={},
        by=Person("risk-1", "console"),
        reason="as agreed",
        expires_at=START + timedelta(days=1),
    )
