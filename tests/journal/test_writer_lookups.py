"""A look-up that PostgreSQL refuses, and faults of the writer's own: it goes on all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal import chain
from ordergate.journal.session import Backend, Lost, Refused, Session
from ordergate.journal.writer import Limits, Writer
from ordergate.ports.journal import Taken, Unit
from ordergate.simulation.loop import VirtualLoop
from tests.journal.making import ALICE, entry, opened

T = TypeVar("T")
CANCELED = Refused("57014", None, "canceling statement due to statement timeout")


class Scripted(Session):
    """A session of the script's: what it says to each statement."""

    def __init__(self, script: Script) -> None:
        self.backend = Backend(1, datetime(2026, 1, 5, tzinfo=UTC), "test")
        self._script = script
        self._aborted = False

    @property
    def closed(self) -> bool:
        return self._aborted

    def on_end(self, call: Callable[[], None]) -> None: ...

    def abort(self) -> None:
        self._aborted = True

    async def close(self) -> None:
        self._aborted = True

    async def take(self, account: AccountId) -> tuple[Taken, bytes]:
        seal = chain.genesis(account)
        return Taken(epoch=1, head=0, stream_id="s", last_hash=seal), seal

    async def append(self, batch: object) -> None:
        if self._script.fails:
            raise self._script.fails.pop(0)

    async def is_written(self, linked: object) -> bool | None:
        self._script.asked_at.append(asyncio.get_running_loop().time())
        if self._script.refusals > 0:
            self._script.refusals -= 1
            raise CANCELED
        return True

    async def prove_replicated(self) -> None: ...


class Script:
    """`refusals` is how many look-ups are refused, `fails` what becomes of the appends, in turn."""

    def __init__(self, *, refusals: int = 0, fails: list[Exception] | None = None) -> None:
        self.refusals = refusals
        self.fails = [Lost("gone")] if fails is None else fails
        self.asked_at: list[float] = []

    async def opened(self) -> Writer:
        async def open_session(_: Backend | None) -> Session:
            return Scripted(self)

        writer = Writer(open_session, Limits())
        await writer.start()
        return writer


def played(run: Callable[[], Awaitable[T]]) -> T:
    """What it comes to in virtual time."""
    loop = VirtualLoop()

    async def running() -> T:
        return await run()

    task = loop.create_task(running())
    loop.run_until(60)
    try:
        assert task.done(), "it never ended"
        return task.result()
    finally:
        loop.close()


def first() -> Unit:
    return Unit(account=ALICE, epoch=1, expected=0, entries=(entry(1, opened(ALICE)),))


def test_a_unit_is_written_once_its_look_up_is_answered_after_refusals() -> None:
    async def run() -> int:
        writer = await Script(refusals=3).opened()
        await writer.take(ALICE)
        sealed = await writer.append(first())
        await writer.close()
        return len(sealed)

    assert played(run) == 1


def test_the_waits_between_refused_look_ups_grow_although_each_connects() -> None:
    script = Script(refusals=3)

    async def run() -> None:
        writer = await script.opened()
        await writer.take(ALICE)
        await writer.append(first())
        await writer.close()

    played(run)
    waits = [round(later - at, 3) for at, later in zip(script.asked_at, script.asked_at[1:], strict=False)]
    assert waits == [0.05, 0.1, 0.2]


def test_out_of_patience_the_unit_is_failed() -> None:
    async def run() -> None:
        writer = await Script(refusals=1_000).opened()
        await writer.take(ALICE)
        with pytest.raises(JournalUnavailable, match="cannot be looked up"):
            await writer.append(first())
        await writer.close()

    played(run)


def test_out_of_patience_the_account_can_be_taken_again() -> None:
    async def run() -> Taken:
        writer = await Script(refusals=1_000).opened()
        await writer.take(ALICE)
        with pytest.raises(JournalUnavailable):
            await writer.append(first())
        again = await writer.take(ALICE)
        await writer.close()
        return again

    assert played(run).head == 0


def test_after_a_fault_of_its_own_the_writer_begins_anew() -> None:
    async def run() -> int:
        writer = await Script(fails=[ZeroDivisionError("ours")]).opened()
        await writer.take(ALICE)
        with pytest.raises(JournalUnavailable, match="begins anew"):
            await writer.append(first())
        await writer.take(ALICE)
        sealed = await writer.append(first())
        with pytest.raises(ZeroDivisionError):
            await writer.close()
        return len(sealed)

    assert played(run) == 1
