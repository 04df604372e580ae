"""A cancel that finds its order replaced at the broker is not answered by that: the replacement works."""

from __future__ import annotations

from ordergate.core.ids import OrderId
from ordergate.core.orders import reports as r
from ordergate.ports.broker import Acknowledged, Outcome, Rejected
from tests.engine.stage import TRADER, Stage, let_run
from tests.engine.test_late_answers import Slow, hear, held, replace, working


async def ask_cancel(stage: Stage, order: OrderId) -> None:
    await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
    await let_run()


async def see_it_canceled(stage: Stage, order: OrderId) -> None:
    await stage.until(lambda: stage.status(order) == "canceled", within_s=20)
    assert not any(one.is_open for one in stage.exchange.orders())
    assert "cancel_rejected" not in stage.listener.kinds


async def test_a_cancel_that_finds_its_order_replaced_is_asked_of_the_replacement() -> None:
    async with Stage() as stage:
        order, _ = await working(stage)
        stage.broker.stream.copies = lambda _: 0  # the stream is late
        await replace(stage, order, 5)
        assert stage.placed_at_exchange() == 2
        await ask_cancel(stage, order)
        await see_it_canceled(stage, order)


async def test_a_refusal_that_comes_after_the_replacement_is_not_of_that() -> None:
    async with Stage() as stage:
        order, _ = await working(stage)
        stage.broker.cancel = slow = Slow(stage.broker.cancel, Rejected("it is replaced"))  # type: ignore[method-assign, assignment]  # the broker answers as the test says
        stage.broker.stream.copies = lambda _: 0
        await replace(stage, order, 5)
        await ask_cancel(stage, order)
        _, new = stage.exchange.orders()
        shown = r.AcknowledgedReport(cl_ord_id=new.cl_ord_id, version=2, broker_order_id=new.id)
        await hear(stage, shown)
        assert held(stage, order).version == 2

        slow.answered.set()

        await see_it_canceled(stage, order)
        assert slow.calls == 2


async def test_the_streams_refusal_of_what_was_replaced_is_not_of_the_replacement() -> None:
    async with Stage() as stage:
        order, old = await working(stage)
        name, real, calls = held(stage, order).cl_ord_id, stage.broker.cancel, 0
        await replace(stage, order, 5)

        async def taken(*asked: object) -> Outcome:
            nonlocal calls
            calls += 1
            return Acknowledged(old.id) if calls == 1 else await real(*asked)  # type: ignore[arg-type]  # as it was asked

        stage.broker.cancel = taken  # type: ignore[method-assign, assignment]  # the broker answers as the test says
        await ask_cancel(stage, order)
        refused = r.CancelRejectedReport(cl_ord_id=name, version=1, broker_order_id=old.id, reason="late")
        await hear(stage, refused)
        await see_it_canceled(stage, order)
