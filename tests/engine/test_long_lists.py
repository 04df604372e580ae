"""A list of executions that takes minutes to read keeps no account from being caught up with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec

from ordergate.engine.accounts.runs import RunResult
from ordergate.engine.reconciling.rereader import Rereader
from ordergate.ports.broker import BrokerExecution
from tests.engine.killing import hold
from tests.engine.settling import natures
from tests.engine.stage import ES, Stage


class LongList:
    """The whole list of executions, once something was traded: reading it ends when it is told to."""

    def __init__(self, stage: Stage) -> None:
        account = stage.lane.books.account
        assert account is not None
        self.ends = asyncio.Event()
        self.begun_at: list[float] = []
        self._opening = account.opening_cursor
        self._clock = stage.clock
        self._read = stage.broker.executions
        stage.broker.executions = self._executions  # type: ignore[method-assign]  # a stage's own

    async def _executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        if after == self._opening:
            self.begun_at.append(self._clock.monotonic())
            await self.ends.wait()
        async for one in self._read(after=after):
            yield one


async def traded(stage: Stage) -> LongList:
    """Three are held, and the list has been read so far."""
    await hold(stage, 2)
    await hold(stage, 1)
    stage.seat.suspect("test")
    await stage.until(lambda: cursor(stage) == stage.exchange.executions[-1].cursor)
    return LongList(stage)


async def read_for_an_average(stage: Stage) -> LongList:
    """The same, at a broker that averages by a rule of its own: the read has begun."""
    long = await traded(stage)
    stage.exchange.ledger.cost = lambda _: Decimal(9000)  # type: ignore[method-assign,assignment]  # no such rule here
    stage.seat.suspect("test")
    await stage.until(lambda: long.begun_at)
    return long


def cursor(stage: Stage) -> str | None:
    account = stage.lane.books.account
    return None if account is None else account.cursor


def wait_for_no_list(stage: Stage) -> None:
    reconciler = stage.node._reconciler
    reconciler._rhythm = msgspec.structs.replace(reconciler._rhythm, reread_in_run_s=0)


def take_back_unheard(stage: Stage) -> None:
    """The first execution; the list shows it at the place that it had."""
    first = stage.exchange.executions[0]
    copies, stage.broker.stream.copies = stage.broker.stream.copies, lambda _: 0
    stage.exchange.bust(first.exec_id)
    stage.broker.stream.copies = copies
    gone = stage.exchange.executions.pop()
    stage.exchange.executions.insert(0, msgspec.structs.replace(gone, cursor=first.cursor))


def comes_up_anew(stage: Stage) -> None:
    stage.broker.stream.cut("maintenance")
    stage.broker.stream.restore()


async def test_an_account_is_fresh_while_the_list_is_read_for_an_average() -> None:
    async with Stage() as stage:
        await read_for_an_average(stage)
        comes_up_anew(stage)
        await stage.until(lambda: stage.seat.freshness.stale_since is None, within_s=10)
        assert not stage.gate.readiness()


async def test_runs_go_on_while_the_list_is_read_for_an_average() -> None:
    async with Stage() as stage:
        await read_for_an_average(stage)
        runs = len(list(stage.seat.runs.newest_first()))
        await stage.until(lambda: len(list(stage.seat.runs.newest_first())) > runs + 1)


async def test_another_difference_is_a_break_while_the_list_is_read_for_an_average() -> None:
    async with Stage() as stage:
        wait_for_no_list(stage)
        await read_for_an_average(stage)
        stage.exchange.ledger.cash -= 7
        stage.seat.suspect("test")
        await stage.until(lambda: natures(stage) == ["cash"], within_s=10)


async def test_a_list_that_is_being_read_is_not_begun_again() -> None:
    async with Stage() as stage:
        long = await read_for_an_average(stage)
        await stage.clock.move(200)
        await stage.clock.move(200)
        assert len(long.begun_at) == 1


async def test_a_difference_is_a_break_though_the_list_takes_too_long_for_a_run() -> None:
    async with Stage() as stage:
        wait_for_no_list(stage)
        await traded(stage)
        stage.exchange.ledger.cash -= 7
        stage.seat.suspect("test")
        await stage.until(lambda: natures(stage) == ["cash"], within_s=30)
        latest = stage.seat.runs.latest
        assert latest is not None
        assert latest.result == RunResult.COMPLETED


async def test_what_took_too_long_for_a_run_is_read_beside_it_and_heals_the_break() -> None:
    async with Stage() as stage:
        wait_for_no_list(stage)
        long = await traded(stage)
        take_back_unheard(stage)
        stage.seat.suspect("test")
        await stage.until(lambda: "position" in natures(stage))
        long.ends.set()
        await stage.until(lambda: natures(stage) == [] and stage.held(ES) == 1)


async def test_a_read_that_does_not_end_is_given_up() -> None:
    async with Stage() as stage:
        await traded(stage)
        rereader = Rereader(ingest=stage.node._ingest, clock=stage.clock, timeout_s=0)
        assert stage.seat.rereads_for_averages.is_due({ES}, now=0, wait_s=5)
        await rereader.read(stage.seat)
        assert stage.seat.rereads_for_averages.is_due({ES}, now=stage.clock.monotonic() + 10, wait_s=5)
