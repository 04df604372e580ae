"""What certainly never left was refused by nobody: a group outlasts a broker that is out of reach."""

from __future__ import annotations

from decimal import Decimal

from ordergate.brokers.paper import fates
from ordergate.core.orders.terms import Side
from tests.engine.groups import at_exchange, bracket, group, placed
from tests.engine.stage import Stage


async def test_a_guard_that_could_not_leave_for_long_is_placed_once_the_broker_is_back() -> None:
    away = False

    def fate(call: fates.Call) -> fates.Fate:
        return fates.NotSent() if away and call is fates.Call.PLACE else fates.DELIVERED

    async with Stage(fate=fate) as stage:
        group_id = await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        away = True
        stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(4), Decimal(4790))
        for _ in range(400):
            await stage.clock.move(1)
        assert group(stage, group_id).is_active
        account = stage.lane.books.account
        assert account is not None
        assert account.alarms[f"group_put_off:{group_id}"].detail.startswith("put off 8 times")
        away = False
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))], within_s=90)
