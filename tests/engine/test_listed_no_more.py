"""Orders that outlive the listing of their instrument: they can be canceled, and stand in nobody's way."""

from __future__ import annotations

from decimal import Decimal

from ordergate.core.orders.terms import TimeInForce
from ordergate.core.refusals import Code, Refusal
from tests.engine.stage import TRADER
from tests.engine.test_key_bounds import SMALL
from tests.engine.test_session_queue import OPENS, House


async def test_what_is_kept_of_an_instrument_that_is_listed_no_more_waits_and_holds_up_nothing() -> None:
    async with House() as house:
        order = await house.kept(life=TimeInForce.GTC)
        await house.crash()
        house.instruments.clear()
        await house.start()
        await house.at(OPENS, price=None)
        assert house.status(order) == "held"
        assert "session queue" not in house.node.gate.readiness()
        for who in (TRADER, SMALL):
            refused = await house.gate.replace(
                who,
                order,
                quantity=Decimal(2),
                limit_price=None,
                stop_price=None,
                key=house.key(),
                correlation="test",
            )
            assert isinstance(refused, Refusal)
            assert refused.code is Code.UNKNOWN_INSTRUMENT
        await house.gate.cancel(TRADER, order, key=house.key(), correlation="test")
        await house.until(lambda: house.status(order) == "canceled")


async def test_one_for_the_day_ends_with_a_session_that_nobody_knows_any_more() -> None:
    async with House() as house:
        order = await house.kept()
        await house.crash()
        house.instruments.clear()
        await house.start()
        await house.at(OPENS, price=None)
        await house.until(lambda: house.status(order) == "expired")
        assert house.node._supervisor.down == {}
