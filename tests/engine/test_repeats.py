"""An order that may have left is ended by proof only, whatever becomes of its repetition."""

import pytest

from ordergate.brokers.paper import fates
from ordergate.engine.answering.answers import KillView
from tests.engine.stage import TRADER, Stage


def answers(*given: fates.Fate) -> fates.Fates:
    """Fates for the first places; everything after them is delivered."""
    left = list(given)
    return lambda call: left.pop(0) if call is fates.Call.PLACE and left else fates.Delivered()


@pytest.mark.parametrize(
    "repeat", [fates.TurnedAway("not enough buying power"), fates.NotSent()], ids=["refused", "not sent"]
)
async def test_a_repetition_that_fails_does_not_end_the_order_that_may_have_left(repeat: fates.Fate) -> None:
    async with Stage(fate=answers(fates.LateCall(), *[repeat] * 40)) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        for _ in range(40):
            await stage.clock.move(0.25)
            assert stage.status(order) == "unknown"
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_the_kill_switch_stops_the_repetition_and_does_not_guess_what_became_of_the_first() -> None:
    async with Stage(fate=answers(fates.LateCall())) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        engaged = await stage.gate.engage_kill(TRADER, grade="block_new", reason="drill", correlation="test")
        assert isinstance(engaged, KillView)
        for _ in range(20):
            await stage.clock.move(0.25)
            assert stage.status(order) == "unknown"
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1
