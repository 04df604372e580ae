"""What rests at the broker stays there while a stop keeps back what would take its place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.contingent.terms import Role
from ordergate.core.orders.terms import Side
from tests.engine.groups import at_exchange, bracket, group, has_ended, move_market, placed
from tests.engine.stage import ES, RISK, TRADER, Stage


async def block(stage: Stage) -> None:
    await stage.gate.engage_kill(TRADER, grade="block_new", reason="test", correlation="test")


async def release(stage: Stage) -> None:
    await stage.gate.release_kill(RISK, reason="test", correlation="test")


async def passes(stage: Stage, seconds: int) -> None:
    for _ in range(seconds):
        await stage.clock.move(1)


@pytest.mark.parametrize("ends_at", ["4821", "4779"])
async def test_a_stop_loss_rests_on_while_the_profit_may_not_be_placed(ends_at: str) -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        await block(stage)
        move_market(stage, "4821")
        await passes(stage, 10)
        assert at_exchange(stage, Side.SELL) == [("stop", Decimal(4))]
        move_market(stage, ends_at)
        if ends_at == "4821":
            await release(stage)
        await stage.until(lambda: has_ended(stage, group_id))
        assert stage.held(ES) == 0


async def test_a_profit_rests_on_while_the_stop_that_was_reached_may_not_be_placed() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(trails=True))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
        await stage.until(lambda: group(stage, group_id).mark)
        await block(stage)
        move_market(stage, "4779")
        await passes(stage, 10)
        assert group(stage, group_id).triggered is Role.STOP_LOSS
        assert at_exchange(stage, Side.SELL) == [("limit", Decimal(4))]
        await release(stage)
        await stage.until(lambda: has_ended(stage, group_id))
        assert stage.held(ES) == 0


async def test_a_stop_loss_rests_on_until_a_full_window_of_messages_has_room_for_the_profit() -> None:
    async with Stage(limits={"message_windows": [[3, 60]]}) as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        await stage.accepted(limit="4700")  # the last for twenty seconds
        move_market(stage, "4820")
        for _ in range(40):
            await stage.clock.move(0.25)
            assert at_exchange(stage, Side.SELL) == [("stop", Decimal(4))]
        assert group(stage, group_id).triggered is Role.TAKE_PROFIT
        await stage.until(lambda: has_ended(stage, group_id), within_s=30)
        assert stage.held(ES) == 0
        assert "order_denied" not in stage.listener.kinds


async def test_a_stop_loss_makes_room_for_the_profit_on_an_account_that_may_only_reduce() -> None:
    """The guard itself is not counted beside what takes its place: together they would do more."""
    async with Stage() as stage:
        await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        stage.broker.stream.cut("maintenance")
        await passes(stage, 15)
        stage.price(Decimal(4820))  # the market is not there yet at the exchange: it rests
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))], within_s=30)
        assert stage.seat.freshness.stale_since is not None


async def test_two_stop_losses_make_room_for_the_profit_on_an_account_that_may_only_reduce() -> None:
    """Each is asked about by what it leaves itself: the whole exit beside the other one would do more."""

    def fate(call: fates.Call) -> fates.Fate:
        return fates.TurnedAway("no replacements today") if call is fates.Call.REPLACE else fates.DELIVERED

    async with Stage(fate=fate) as stage:
        await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        for _ in range(2):
            stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(2), Decimal(4790))
            await passes(stage, 10)
        assert at_exchange(stage, Side.SELL) == [("stop", Decimal(2))] * 2
        stage.broker.stream.cut("maintenance")
        await passes(stage, 15)
        stage.price(Decimal(4820))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))], within_s=30)
        assert stage.seat.freshness.stale_since is not None


async def test_a_stop_that_was_reached_and_is_put_off_for_long_is_somebodys_to_know() -> None:
    """Nothing is placed that could be refused: the profit that rests is no guard, and nobody sees it wait."""
    async with Stage(limits={"message_windows": [[3, 600]]}) as stage:
        group_id = await placed(stage, bracket(trails=True))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
        await stage.until(lambda: group(stage, group_id).mark)
        await stage.accepted(limit="4700")  # the last for minutes
        move_market(stage, "4779")
        await passes(stage, 100)
        assert group(stage, group_id).triggered is Role.STOP_LOSS
        account = stage.lane.books.account
        assert account is not None
        assert not account.alarms
        await passes(stage, 60)
        account = stage.lane.books.account
        assert account is not None
        assert "message-rate" in account.alarms[f"group_put_off:{group_id}"].detail
        assert at_exchange(stage, Side.SELL) == [("limit", Decimal(4))]
