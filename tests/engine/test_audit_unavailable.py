"""Where what happens cannot be proved nothing new is taken, and cancels pass."""

from decimal import Decimal

from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from tests.engine.groups import oco
from tests.engine.stage import ACCOUNT, TRADER, Stage


async def test_orders_are_refused_and_cancels_pass() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        stage.unproved = "no checkpoint could be made for too long"
        refused = [
            await stage.place(),
            await stage.gate.replace(
                TRADER,
                order,
                quantity=Decimal(2),
                limit_price=None,
                stop_price=None,
                key=stage.key(),
                correlation="test",
            ),
            await stage.node.groups.place(TRADER, oco(), key=stage.key(), correlation="test"),
            await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test"),
        ]
        for answer in refused:
            assert isinstance(answer, Refusal)
            assert (answer.code, answer.detail) == (Code.AUDIT_UNAVAILABLE, stage.unproved)
        assert stage.gate.readiness() == {"audit": stage.unproved}
        answer = await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(order) == "canceled")
        stage.unproved = None
        assert isinstance(await stage.place(), Answer)
