"""How a stop was carried out can be read from the journal: what was under it, and how soon it was gone."""

from __future__ import annotations

from datetime import timedelta

from ordergate.audit.stop_figures import Figures
from ordergate.brokers.paper import fates
from ordergate.core.ids import AccountId
from ordergate.core.orders.terms import Side
from ordergate.core.risk.trading_state import Grade, Level
from tests.audit.days import tally_of
from tests.engine.killing import engage, hold, kinds, placed, working
from tests.engine.stage import RISK, TRADER, Stage

LATENCY_S = 0.25


def figures(stage: Stage) -> Figures:
    (found,) = tally_of(stage).stops
    return found


async def swept(stage: Stage) -> Figures:
    await stage.until(lambda: "kill_swept" in kinds(stage))
    return figures(stage)


async def test_every_order_under_a_stop_is_counted_with_its_cancel_and_its_end() -> None:
    async with Stage(latency_s=LATENCY_S) as stage:
        for _ in range(3):
            await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        told = await swept(stage)
        assert (len(told.orders), told.canceled, told.ended_otherwise, told.left) == (3, 3, 0, ())
        assert (told.asked, told.sent, told.refused) == (3, 3, 0)
        assert told.last_cancel is not None
        assert told.last_cancel >= timedelta(seconds=LATENCY_S)
        assert told.swept is not None


async def test_one_cancel_for_everything_counts_for_each_order() -> None:
    async with Stage(latency_s=LATENCY_S, cancels_all=True) as stage:
        for _ in range(3):
            await working(stage)
        await stage.clock.move(1)
        await engage(stage, Level.ACCOUNT, "P-TEST", Grade.CANCEL_ALL)
        told = await swept(stage)
        assert (told.asked, told.sent, told.canceled) == (0, 3, 3)


async def test_what_does_not_go_is_named() -> None:
    refusing = False

    def fate(call: fates.Call) -> fates.Fate:
        return fates.TurnedAway("no") if refusing and call is fates.Call.CANCEL else fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await working(stage)
        refusing = True
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: figures(stage).refused > 1)
        assert (figures(stage).left, figures(stage).last_cancel) == ((order,), None)


async def test_what_still_worked_when_a_stop_was_released_stays_named() -> None:
    async with Stage(latency_s=LATENCY_S) as stage:
        order = await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.gate.release_kill(RISK, reason="a mistake", correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        told = figures(stage)
        assert told.released is not None
        assert told.released.actor == "risk"
        assert told.left == (order,)


async def test_a_stop_counts_what_is_under_it_and_nothing_else() -> None:
    async with Stage(latency_s=LATENCY_S) as stage:
        mine = (await placed(stage)).order_id
        other = await stage.accepted(limit="4600")
        await stage.until(lambda: stage.status(other) == stage.status(mine) == "working")
        await stage.clock.move(1)
        await engage(stage, Level.STRATEGY, "trend", Grade.CANCEL_ALL)
        assert list((await swept(stage)).orders) == [mine]


async def test_a_stop_of_a_broker_is_one_of_its_accounts() -> None:
    async with Stage(latency_s=LATENCY_S, others=[AccountId("P-OTHER")]) as stage:
        order = await working(stage)
        await engage(stage, Level.BROKER, "paper-login", Grade.CANCEL_ALL)
        assert list((await swept(stage)).orders) == [order]


async def test_what_fills_before_its_cancel_has_ended_otherwise() -> None:
    async with Stage(latency_s=LATENCY_S) as stage:
        await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        found = next(stage.exchange.orders())
        stage.exchange.fill(found.id, found.leaves_qty, found.terms.limit_price or found.leaves_qty)
        told = await swept(stage)
        assert (told.canceled, told.ended_otherwise) == (0, 1)


async def test_flat_is_when_the_last_position_is_closed() -> None:
    async with Stage(latency_s=LATENCY_S) as stage:
        await hold(stage, 3)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        assert figures(stage).flat is None
        await stage.clock.move(1)
        for who in (TRADER, RISK):
            await stage.gate.flatten_kill(who, reason="get out", correlation="test")
        assert figures(stage).not_flat
        await stage.until(lambda: figures(stage).flat)
        told = figures(stage)
        assert told.flat is not None
        assert told.flat >= timedelta(seconds=1 + LATENCY_S)
        assert told.not_flat == ()


async def test_a_rehearsal_is_a_drill_and_a_real_stop_is_none() -> None:
    async with Stage() as stage:
        for reason, level, target in (("Rehearsal of March", "global", ""), ("get out", "account", "P-TEST")):
            await stage.gate.engage_kill(
                TRADER, grade="cancel_all", reason=reason, correlation="test", level=level, target=target
            )
        assert [one.is_drill for one in tally_of(stage).stops] == [True, False]


async def test_engaging_again_is_no_second_stop_but_where_it_begins_to_cancel() -> None:
    async with Stage() as stage:
        for grade in (Grade.BLOCK_NEW, Grade.BLOCK_NEW, Grade.CANCEL_ALL, Grade.CANCEL_ALL):
            await engage(stage, Level.GLOBAL, "", grade)
        assert [one.engaged.grade for one in tally_of(stage).stops] == [Grade.BLOCK_NEW, Grade.CANCEL_ALL]


async def test_orders_that_a_stop_does_not_cancel_are_not_under_its_figures() -> None:
    async with Stage() as stage:
        await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.BLOCK_NEW)
        await placed(stage, Side.BUY)
        assert figures(stage).orders == {}
