"""An answer is to the question it answers: a late one consumes no later question, and repeats no order."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import OrderId, cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.order import Order, Replacement
from ordergate.ports.broker import Acknowledged, DedupClass, Outcome, Rejected
from tests.engine.settling import replaced
from tests.engine.stage import ES, TRADER, Stage, let_run


async def working(stage: Stage) -> tuple[OrderId, PaperOrder]:
    order = await stage.accepted(quantity=3)
    await stage.until(lambda: stage.status(order) == "working")
    (resting,) = stage.exchange.orders()
    return order, resting


def held(stage: Stage, order: OrderId) -> Order:
    found = stage.lane.books.order(order)
    assert found is not None
    return found


async def hear(stage: Stage, report: r.AnyReport) -> None:
    """By the stream, whatever a call is told."""
    await stage.node._ingest._hear(stage.seat, report, None)
    await let_run()


async def replace(stage: Stage, order: OrderId, quantity: int) -> None:
    await replaced(stage, order, quantity=quantity)
    await let_run()


class Slow:
    """The first call's answer comes when it is let; the calls after it go to the broker."""

    def __init__(self, real: Any, first: Outcome) -> None:
        self.calls = 0
        self.answered = asyncio.Event()
        self._real, self._first = real, first

    async def __call__(self, *asked: Any) -> Outcome:
        self.calls += 1
        if self.calls > 1:
            outcome: Outcome = await self._real(*asked)
            return outcome
        asked[-1]()
        await self.answered.wait()
        return self._first


async def test_a_late_refusal_of_a_cancel_is_not_the_answer_to_the_next() -> None:
    async with Stage() as stage:
        order, resting = await working(stage)
        stage.broker.cancel = slow = Slow(stage.broker.cancel, Rejected("too late"))  # type: ignore[method-assign, assignment]  # the broker answers as the test says
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await let_run()
        refused = r.CancelRejectedReport(
            cl_ord_id=held(stage, order).cl_ord_id, version=1, broker_order_id=resting.id, reason="too late"
        )
        await hear(stage, refused)
        assert stage.status(order) == "working"
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")

        slow.answered.set()

        await stage.until(lambda: stage.status(order) == "canceled")
        assert slow.calls == 2
        assert stage.listener.kinds.count("cancel_rejected") == 1


async def test_a_late_refusal_of_a_replacement_is_not_the_answer_to_the_next() -> None:
    async with Stage() as stage:
        order, resting = await working(stage)
        stage.broker.replace = slow = Slow(stage.broker.replace, Rejected("no"))  # type: ignore[method-assign, assignment]  # the broker answers as the test says
        await replace(stage, order, 5)
        await hear(stage, replace_refused(stage, order, resting))
        await replace(stage, order, 6)

        slow.answered.set()

        await stage.until(lambda: held(stage, order).terms.quantity == 6)
        assert slow.calls == 2


def replace_refused(stage: Stage, order: OrderId, resting: PaperOrder) -> r.ReplaceRejectedReport:
    return r.ReplaceRejectedReport(
        cl_ord_id=held(stage, order).cl_ord_id, version=1, broker_order_id=resting.id, reason="no"
    )


async def asked_for_three_and_for_fifty(stage: Stage) -> tuple[OrderId, PaperOrder]:
    """Five are refused by the call, fifty are pending with the broker."""
    order, resting = await working(stage)
    answers: list[Outcome] = [Rejected("no"), Acknowledged("pending")]

    async def told(*asked: Any) -> Outcome:
        asked[-1]()
        return answers.pop(0)

    stage.broker.replace = told  # type: ignore[method-assign, assignment]  # the broker answers as the test says
    await replace(stage, order, 5)
    await replace(stage, order, 50)
    return order, resting


async def test_a_refusal_that_may_be_of_an_earlier_replacement_frees_nothing() -> None:
    async with Stage() as stage:
        order, resting = await asked_for_three_and_for_fifty(stage)

        await hear(stage, replace_refused(stage, order, resting))

        assert held(stage, order).replacement is not None
        assert stage.lane.books.exposure.of(ES).buy_quantity == 50
        await stage.until(lambda: held(stage, order).replacement is None, within_s=120)
        assert stage.status(order) == "working", "the broker was asked, and knows of none"


async def test_a_replacement_that_lives_though_its_order_ended_is_seen() -> None:
    async with Stage() as stage:
        order, resting = await asked_for_three_and_for_fifty(stage)
        await hear(stage, replace_refused(stage, order, resting))
        stage.exchange.replace(
            resting.id,
            cl_ord_id(order, 3),
            Replacement(version=3, quantity=Decimal(50), limit_price=Decimal(4700), stop_price=None),
        )
        await stage.until(lambda: held(stage, order).terms.quantity == 50, within_s=120)
        assert stage.lane.books.exposure.of(ES).buy_quantity == 50


async def test_an_order_that_the_stream_shows_while_a_repeat_is_prepared_is_not_repeated() -> None:
    late = [fates.LateCall()]

    def fate(call: fates.Call) -> fates.Fate:
        return late.pop() if call is fates.Call.PLACE and late else fates.DELIVERED

    async with Stage(fate=fate, dedup=DedupClass.B) as stage:
        order = await stage.accepted(quantity=3)
        await let_run()
        history, entered, go_on = stage.journal.history, asyncio.Event(), asyncio.Event()

        async def slowly(asked: OrderId) -> Any:
            if asked == order and not entered.is_set():
                entered.set()
                await go_on.wait()
            return await history(asked)

        stage.journal.history = slowly  # type: ignore[method-assign, assignment]  # the broker answers as the test says
        await stage.until(entered.is_set)
        stage.broker.let_late_calls_in()
        await let_run()
        assert stage.status(order) == "working"

        go_on.set()
        for _ in range(100):
            await stage.clock.move(0.25)

        assert stage.placed_at_exchange() == 1
