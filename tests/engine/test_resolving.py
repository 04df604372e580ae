"""What a person's word on an order may come between, and what it gives way to."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId
from ordergate.core.orders.events import Resolution
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from ordergate.ports.broker import DedupClass
from tests.engine.settling import natures
from tests.engine.stage import Stage
from tests.engine.test_quarantine import quarantined, resolved
from tests.engine.test_reconciliation import position
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


async def test_what_was_entered_by_hand_hides_none_of_the_brokers_own_executions() -> None:
    async with Stage(fate=lost(fates.LostAnswer()), dedup=DedupClass.C) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        stage.hidden.add(arrived.id)
        given: dict[str, Any] = {
            "broker_order_id": arrived.id,
            "cum_qty": Decimal(1),
            "avg_px": Decimal(4700),
        }
        assert isinstance(await resolved(stage, order, Resolution.CANCELED, **given), Answer)
        stage.exchange.fill(arrived.id, Decimal(1), Decimal(4700))
        stage.exchange.fill(arrived.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        assert natures(stage) == []
        assert stage.listener.kinds.count("execution_duplicated") == 0
