"""What a broker shows of one order cannot be: the others are reconciled, and it stays as it is."""

from __future__ import annotations

import pytest

from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from tests.engine import stage as stages
from tests.engine.alpaca_stage import AlpacaAccount, AlpacaAsked
from tests.engine.settling import canceled_news, natures, only_break, shown
from tests.engine.stage import ES, Stage
from tests.engine.test_foreign_kinds import a_while


@pytest.fixture
def alpaca(monkeypatch: pytest.MonkeyPatch) -> AlpacaAccount:
    account = AlpacaAccount()
    monkeypatch.setattr(AlpacaAsked, "alpaca", account, raising=False)
    monkeypatch.setattr(stages, "PaperBroker", AlpacaAsked)
    return account


async def shown_unreadable(stage: Stage, alpaca: AlpacaAccount, orders: int = 1) -> list[Order]:
    for _ in range(orders):
        await stage.place()
    await stage.until(lambda: all(one.broker_order_id for one in stage.lane.books.open_orders()))
    ours = list(stage.lane.books.open_orders())
    for order in ours:
        alpaca.order(order.cl_ord_id, type="trailing_stop")["id"] = order.broker_order_id
    return ours


@pytest.mark.parametrize("orders", [1, 8])
async def test_runs_are_whole_beside_orders_that_cannot_be_read(alpaca: AlpacaAccount, orders: int) -> None:
    async with Stage() as stage:
        await shown_unreadable(stage, alpaca, orders)
        before = len(list(stage.seat.runs.newest_first()))
        await a_while(stage)
        runs = list(stage.seat.runs.newest_first())
        assert len(runs) > before
        assert {run.result for run in runs} == {"completed"}


async def test_an_order_that_cannot_be_read_hides_no_other(alpaca: AlpacaAccount) -> None:
    async with Stage() as stage:
        await shown_unreadable(stage, alpaca)
        alpaca.order("of-the-app")
        await stage.until(lambda: any(one.external for one in stage.lane.books.open_orders()))


async def test_an_order_that_cannot_be_read_is_not_taken_for_absent(alpaca: AlpacaAccount) -> None:
    async with Stage() as stage:
        (ours,) = await shown_unreadable(stage, alpaca)
        await a_while(stage)
        order = stage.lane.books.order(ours.id)
        assert order is not None
        assert order.status is Status.WORKING


async def test_fills_of_an_order_that_cannot_be_read_are_booked(alpaca: AlpacaAccount) -> None:
    async with Stage() as stage:
        await shown_unreadable(stage, alpaca)
        alpaca.fill(alpaca.orders[-1], 1, done=True)
        await stage.until(lambda: stage.held(ES) == 1)


async def test_an_order_that_cannot_be_read_is_not_taken_for_gone(alpaca: AlpacaAccount) -> None:
    """It ended with us, and lives at the broker: only a list that left nothing out shows that it does not."""
    async with Stage() as stage:
        await stage.place()
        await stage.until(lambda: all(one.broker_order_id for one in stage.lane.books.open_orders()))
        (ours,) = stage.lane.books.open_orders()
        assert ours.broker_order_id is not None
        alive = alpaca.order(ours.cl_ord_id, qty="1", limit_price="4700")
        alive["id"] = ours.broker_order_id
        stage.broker.stream._say(canceled_news(ours.id, ours.broker_order_id))
        await stage.until(lambda: natures(stage) == ["order_status"])
        item = only_break(stage)

        alive["type"] = "trailing_stop"
        await a_while(stage)
        assert natures(stage) == ["order_status"]

        alive["status"] = "canceled"
        await stage.until(lambda: natures(stage) == [])
        assert shown(stage, item.id)["rule"] == "order-gone"
