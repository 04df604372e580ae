"""TM31: whoever loosened a limit, by asking or by agreeing, does not trade on it for a quarter of an hour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.access import Principal
from ordergate.core.approvals import Change
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.policy import Edit
from ordergate.engine.answering.answers import Answer
from tests.engine.limit_people import ANNA, BEN, edited, rule, setting
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage

COOL_DOWN_S = 15 * 60


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as made:
        await loosen(made)
        yield made


async def asked(stage: Stage) -> str:
    """A rule is made, which tightens, and to be taken away again, which loosens."""
    await edited(stage, setting(rule({"max_open_orders": 5})))
    loose = await edited(stage, Edit("firm", 1))
    assert loose.change is not None
    return loose.change.id


async def loosen(stage: Stage) -> None:
    """Asked for by Anna, and approved by Ben."""
    done = await stage.node.limits.approve(BEN, await asked(stage), reason="a test", correlation="test")
    assert isinstance(done, Change), done


async def place(stage: Stage, by: Principal) -> Answer | Refusal:
    terms = Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(4700),
        time_in_force=TimeInForce.GTC,
    )
    return await stage.gate.place(by, terms, key=stage.key(), correlation="test")


@pytest.mark.parametrize("by", [ANNA, BEN], ids=["who asked", "who agreed"])
async def test_neither_of_the_two_places_for_a_quarter_of_an_hour(stage: Stage, by: Principal) -> None:
    refused = await place(stage, by)
    assert isinstance(refused, Refusal)
    assert refused.code is Code.COOL_DOWN
    assert stage.placed_at_exchange() == 0

    await stage.clock.move(COOL_DOWN_S - 1)
    assert isinstance(await place(stage, by), Refusal)
    await stage.clock.move(1)
    assert isinstance(await place(stage, by), Answer)


async def test_anybody_else_goes_on(stage: Stage) -> None:
    assert isinstance(await place(stage, TRADER), Answer)


async def test_a_restart_forgets_nobody(stage: Stage) -> None:
    await stage.restart()
    assert isinstance(await place(stage, ANNA), Refusal)
    assert isinstance(await place(stage, TRADER), Answer)


async def test_what_was_placed_is_not_made_larger_and_may_be_canceled(stage: Stage) -> None:
    placed = await place(stage, TRADER)
    assert isinstance(placed, Answer)
    larger = await stage.gate.replace(
        ANNA, placed.order_id, quantity=Decimal(2), limit_price=None, stop_price=None,
        key=stage.key(), correlation="test",
    )  # fmt: skip
    assert isinstance(larger, Refusal)
    assert larger.code is Code.COOL_DOWN
    canceled = await stage.gate.cancel(ANNA, placed.order_id, key=stage.key(), correlation="test")
    assert isinstance(canceled, Answer)


async def test_what_only_tightens_cools_nobody_down_nor_what_the_second_person_refuses() -> None:
    async with Stage() as stage:
        change = await asked(stage)
        assert isinstance(await place(stage, ANNA), Answer)
        await stage.node.limits.reject(BEN, change, reason="no", correlation="test")
        assert isinstance(await place(stage, ANNA), Answer)
        assert isinstance(await place(stage, BEN), Answer)


async def test_whoever_cools_down_under_one_program_does_so_under_every_other(stage: Stage) -> None:
    elsewhere = msgspec.structs.replace(ANNA, client_id="another-app", token_id="x")
    assert isinstance(await place(stage, elsewhere), Refusal)


async def test_a_hook_cools_down_with_whoever_answers_for_it(stage: Stage) -> None:
    hook = msgspec.structs.replace(TRADER, client_id="hook:trend", subject="hook:trend")
    assert isinstance(await place(stage, hook), Answer)
    refused = await place(stage, msgspec.structs.replace(hook, owner=ANNA.subject))
    assert isinstance(refused, Refusal)
    assert refused.code is Code.COOL_DOWN
