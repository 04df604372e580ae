"""Stops that no person decided, after a crash: what was due is engaged, what a person released is not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec
import pytest

from ordergate.core.accounts.events import LossLimitReached
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Trip
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.answering.answers import Answer, KillView
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage
from tests.engine.test_trips import ERRORS, EXECUTIONS, Answering, filled, passes, rejected, stops

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
    await lock(stage)
    await stage.crash()


async def lock(stage: Stage) -> LossLimitReached:
    """Durable, and nothing has followed from it yet."""
    now = stage.clock.now()
    reached = LossLimitReached(
        account=ACCOUNT,
        at=now,
        reason="daily-loss",
        limit=Decimal(1000),
        lost=Decimal(1300),
        until=now + timedelta(hours=8),
    )
    await stage.lane.record([reached], correlation="test").committed
    return reached


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


async def test_a_stop_that_was_released_before_it_was_written_does_not_come_back_either() -> None:
    async with Stage(limits=LOSSES) as stage:
        stage.node.trips.lost_too_much(stage.seat, await lock(stage), "1300 lost today, 1000 allowed")
        assert not stops(stage)[0].durable
        await released(stage)
        assert stops(stage) == []
        await stage.restart()
        await passes(stage, 3)
        assert stops(stage) == []


async def test_another_limit_that_is_reached_later_has_a_stop_of_its_own() -> None:
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


class Ending(NamedTuple):
    """How a node ends and the next begins, and whether a snapshot is between them."""

    snapshots: SnapshotPace | None = None

    async def again(self, stage: Stage) -> None:
        if self.snapshots is not None:
            before = stage.lane.kept_at
            await stage.until(lambda: stage.lane.kept_at > before)
        await stage.restart()
        assert bool(stage.lane.folded_since) is (self.snapshots is not None)


either = pytest.mark.parametrize(
    "ending", [Ending(), Ending(SnapshotPace(events=1))], ids=["journal", "snapshot"]
)
TREND: Final = ("strategy", "trend")


@either
async def test_executions_before_a_restart_are_counted_after_it(ending: Ending) -> None:
    async with Stage(trips=EXECUTIONS, snapshots=ending.snapshots) as stage:
        for _ in range(2):
            await filled(stage)
        await ending.again(stage)
        assert stops(stage) == []
        await filled(stage)
        assert [(one.level, one.target, one.trip) for one in stops(stage)] == [(*TREND, "repeated-execution")]


@either
async def test_executions_without_a_strategy_are_counted_over_a_restart_too(ending: Ending) -> None:
    async with Stage(trips=EXECUTIONS, snapshots=ending.snapshots) as stage:
        for _ in range(2):
            await filled(stage, None)
        await ending.again(stage)
        await filled(stage, None)
        assert [(one.level, one.trip) for one in stops(stage)] == [("account", "repeated-execution")]


@either
async def test_errors_before_a_restart_are_counted_after_it(ending: Ending) -> None:
    async with Stage(fate=Answering(), trips=ERRORS, snapshots=ending.snapshots) as stage:
        for _ in range(2):
            await rejected(stage)
        await ending.again(stage)
        assert stops(stage) == []
        await rejected(stage)
        assert [one.trip for one in stops(stage)] == ["error-rate"]


async def test_what_is_older_than_its_window_is_not_counted_after_a_restart() -> None:
    async with Stage(trips=EXECUTIONS) as stage:
        for _ in range(2):
            await filled(stage)
        await passes(stage, 61)
        await stage.restart()
        await filled(stage)
        assert stops(stage) == []


async def test_a_crash_between_the_last_execution_and_its_stop_does_not_lose_the_stop() -> None:
    async with Stage(trips=EXECUTIONS) as stage:
        for _ in range(3):
            await filled(stage)
        assert not stops(stage)[0].durable
        await stage.restart()
        await stage.until(lambda: [one.trip for one in stops(stage)] == ["repeated-execution"])
        own = await stage.gate.release_kill(
            TRADER, reason="all is well", correlation="test", level="strategy", target="trend"
        )
        assert isinstance(own, Refusal)
        assert own.code is Code.SAME_PERSON


async def test_a_crash_between_the_last_error_and_its_stop_does_not_lose_the_stop() -> None:
    async with Stage(fate=Answering(), trips=ERRORS) as stage:
        for _ in range(3):
            await rejected(stage)
        assert not stops(stage)[0].durable
        await stage.restart()
        await stage.until(lambda: [one.trip for one in stops(stage)] == ["error-rate"])


async def test_what_a_person_released_is_not_counted_again_after_a_restart() -> None:
    async with Stage(trips=EXECUTIONS) as stage:
        for _ in range(3):
            await filled(stage)
        await stage.until(lambda: stops(stage)[0].durable)
        await passes(stage, 1)
        await released(stage, *TREND)
        await stage.restart()
        await passes(stage, 2)
        for _ in range(2):
            await filled(stage)
        assert stops(stage) == []
        await filled(stage)
        assert len(stops(stage)) == 1


async def test_a_probation_and_the_length_of_the_next_pause_outlast_a_restart() -> None:
    async with Stage(fate=Answering(), trips=ERRORS) as stage:
        for _ in range(3):
            await rejected(stage)
        await stage.until(lambda: stops(stage)[0].durable)
        await stage.until(lambda: not stops(stage))
        await stage.restart()
        await passes(stage, 1)
        await rejected(stage)
        assert "one error on probation" in stops(stage)[0].reason
        await stage.until(lambda: stops(stage)[0].durable)
        await stage.restart()
        await passes(stage, 15)
        assert len(stops(stage)) == 1
        await passes(stage, 6)
        assert stops(stage) == []


async def test_executions_of_a_strategy_are_counted_over_all_accounts_after_a_restart() -> None:
    other = AccountId("P-OTHER")
    async with Stage(trips=EXECUTIONS, others=[other]) as stage:
        await filled(stage)
        await filled_in(stage, other)
        await stage.restart()
        assert stops(stage) == []
        await filled(stage)
        assert [(one.level, one.target) for one in stops(stage)] == [TREND]


async def filled_in(stage: Stage, account: AccountId) -> None:
    """In another account than the stage's own."""
    anywhere = msgspec.structs.replace(TRADER, accounts=frozenset({account}))
    terms = Terms(
        account=account,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(4900),
        time_in_force=TimeInForce.GTC,
        strategy="trend",
    )
    answer = await stage.gate.place(anywhere, terms, key=stage.key(), correlation="test")
    assert isinstance(answer, Answer), answer
    seat = stage.node.lanes.get(account)
    assert seat is not None
    books = seat.lane.books
    await stage.until(lambda: (order := books.order(answer.order_id)) and order.status == "filled")
