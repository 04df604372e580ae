"""The broker's own dead man's switch: armed while the gateway lives, and what it canceled is found."""

from __future__ import annotations

from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId
from tests.engine.stage import Stage


async def passes(stage: Stage, seconds: int) -> None:
    for _ in range(seconds):
        await stage.clock.move(1)
        stage.exchange.let_time_pass()


async def working(stage: Stage) -> OrderId:
    order = await stage.accepted()
    await stage.until(lambda: stage.status(order) == "working")
    return order


async def test_a_gateway_that_lives_keeps_its_orders_and_one_that_died_does_not() -> None:
    async with Stage(dead_man=True) as stage:
        order = await working(stage)
        await passes(stage, 300)
        assert stage.status(order) == "working"
        await stage.crash()
        await passes(stage, 39)
        assert [one.is_open for one in stage.exchange.orders()] == [True]
        await passes(stage, 22)
        assert [one.is_open for one in stage.exchange.orders()] == [False]
        await stage.start()
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_gateway_that_stops_in_order_leaves_its_orders() -> None:
    async with Stage(dead_man=True) as stage:
        await working(stage)
        await stage.node.stop()
        await passes(stage, 120)
        assert [one.is_open for one in stage.exchange.orders()] == [True]


async def test_a_broker_that_does_not_answer_is_asked_again_and_runs_out_meanwhile() -> None:
    lost = False

    def fate(call: fates.Call) -> fates.Fate:
        return fates.LostCall() if lost and call is fates.Call.DEAD_MAN else fates.always_delivered(call)

    async with Stage(dead_man=True, fate=fate) as stage:
        order = await working(stage)
        lost = True
        await passes(stage, 70)
        await stage.until(lambda: stage.status(order) == "canceled")
        lost = False
        again = await stage.accepted(limit="4650")
        await passes(stage, 90)
        assert stage.status(again) == "working"


async def test_a_broker_without_one_is_never_asked() -> None:
    async with Stage() as stage:
        await working(stage)
        await passes(stage, 120)
        assert stage.exchange.dead_man_at is None
