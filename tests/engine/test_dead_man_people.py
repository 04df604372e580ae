"""Dead man's switches of people who use one program: each is for the orders of who armed it."""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.core.access import Principal
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import DeadManView
from tests.engine.stage import TRADER, Stage
from tests.engine.test_dead_man import working

ADA: Final = msgspec.structs.replace(TRADER, client_id="program", subject="ada")
BEN: Final = msgspec.structs.replace(TRADER, client_id="program", subject="ben")


async def arm(stage: Stage, who: Principal) -> None:
    view = await stage.node.dead_man.arm(who, "main", timeout_s=5, gtc=Remaining.CANCEL, correlation="test")
    assert isinstance(view, DeadManView), view


async def test_two_people_whose_sessions_are_named_alike_have_a_switch_each() -> None:
    async with Stage() as stage:
        of_ada = await working(stage, who=ADA, limit="4700")
        of_ben = await working(stage, who=BEN, limit="4600")
        await arm(stage, ADA)
        await arm(stage, BEN)
        for _ in range(5):
            await stage.clock.move(2)
            assert isinstance(stage.node.dead_man.refresh(ADA, "main"), DeadManView)
        await stage.until(lambda: stage.status(of_ben) == "canceled", within_s=2)
        assert stage.status(of_ada) == "working"
        assert [one.state for one in stage.node.dead_man.of(ADA)] == ["armed"]


async def test_who_disarms_disarms_nobody_elses() -> None:
    async with Stage() as stage:
        of_ada = await working(stage, who=ADA, limit="4700")
        await arm(stage, ADA)
        await arm(stage, BEN)
        await stage.node.dead_man.disarm(BEN, "main", correlation="test")
        await stage.restart()
        assert not stage.node.dead_man.of(BEN)
        await stage.until(lambda: stage.status(of_ada) == "canceled", within_s=10)
