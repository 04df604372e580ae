"""A group that its broker ended, with something left to exit, says so."""

from __future__ import annotations

import pytest

from ordergate.core.contingent.events import End
from ordergate.core.orders.terms import Side
from tests.engine.groups import at_exchange, bracket, group, has_ended, placed
from tests.engine.stage import Stage


@pytest.mark.parametrize(("how", "reason"), [("cancel", End.LEG_CANCELED), ("expire", End.LEG_EXPIRED)])
async def test_an_exit_that_ends_at_the_broker_is_told_of(how: str, reason: End) -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        stop = next(one for one in stage.exchange.orders() if one.is_open)
        getattr(stage.exchange, how)(stop.id)
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is reason
        account = stage.lane.books.account
        assert account is not None
        assert set(account.alarms) == {f"group_gave_up:{group_id}"}
