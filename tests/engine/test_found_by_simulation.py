"""What the simulation found, each as small as it can be told."""

import asyncio
from datetime import datetime, timedelta

import pytest

from ordergate.brokers.paper.fates import Call, Delivered, Fate, LostCall
from ordergate.core.ids import AccountId, Env
from ordergate.engine.answers import Answer
from ordergate.engine.ingest import adopted_order_id
from tests.engine.stage import ACCOUNT, START, TRADER, HandClock, Stage, let_run


def test_brokers_that_number_alike_do_not_share_an_adopted_order() -> None:
    one = adopted_order_id(Env.PAPER, AccountId("P-ONE"), "000000000001")
    other = adopted_order_id(Env.PAPER, AccountId("P-OTHER"), "000000000001")
    assert one != other


def _lost_places(call: Call) -> Fate:
    return LostCall() if call is Call.PLACE else Delivered()


@pytest.fixture
def wrong_by(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """By how much every wall clock is wrong; the last one counts."""
    wrong = [timedelta(0)]

    def now(clock: HandClock) -> datetime:
        return START + timedelta(seconds=clock.monotonic()) + wrong[-1]

    monkeypatch.setattr(HandClock, "now", now)
    return wrong


async def test_a_wall_clock_that_was_an_hour_ahead_does_not_keep_an_order_unknown(
    wrong_by: list[timedelta],
) -> None:
    async with Stage(fate=_lost_places, resend_is_safe=False) as stage:
        wrong_by.append(timedelta(hours=1))
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        wrong_by.append(timedelta(0))
        await stage.until(lambda: stage.status(order) == "rejected", within_s=60)


async def test_a_wall_clock_that_jumps_ahead_gives_no_order_up_before_its_time(
    wrong_by: list[timedelta],
) -> None:
    async with Stage(fate=_lost_places, resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        wrong_by.append(timedelta(hours=1))
        begun = stage.clock.monotonic()
        await stage.until(lambda: stage.status(order) == "rejected", within_s=120)
        assert stage.clock.monotonic() - begun >= 30


async def test_a_cancel_that_was_asked_under_a_wrong_clock_is_asked_about_all_the_same(
    wrong_by: list[timedelta],
) -> None:
    async with Stage(fate=_lost_places, resend_is_safe=False) as stage:
        wrong_by.append(timedelta(hours=1))
        stage.journal.hold()  # the cancel is decided before the order is sent
        placing = asyncio.create_task(stage.place())
        await let_run()
        cancelling = asyncio.create_task(
            stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        )
        await let_run()
        stage.journal.release()
        await stage.until(lambda: placing.done() and cancelling.done())
        answer = placing.result()
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(answer.order_id) == "pending_cancel")
        await stage.restart()
        wrong_by.append(timedelta(0))
        await stage.until(lambda: stage.status(answer.order_id) == "rejected", within_s=50)
