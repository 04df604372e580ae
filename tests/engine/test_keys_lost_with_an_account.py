"""A key that bought something on an account that the client has lost since: refused, and folded for once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from ordergate.core.faults import Fault
from ordergate.core.idempotency import Receipt
from ordergate.core.idempotency import Scope as KeyScope
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.commands.breaks_desk import ASSIGN
from tests.engine import groups
from tests.engine.settling import drift, natures, only_break
from tests.engine.stage import ACCOUNT, TRADER, Stage
from tests.engine.test_keys_of_two_accounts import BOTH, KEY, OTHER, place, stops

__all__ = ["stops"]

NOW_OTHER = msgspec.structs.replace(TRADER, accounts=frozenset({OTHER}))

Again = Callable[[Stage], Awaitable[object]]


async def cancel_all(stage: Stage) -> object:
    return await stage.gate.cancel_all(NOW_OTHER, OTHER, key=KEY, correlation="test")


async def place_group(stage: Stage) -> object:
    asked = msgspec.structs.replace(groups.bracket(), account=OTHER)
    return await stage.node.groups.place(NOW_OTHER, asked, key=KEY, correlation="test")


async def place_order(stage: Stage) -> object:
    return await place(stage, OTHER, NOW_OTHER)


async def used_on_the_lost_account(stage: Stage) -> None:
    await stage.gate.cancel_all(TRADER, ACCOUNT, key=KEY, correlation="test")
    await stage.node.groups.place(TRADER, groups.bracket(), key=KEY, correlation="test")
    await place(stage, ACCOUNT, BOTH)


WAYS = pytest.mark.parametrize("again", [cancel_all, place_group, place_order])


@WAYS
async def test_it_is_refused_as_used_for_another_request(again: Again) -> None:
    async with Stage(others=(OTHER,)) as stage:
        await used_on_the_lost_account(stage)

        refused = await again(stage)

        assert isinstance(refused, Refusal)
        assert refused.code is Code.IDEMPOTENCY_KEY_REUSED


@WAYS
async def test_asked_again_it_stops_the_account_no_more(again: Again, stops: list[Fault]) -> None:
    async with Stage(others=(OTHER,)) as stage:
        await used_on_the_lost_account(stage)
        await again(stage)
        stops.clear()

        for _ in range(3):
            refused = await again(stage)
            assert isinstance(refused, Refusal)
            assert refused.code is Code.IDEMPOTENCY_KEY_REUSED

        assert stops == []


async def test_another_key_then_cancels_everything() -> None:
    async with Stage(others=(OTHER,)) as stage:
        await used_on_the_lost_account(stage)
        await cancel_all(stage)

        answer = await stage.gate.cancel_all(NOW_OTHER, OTHER, key="a-key-unused-01", correlation="test")

        assert not isinstance(answer, Refusal)


async def test_of_a_break_it_is_refused_the_same() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        scope = KeyScope(stage.env, TRADER.tenant, TRADER.client_id, f"{ASSIGN.method} {ASSIGN.path}", KEY)
        stage.journal.store.receipts[scope] = Receipt(
            scope=scope,
            fingerprint=b"x",
            account=OTHER,
            order=None,
            status=200,
            body="{}",
            at=stage.clock.now(),
        )

        refused = await stage.node.breaks.assign(
            TRADER, only_break(stage).id, owner="ops", note="", key=KEY, correlation="test"
        )

        assert isinstance(refused, Refusal)
        assert refused.code is Code.IDEMPOTENCY_KEY_REUSED
