"""A preview says no where placing the order would be refused, and leaves no trace of it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.core.access import KeyBounds, Principal, Scope
from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Refusal
from ordergate.engine.answering.answers import Preview
from tests.engine.limit_people import ANNA
from tests.engine.stage import TRADER, Stage
from tests.engine.test_cool_down import loosen
from tests.engine.test_key_bounds import ELSEWHERE, OTHER_STRATEGY, SMALL, order

NARROW = msgspec.structs.replace(
    TRADER,
    bounds=KeyBounds(
        instruments=frozenset({Symbol("NQH4")}), strategies=frozenset({"mean"}), notional_max=Decimal(1)
    ),
)
LOOKING = msgspec.structs.replace(TRADER, scopes=frozenset({Scope.ORDERS_READ}))


async def previewed(stage: Stage, who: Principal, terms: Terms) -> Preview:
    told = await stage.gate.preview(who, terms)
    assert isinstance(told, Preview), told
    return told


async def agree(stage: Stage, who: Principal, terms: Terms) -> str:
    """The one code in which the preview and placing refuse the order, in the same words."""
    told = await previewed(stage, who, terms)
    (no,) = told.refusals
    placed = await stage.gate.place(who, terms, key=stage.key(), correlation="test")
    assert isinstance(placed, Refusal), placed
    assert (no.code, no.detail) == (placed.code, placed.detail)
    assert not told.would_be_accepted
    return no.code


@pytest.mark.parametrize(
    ("who", "quantity", "code"),
    [(ELSEWHERE, 1, "key-instrument"), (OTHER_STRATEGY, 1, "key-strategy"), (SMALL, 3, "key-notional")],
)
async def test_what_the_key_is_not_for_would_not_be_accepted(
    who: Principal, quantity: int, code: str
) -> None:
    async with Stage() as stage:
        assert await agree(stage, who, order(quantity)) == code


@pytest.mark.parametrize(("name", "code"), [("new", "strategy-unknown"), ("old", "strategy-disabled")])
async def test_a_strategy_that_may_not_trade_would_not(name: str, code: str) -> None:
    async with Stage() as stage:
        stage.registered[TRADER.tenant] = {("old", ""): False}
        assert await agree(stage, TRADER, msgspec.structs.replace(order(), strategy=name)) == code


async def test_whoever_loosened_a_limit_would_not_be_served() -> None:
    async with Stage() as stage:
        await loosen(stage)
        assert await agree(stage, ANNA, order()) == "cool-down"


async def test_a_client_order_id_that_was_used_would_not_be_taken_again() -> None:
    async with Stage() as stage:
        await stage.accepted(client_order_id="mine")
        used = msgspec.structs.replace(order(), client_order_id="mine")
        assert await agree(stage, TRADER, used) == "duplicate-client-order-id"


async def test_while_the_audit_cannot_prove_anything_nothing_would_be_taken() -> None:
    async with Stage() as stage:
        stage.unproved = "the proof is missing"
        assert await agree(stage, TRADER, order()) == "audit-unavailable"


async def test_whoever_may_only_look_is_told_that_they_may_not_place() -> None:
    async with Stage() as stage:
        assert await agree(stage, LOOKING, order()) == "forbidden"


async def test_a_client_that_signs_its_orders_need_not_sign_its_questions() -> None:
    async with Stage() as stage:
        signing = msgspec.structs.replace(TRADER, bounds=KeyBounds(signed_requests=True))
        assert (await previewed(stage, signing, order())).refusals == ()


async def test_every_no_is_listed_and_none_is_journalled() -> None:
    async with Stage() as stage:
        before = list(stage.listener.kinds)
        told = await previewed(stage, NARROW, order())
        assert [no.code for no in told.refusals] == ["key-instrument", "key-strategy", "key-notional"]
        assert stage.listener.kinds == before


async def test_what_nobody_refuses_would_be_accepted() -> None:
    async with Stage() as stage:
        told = await previewed(stage, TRADER, order())
        assert (told.would_be_accepted, told.refusals) == (True, ())
