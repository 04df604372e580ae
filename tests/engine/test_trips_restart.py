"""Stops that no person decided, after a crash: what was due is engaged, what a person released is not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from ordergate.core.accounts.events import LossLimitReached
from ordergate.core.ids import OrderId
from ordergate.core.risk.trading_state import Trip
from ordergate.engine.answering.answers import KillView
from tests.engine.stage import ACCOUNT, RISK, TRADER, Stage
from tests.engine.test_trips import passes, stops

LOSSES: Final = {
    "losses": {"max_daily_loss": "1000"},
    "trading_day": {"zone": "America/Chicago", "ends_at": "17:00"},
    "losses_cancel_all": True,
}


def limits(**losses: str) -> dict[str, object]:
    return {**LOSSES, "losses": losses}


async def losing(stage: Stage) -> OrderId:
    """A limit is reached. Returns an order that rests until then."""
    bought = await stage.accepted(quantity=2, limit="4810")
    resting = await stage.accepted(limit="4700")
    await stage.until(lambda: (stage.status(bought), stage.status(resting)) == ("filled", "working"))
    stage.price(Decimal(4700))
    await stage.until(lambda: "loss_limit_reached" in stage.listener.kinds)
    return resting


async def locked(stage: Stage) -> OrderId:
    """The same, and a crash right after it was durable. Returns an order that rests still."""
    resting = await stage.accepted(limit="4700")
    await stage.until(lambda: stage.status(resting) == "working")
    await crashed_at_a_lock(stage)
    return resting


async def crashed_at_a_lock(stage: Stage) -> None:
    now = stage.clock.now()
    lock = LossLimitReached(
        account=ACCOUNT,
        at=now,
        reason="daily-loss",
        limit=Decimal(1000),
        lost=Decimal(1300),
        until=now + timedelta(hours=8),
    )
    await stage.lane.record([lock], correlation="test").committed
    await stage.crash()


async def released(stage: Stage, level: str = "account", target: str = ACCOUNT) -> None:
    view = await stage.gate.release_kill(
        RISK, reason="understood", correlation="test", level=level, target=target
    )
    assert isinstance(view, KillView), view


async def test_a_crash_between_a_lock_and_its_stop_does_not_lose_the_stop() -> None:
    async with Stage(limits=LOSSES) as stage:
        resting = await locked(stage)
        await stage.start()
        await stage.until(lambda: [one.trip for one in stops(stage)] == ["loss-limit"])
        await stage.until(lambda: stage.status(resting) == "canceled")


async def test_a_crash_between_a_lock_and_its_alarm_does_not_lose_the_alarm() -> None:
    async with Stage(limits=LOSSES) as stage:
        await locked(stage)
        await stage.start()
        await passes(stage, 5)
        (alarm,) = stage.listener.frames_of("alarm_raised")
        assert alarm["detail"]["nature"] == "loss_limit"


async def test_a_stop_of_a_lock_that_the_clock_puts_in_the_future_can_be_released() -> None:
    async with Stage(limits=LOSSES) as stage:
        stage.clock.wrong_by = timedelta(hours=1)
        await crashed_at_a_lock(stage)
        stage.clock.wrong_by = timedelta()
        await stage.start()
        await stage.until(lambda: len(stops(stage)) == 1)
        await released(stage)
        await passes(stage, 5)
        assert stops(stage) == []


async def test_a_stop_is_engaged_for_a_lock_that_a_persons_own_stop_stood_before() -> None:
    async with Stage(limits=LOSSES) as stage:
        await stage.gate.engage_kill(
            TRADER, grade="cancel_all", reason="drill", correlation="test", level="account", target=ACCOUNT
        )
        await crashed_at_a_lock(stage)
        await stage.start()
        await passes(stage, 2)
        assert [one.actor for one in stops(stage)] == ["trader"]
        await released(stage)
        await stage.until(lambda: [one.trip for one in stops(stage)] == ["loss-limit"])


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_stop_that_a_person_released_does_not_come_back_for_the_same_lock(restarts: bool) -> None:
    async with Stage(limits=LOSSES) as stage:
        await losing(stage)
        await stage.until(lambda: stops(stage)[0].durable)
        await passes(stage, 1)
        await released(stage)
        if restarts:
            await stage.restart()
        await passes(stage, 5)
        assert stops(stage) == []


async def test_a_lock_that_a_tighter_limit_makes_anew_has_a_stop_of_its_own() -> None:
    async with Stage(limits=limits(max_daily_loss="1000", max_weekly_loss="20000")) as stage:
        await losing(stage)
        await passes(stage, 2)
        await released(stage)
        stage.price(Decimal(4500))
        await stage.until(lambda: len(stops(stage)) == 1)
        assert "weekly-loss" in stops(stage)[0].reason


async def test_two_limits_that_one_loss_reaches_are_one_stop() -> None:
    async with Stage(limits=limits(max_daily_loss="1000", max_weekly_loss="1000")) as stage:
        await losing(stage)
        await passes(stage, 2)
        await released(stage)
        await passes(stage, 5)
        assert stops(stage) == []


async def test_where_the_limits_do_not_cancel_a_lock_stops_nothing() -> None:
    async with Stage(limits={**LOSSES, "losses_cancel_all": False}) as stage:
        resting = await losing(stage)
        await stage.restart()
        await passes(stage, 5)
        assert (stops(stage), stage.status(resting)) == ([], "working")


async def test_a_lock_that_is_over_stops_nothing_after_a_restart() -> None:
    async with Stage(limits=LOSSES) as stage:
        await locked(stage)
        await stage.clock.move(10 * 3600)
        await stage.start()
        await passes(stage, 3)
        assert stops(stage) == []


@pytest.mark.parametrize(
    ("cancels", "says"), [(True, Trip.LOSS_LIMIT.lift), (False, "Until 2026-01-05T23:00:00+00:00")]
)
async def test_the_alarm_of_a_loss_says_how_it_is_lifted(cancels: bool, says: str) -> None:
    async with Stage(limits={**LOSSES, "losses_cancel_all": cancels}) as stage:
        await losing(stage)
        (alarm,) = stage.listener.frames_of("alarm_raised")
        assert says in alarm["detail"]["facts"]["lift"]
