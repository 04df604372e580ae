"""A broker that denies more orders than one run may ask about: each is a break all the same."""

from __future__ import annotations

from ordergate.engine.reconciling.rhythm import Rhythm
from tests.engine.settling import natures
from tests.engine.stage import Stage


async def test_more_denied_orders_than_two_runs_ask_about_are_breaks_in_the_end() -> None:
    async with Stage() as stage:
        count = 2 * Rhythm().finds_per_run_max + 10
        orders = [await stage.accepted() for _ in range(count)]
        await stage.until(lambda: all(stage.status(order) == "working" for order in orders))
        stage.hidden.update(one.id for one in stage.exchange.orders())
        await stage.until(lambda: natures(stage) == ["order_status"] * count)
