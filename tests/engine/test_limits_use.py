"""Whoever asks is shown the limits that bear on them: everybody's, and what is tighter for them alone."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.rules import Reach
from tests.engine.limit_people import ANNA, edited, rule, setting
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage

ORDER = Terms(
    account=ACCOUNT,
    symbol=ES,
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(1),
    limit_price=Decimal(4700),
    time_in_force=TimeInForce.GTC,
)


@pytest.mark.parametrize(
    ("strategy", "by_rule"), [("mm-7", {"mm-7"}), ("slow", {"slow"}), ("other", set()), (None, set())]
)
async def test_a_preview_shows_the_limits_of_its_own_strategy_and_of_no_other(
    strategy: str | None, by_rule: set[str]
) -> None:
    async with Stage() as stage:
        for name in ("mm-7", "slow"):
            its = rule({"max_open_orders": 3}, name=name, scope=Reach.STRATEGY, of=name)
            await edited(stage, setting(its))
        terms = msgspec.structs.replace(ORDER, strategy=strategy)
        told = await stage.gate.preview(TRADER, terms)
        assert not isinstance(told, Refusal)
        assert {use.rule for use in told.limits if use.strategy is not None} == by_rule


async def test_a_user_is_shown_no_others_limits() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 3}, name="anna", scope=Reach.USER, of="anna")))
        for who, rows in ((ANNA, 1), (TRADER, 0)):
            told = await stage.gate.preview(who, ORDER)
            assert not isinstance(told, Refusal)
            assert len([use for use in told.limits if use.user is not None]) == rows
