"""What a dead man's switch could not cancel yet when it was armed again otherwise, and expired again."""

from __future__ import annotations

import pytest

from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import DeadManView
from tests.engine.killing import NoCancels
from tests.engine.stage import TRADER, Stage
from tests.engine.test_dead_man import working


async def goes_away(stage: Stage, gtc: Remaining) -> None:
    view = await stage.node.dead_man.arm(TRADER, "main", timeout_s=5, gtc=gtc, correlation="test")
    assert isinstance(view, DeadManView), view
    await stage.until(lambda: [one.state for one in stage.node.dead_man.of(TRADER)] != ["armed"], within_s=10)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("times", [1, 2])
async def test_what_was_to_be_canceled_is_though_the_next_one_that_expired_keeps_such_orders(
    times: int, restarts: bool
) -> None:
    cancels = NoCancels()
    async with Stage(fate=cancels) as stage:
        order = await working(stage, limit="4700")
        cancels.refusing = True
        await goes_away(stage, Remaining.CANCEL)
        await stage.clock.move(0.25)
        after = await working(stage, limit="4600")
        for _ in range(times):
            await goes_away(stage, Remaining.KEEP)
        if restarts:
            await stage.restart()
        cancels.refusing = False
        await stage.until(lambda: stage.status(order) == "canceled", within_s=60)
        assert stage.status(after) == "working"
