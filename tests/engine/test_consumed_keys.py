"""A key is answered for seven days and remembered for ever: it never buys anything again."""

from __future__ import annotations

from datetime import timedelta

from ordergate.core.idempotency import Receipt
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer, GroupAnswer
from ordergate.engine.answering.once import KEPT
from tests.engine.groups import bracket
from tests.engine.stage import ACCOUNT, TRADER, Stage

KEPT_S = KEPT.total_seconds()


def only_receipt(stage: Stage) -> Receipt:
    (receipt,) = stage.journal.store.receipts.values()
    return receipt


async def days_pass(stage: Stage, seconds: float) -> None:
    """While the gateway is down: nothing has to be done in all that time."""
    await stage.crash()
    stage.clock.wrong_by += timedelta(seconds=seconds)
    await stage.start()


async def test_until_then_the_key_shows_the_order() -> None:
    async with Stage() as stage:
        key = stage.key()
        first = await stage.place(key=key)
        assert isinstance(first, Answer)
        await days_pass(stage, KEPT_S - 3600)
        again = await stage.place(key=key)
        assert isinstance(again, Answer)
        assert (again.order_id, again.replayed) == (first.order_id, True)


async def test_after_that_it_names_the_order_and_buys_nothing() -> None:
    async with Stage() as stage:
        key = stage.key()
        first = await stage.place(key=key)
        assert isinstance(first, Answer)
        await days_pass(stage, KEPT_S + 1)
        for _ in range(2):
            again = await stage.place(key=key)
            assert isinstance(again, Refusal)
            assert (again.code, again.fields) == (
                Code.IDEMPOTENCY_KEY_CONSUMED,
                {"order_id": first.order_id},
            )
        assert stage.placed_at_exchange() == 1


async def test_another_request_under_the_key_is_still_told_that_it_is_used() -> None:
    async with Stage() as stage:
        key = stage.key()
        await stage.place(key=key)
        await days_pass(stage, KEPT_S + 1)
        other = await stage.place(key=key, quantity=2)
        assert isinstance(other, Refusal)
        assert other.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_a_key_that_bought_a_group_names_the_group() -> None:
    async with Stage() as stage:
        key = stage.key()
        first = await stage.node.groups.place(TRADER, bracket(1), key=key, correlation="test")
        assert isinstance(first, GroupAnswer)
        await days_pass(stage, KEPT_S + 1)
        again = await stage.node.groups.place(TRADER, bracket(1), key=key, correlation="test")
        assert isinstance(again, Refusal)
        assert (again.code, again.fields) == (Code.IDEMPOTENCY_KEY_CONSUMED, {"group_id": first.group_id})


async def test_a_key_that_bought_no_single_order_names_none() -> None:
    async with Stage() as stage:
        key = stage.key()
        await stage.gate.cancel_all(TRADER, ACCOUNT, key=key, correlation="test")
        await days_pass(stage, KEPT_S + 1)
        again = await stage.gate.cancel_all(TRADER, ACCOUNT, key=key, correlation="test")
        assert isinstance(again, Refusal)
        assert (again.code, again.fields) == (Code.IDEMPOTENCY_KEY_CONSUMED, {})


async def test_a_start_drops_the_stored_answer_and_keeps_the_key() -> None:
    """A gateway that is started every day would never come to do it otherwise."""
    async with Stage() as stage:
        await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        kept = only_receipt(stage)
        assert kept.body is not None
        await days_pass(stage, KEPT_S + 1)
        await stage.until(lambda: only_receipt(stage).body is None)
        assert only_receipt(stage).scope == kept.scope
