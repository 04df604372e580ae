"""Who waits is answered when the broker has an order that rests, and when one that does not has ended."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Final

import msgspec
import pytest

from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.engine.accounts import books
from ordergate.engine.answering.answers import Answer
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage, let_run

PATIENCE_S: Final = 10.0
ORDER: Final = Terms(
    account=ACCOUNT,
    symbol=ES,
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(2),
    limit_price=Decimal(4700),
    time_in_force=TimeInForce.DAY,
)
AT_MARKET: Final = msgspec.structs.replace(ORDER, type=OrderType.MARKET, limit_price=None)
AT_ONCE: Final = msgspec.structs.replace(ORDER, time_in_force=TimeInForce.IOC)


async def waiting(stage: Stage, terms: Terms, wait_s: float = 5) -> asyncio.Task[Answer]:
    """A client that waits, once the broker has the order."""

    async def ask() -> Answer:
        answer = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="t", wait_s=wait_s)
        assert isinstance(answer, Answer), answer
        return answer

    asked = asyncio.create_task(ask())
    await stage.until(lambda: "order_acknowledged" in stage.listener.kinds)
    await let_run()
    return asked


async def fill(stage: Stage) -> None:
    """One of the two."""
    (theirs,) = stage.exchange.orders()
    stage.exchange.fill(theirs.id, Decimal(1), Decimal(4700))
    await let_run()


async def test_an_order_that_rests_is_answered_when_the_broker_has_it() -> None:
    async with Stage() as stage:
        asked = await waiting(stage, ORDER)
        assert stage.body(await asked)["status"] == "working"


@pytest.mark.parametrize(("terms", "end"), [(AT_MARKET, "filled"), (AT_ONCE, "canceled")])
async def test_one_that_does_not_rest_is_answered_with_its_end(terms: Terms, end: str) -> None:
    async with Stage() as stage:
        asked = await waiting(stage, terms)
        assert stage.body(await asked)["status"] == end


async def test_it_is_answered_when_all_of_it_has_filled() -> None:
    async with Stage() as stage:
        stage.exchange._marks.clear()  # nobody trades yet
        asked = await waiting(stage, AT_MARKET)
        assert not asked.done()
        await fill(stage)
        assert not asked.done()
        await fill(stage)
        answer = stage.body(await asked)
        assert (answer["status"], answer["cum_qty"]) == ("filled", "2")
        assert stage.lane.watched == 0


async def test_when_the_time_is_over_the_order_is_told_as_it_is_by_then() -> None:
    async with Stage() as stage:
        stage.exchange._marks.clear()
        asked = await waiting(stage, AT_MARKET, wait_s=0.5)
        await fill(stage)
        answer = stage.body(await asked)
        assert (answer["status"], answer["cum_qty"]) == ("working", "1")
        assert stage.lane.watched == 0


async def test_nobody_waits_for_an_order_that_ended_before_memory_let_it_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a restart: the key is asked again, and nothing more will ever happen to what it bought."""
    async with Stage() as stage:
        key = stage.key()

        async def asked() -> Answer | Refusal:
            return await stage.gate.place(TRADER, AT_ONCE, key=key, correlation="t", wait_s=PATIENCE_S * 3)

        await asked()
        monkeypatch.setattr(books, "FINAL_ORDERS_KEPT_MAX", 0)
        await stage.restart()
        async with asyncio.timeout(PATIENCE_S):
            again = await asked()
        assert isinstance(again, Answer)
        assert (again.replayed, stage.body(again)["status"]) == (True, "canceled")
