"""What two persons have closed: that nothing short of a stop of everything holds it back."""

from __future__ import annotations

import pytest

from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.risk.trading_state import Grade, Level
from tests.engine.killing import engage, flattened_by_two, hold
from tests.engine.stage import ES, Stage
from tests.engine.test_dead_man import passes, refused_and_taken


@pytest.mark.parametrize("grade", [Grade.REDUCE_ONLY, Grade.BLOCK_NEW])
async def test_what_two_persons_want_closed_is_closed_though_one_blocks_on_top(grade: Grade) -> None:
    async with Stage() as stage:
        await hold(stage, 3)
        await flattened_by_two(stage)
        view = await engage(stage, Level.GLOBAL, "", grade)
        assert view.grade == "flatten"
        await stage.until(lambda: stage.held(ES) == 0, within_s=5)


async def test_a_flatten_goes_on_canceling_though_one_blocks_on_top() -> None:
    async with Stage() as stage:
        order = await refused_and_taken(stage)
        (theirs,) = stage.exchange.orders()
        await flattened_by_two(stage)
        await engage(stage, Level.GLOBAL, "", Grade.BLOCK_NEW)
        news = r.AcknowledgedReport(cl_ord_id=cl_ord_id(order, 1), version=1, broker_order_id=theirs.id)
        await stage.node._ingest._hear(stage.seat, news, None)
        await stage.until(lambda: stage.status(order) == "canceled", within_s=5)


async def test_who_cancels_everything_on_top_of_a_flatten_holds_its_closing_orders_back() -> None:
    async with Stage() as stage:
        await hold(stage, 3)
        await flattened_by_two(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await passes(stage, 5)
        assert stage.held(ES) == 3
