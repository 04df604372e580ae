"""A wall clock that is set back makes nothing younger: what is in question is alarmed all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId
from ordergate.ports.broker import DedupClass
from tests.engine.settling import canceled_news, natures, working
from tests.engine.stage import ACCOUNT, Stage

BACK = pytest.mark.parametrize("back", [timedelta(seconds=60), timedelta(hours=1)])
ALARMED_WITHIN_S = 5
BREAK_WITHIN_S = 130
"""Two reconciliations on the timer, and one more soon after: as long as with a clock that is right."""


def in_doubt(dedup: DedupClass = DedupClass.A) -> Stage:
    """Every order is on its way for ever."""

    def fate(call: fates.Call) -> fates.Fate:
        return fates.LateCall() if call is fates.Call.PLACE else fates.Delivered()

    return Stage(fate=fate, resend_is_safe=False, dedup=dedup)


async def unknown(stage: Stage) -> OrderId:
    order = await stage.accepted()
    await stage.until(lambda: stage.status(order) == "unknown")
    return order


def alarmed(stage: Stage) -> list[str]:
    account = stage.lane.books.account
    return [] if account is None else list(account.alarms)


def counted(stage: Stage, age: str) -> float | None:
    return stage.metrics.registry.get_sample_value(
        "ordergate_unknown_orders", {"account": ACCOUNT, "age": age}
    )


@BACK
async def test_an_order_in_question_is_alarmed_in_time(back: timedelta) -> None:
    async with in_doubt() as stage:
        order = await unknown(stage)
        stage.clock.wrong_by = -back
        await stage.until(lambda: alarmed(stage) == [f"unknown_order:{order}"], within_s=ALARMED_WITHIN_S)


@BACK
async def test_an_order_in_question_is_alarmed_in_time_after_a_restart(back: timedelta) -> None:
    async with in_doubt() as stage:
        order = await unknown(stage)
        await stage.crash()
        stage.clock.wrong_by = -back
        await stage.start()
        await stage.until(lambda: alarmed(stage) == [f"unknown_order:{order}"], within_s=ALARMED_WITHIN_S)


async def test_a_doubt_that_a_restart_finds_is_as_old_as_its_date_says() -> None:
    async with in_doubt() as stage:
        await unknown(stage)
        await stage.crash()
        await stage.clock.move(90)
        await stage.start()
        await stage.until(lambda: counted(stage, "over_60s") == 1, within_s=1)


@BACK
async def test_the_age_that_is_measured_goes_on(back: timedelta) -> None:
    async with in_doubt(DedupClass.C) as stage:
        await unknown(stage)
        await stage.until(lambda: counted(stage, "under_60s") == 1)
        stage.clock.wrong_by = -back
        await stage.clock.move(1)
        assert counted(stage, "under_60s") == 1
        await stage.until(lambda: counted(stage, "over_60s") == 1, within_s=60)


@BACK
async def test_an_order_that_the_broker_denies_is_a_break_in_time(back: timedelta) -> None:
    async with Stage() as stage:
        _, theirs = await working(stage)
        stage.clock.wrong_by = -back
        stage.hidden.add(theirs)
        await stage.until(lambda: natures(stage) == ["order_status"], within_s=BREAK_WITHIN_S)


@BACK
async def test_a_denial_that_was_seen_before_is_a_break_in_time(back: timedelta) -> None:
    async with Stage() as stage:
        _, theirs = await working(stage)
        stage.hidden.add(theirs)
        await stage.until(lambda: len(stage.seat.sightings))
        stage.clock.wrong_by = -back
        await stage.until(lambda: natures(stage) == ["order_status"], within_s=BREAK_WITHIN_S)


@BACK
async def test_an_order_that_has_ended_with_us_and_works_there_is_a_break_in_time(back: timedelta) -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        stage.broker.stream._say(canceled_news(order, theirs))
        await stage.until(lambda: stage.status(order) == "canceled")
        stage.clock.wrong_by = -back
        await stage.until(lambda: natures(stage) == ["order_status"], within_s=BREAK_WITHIN_S)


async def test_what_is_over_is_not_remembered() -> None:
    async with in_doubt() as stage:
        order = await unknown(stage)
        await stage.until(lambda: len(stage.seat.ages))
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.clock.move(1)
        assert len(stage.seat.ages) == 0


async def test_a_wall_clock_that_is_put_forward_does_not_make_two_denials_of_one_moment_a_break() -> None:
    async with Stage() as stage:
        _, theirs = await working(stage)
        stage.hidden.add(theirs)
        await stage.until(lambda: len(stage.seat.sightings))
        stage.clock.wrong_by = timedelta(hours=1)
        runs = stage.seat.runs.count
        stage.seat.suspect("the test")
        await stage.until(lambda: stage.seat.runs.count > runs, within_s=1)
        assert natures(stage) == []
