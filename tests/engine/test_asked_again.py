"""What a broker keeps pending is asked about ever more seldom, and never given up."""

from __future__ import annotations

from typing import Any

from ordergate.brokers.paper import fates
from ordergate.ports.broker import Acknowledged, Outcome
from tests.engine.settling import working
from tests.engine.stage import TRADER, Stage


async def test_a_cancel_that_the_broker_keeps_pending_is_not_asked_again_every_second() -> None:
    async with Stage() as stage:
        order, _ = await working(stage)
        carried_out = stage.broker.cancel
        asked: list[str] = []

        async def taken(name: str, broker_order_id: str, *_: Any) -> Outcome:
            asked.append(name)
            return Acknowledged(broker_order_id)

        stage.broker.cancel = taken  # type: ignore[method-assign, assignment]  # as while a market is closed
        questions = len(stage.asked)
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        for _ in range(600):
            await stage.clock.move(1)
        assert 10 < len(asked) < 40
        assert len(stage.asked) - questions < 150
        assert len(stage.listener.frames_of("order_sent")) < 40
        stage.broker.cancel = carried_out  # type: ignore[method-assign]  # as it is
        await stage.until(lambda: stage.status(order) == "canceled", within_s=60)
        await stage.clock.move(60)
        assert len(stage.node._reconciler._matching._asked_again) == 0


async def test_a_cancel_that_was_lost_is_asked_again_at_once() -> None:
    lost = iter([fates.LostCall()] * 3)

    def fate(call: fates.Call) -> fates.Fate:
        return next(lost, fates.DELIVERED) if call is fates.Call.CANCEL else fates.DELIVERED

    async with Stage(fate=fate) as stage:
        order, _ = await working(stage)
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled", within_s=15)
