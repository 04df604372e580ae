"""An order names a venue where its broker offers it and the limits permit it, and nowhere else."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage

ORDER = Terms(
    account=ACCOUNT,
    symbol=ES,
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(1),
    limit_price=Decimal(4700),
    time_in_force=TimeInForce.GTC,
    venue="XCME",
)


def offering(stage: Stage, *venues: str) -> None:
    can = msgspec.structs.replace(stage.broker.capabilities, venues=frozenset(venues))
    stage.broker.capabilities = can


async def test_a_venue_that_the_broker_does_not_offer_is_refused_before_risk_is_asked() -> None:
    async with Stage(limits={"venues": ["XCME"]}) as stage:
        answer = await stage.gate.place(TRADER, ORDER, key=stage.key(), correlation="test")
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.detail) == (Code.INVALID, "paper offers no venue XCME")
        preview = await stage.gate.preview(TRADER, ORDER)
        assert isinstance(preview, Refusal)
        assert preview.code is Code.INVALID
        offering(stage, "XEUR")
        other = await stage.gate.place(TRADER, ORDER, key=stage.key(), correlation="test")
        assert isinstance(other, Refusal)
        assert stage.placed_at_exchange() == 0


async def test_one_that_it_offers_needs_the_limits_leave_and_is_shown() -> None:
    for listed, passes in (([], False), (["XCME"], True)):
        async with Stage(limits={"venues": listed}) as stage:
            offering(stage, "XCME")
            answer = await stage.gate.place(TRADER, ORDER, key=stage.key(), correlation="test")
            assert isinstance(answer, Answer)
            assert [no.control for no in answer.failed] == ([] if passes else ["R03"])
            if passes:
                assert stage.body(answer)["venue"] == "XCME"
                await stage.until(stage.placed_at_exchange)


async def test_another_venue_under_the_same_key_is_another_order() -> None:
    async with Stage(limits={"venues": ["XCME", "XEUR"]}) as stage:
        offering(stage, "XCME", "XEUR")
        key = stage.key()
        assert isinstance(await stage.gate.place(TRADER, ORDER, key=key, correlation="test"), Answer)
        elsewhere = msgspec.structs.replace(ORDER, venue="XEUR")
        answer = await stage.gate.place(TRADER, elsewhere, key=key, correlation="test")
        assert isinstance(answer, Refusal)
        assert answer.code is Code.IDEMPOTENCY_KEY_REUSED
