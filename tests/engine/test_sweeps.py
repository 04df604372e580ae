"""Canceling until nothing works any more, or what does is known by name."""

from __future__ import annotations

from collections.abc import Iterator

from ordergate.brokers.paper import fates
from ordergate.core.risk.trading_state import Grade, Level
from tests.engine.killing import NoCancels, control, engage, kinds, working
from tests.engine.stage import ACCOUNT, Stage


async def test_what_was_swept_is_written_down() -> None:
    async with Stage() as stage:
        for _ in range(3):
            await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: kinds(stage).count("kill_swept") == 1)
        swept = next(one for one in control(stage) if one["kind"] == "kill_swept")
        assert swept["cancels"] == 3


async def test_what_cannot_be_canceled_is_asked_again_and_named() -> None:
    cancels = NoCancels()
    async with Stage(fate=cancels) as stage:
        order = await working(stage)
        cancels.refusing = True
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: bool(stage.gate.kill_state().stops[0].failing))
        left = stage.gate.kill_state().stops[0].failing[0]
        assert (left.order_id, left.account_id) == (order, ACCOUNT)
        assert left.cancels_asked > 1
        cancels.refusing = False
        await stage.until(lambda: stage.status(order) == "canceled")
        assert stage.gate.kill_state().stops[0].failing == ()


async def test_one_cancel_for_everything_comes_first_where_the_broker_takes_one() -> None:
    calls: list[fates.Call] = []

    def fate(call: fates.Call) -> fates.Fate:
        calls.append(call)
        return fates.Delivered()

    async with Stage(fate=fate, cancels_all=True) as stage:
        orders = [await working(stage) for _ in range(5)]
        await engage(stage, Level.ACCOUNT, "P-TEST", Grade.CANCEL_ALL)
        await stage.until(lambda: all(stage.status(order) == "canceled" for order in orders))
        assert calls.count(fates.Call.CANCEL) == 1
        await stage.until(lambda: "kill_swept" in kinds(stage))


async def test_what_one_cancel_for_everything_does_not_reach_is_canceled_one_by_one() -> None:
    async def refused(stage: Stage) -> None:
        order = await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")

    answers: list[fates.Fate] = [fates.TurnedAway("not today"), fates.LostCall(), fates.NotSent()]
    for answer in answers:
        first = iter([answer])

        def fate(call: fates.Call, first: Iterator[fates.Fate] = first) -> fates.Fate:
            return next(first, fates.Delivered()) if call is fates.Call.CANCEL else fates.Delivered()

        async with Stage(fate=fate, cancels_all=True) as stage:
            await refused(stage)


async def test_a_stop_of_less_than_the_account_never_cancels_everything() -> None:
    async with Stage(cancels_all=True) as stage:
        order, other = await working(stage), await stage.accepted(limit="4600")
        await stage.until(lambda: stage.status(other) == "working")
        await engage(stage, Level.STRATEGY, "trend", Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.clock.move(5)
        assert stage.status(other) == "working"
