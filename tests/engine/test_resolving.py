"""What a person's word on an order may come between, and what it gives way to."""

from __future__ import annotations

import asyncio

from ordergate.core.ids import OrderId
from ordergate.core.orders.events import Resolution
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from tests.engine.stage import Stage
from tests.engine.test_quarantine import resolved
from tests.engine.test_unknown_outcomes import lost


async def resolved_in_time(stage: Stage, order: OrderId, resolution: Resolution) -> Answer | Refusal:
    """Resolved while time moves on, as the broker is asked."""
    asked = asyncio.ensure_future(resolved(stage, order, resolution))
    await stage.until(asked.done)
    return asked.result()


async def test_nobody_decides_about_an_order_that_is_just_being_sent_again() -> None:
    async with Stage(fate=lost(), latency_s=0.25) as stage:
        order = await stage.accepted(quantity=3)
        stage.connected.clear()  # from here on what is to be sent again waits for a connection
        await stage.until(lambda: stage.listener.kinds.count("dispatch_started") == 1)
        answer = await resolved_in_time(stage, order, Resolution.NEVER_ARRIVED)
        stage.connected.set()
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        assert isinstance(answer, Refusal)
        assert answer.code is Code.ORDER_PENDING
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.listener.kinds.count("order_rejected") == 0
