"""What two persons have closed: that nothing short of a stop of everything holds it back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest

from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.contingent.events import End
from ordergate.core.contingent.terms import GroupKind
from ordergate.core.ids import Symbol, cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.ports.broker import Outcome, Rejected
from tests.engine.killing import engage, flattened_by_two, hold
from tests.engine.stage import ES, RISK, Stage
from tests.engine.test_dead_man import passes, refused_and_taken
from tests.engine.test_reconciliation import elsewhere

NQ: Final = Symbol("NQH4")
HIT: Final = {Level.GLOBAL: "", Level.ACCOUNT: "P-TEST", Level.INSTRUMENT: "ESH4"}


async def refuses(*_: Any) -> Outcome:
    return Rejected("no")


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


async def closed_and_filled_late(stage: Stage, level: Level, *, crashes: bool = False) -> None:
    """Everything is closed by two persons' flatten; then an order fills that had been refused."""
    await refused_and_taken(stage)
    (theirs,) = stage.exchange.orders()
    await hold(stage, 3)
    await flattened_by_two(stage, level, HIT[level])
    await stage.until(lambda: reasons(stage) == [End.COMPLETED], within_s=5)
    assert stage.held(ES) == 0
    if crashes:
        await stage.crash()
    stage.exchange.fill(theirs.id, Decimal(1), Decimal(4700))
    if crashes:
        await stage.start()


def reasons(stage: Stage) -> list[End | None]:
    return [one.reason for one in stage.lane.books.groups.all() if one.terms.kind is GroupKind.FLATTEN]


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize("level", [Level.GLOBAL, Level.ACCOUNT, Level.INSTRUMENT], ids=str)
async def test_what_is_filled_after_everything_was_closed_is_closed_too(level: Level, crashes: bool) -> None:
    async with Stage() as stage:
        await closed_and_filled_late(stage, level, crashes=crashes)
        await stage.until(lambda: reasons(stage) == [End.COMPLETED, End.COMPLETED], within_s=60)
        assert stage.held(ES) == 0


async def test_it_is_closed_by_one_flatten_more_and_no_other() -> None:
    async with Stage() as stage:
        await closed_and_filled_late(stage, Level.ACCOUNT)
        await passes(stage, 60)
        await stage.restart()
        await passes(stage, 5)
        assert reasons(stage) == [End.COMPLETED, End.COMPLETED]


async def test_what_is_filled_in_another_symbol_is_none_of_a_flatten_of_one() -> None:
    stage = Stage()
    stage.instruments[NQ] = msgspec.structs.replace(stage.instruments[ES], symbol=NQ)
    async with stage:
        await flattened_by_two(stage, Level.INSTRUMENT, NQ)
        await hold(stage, 1)
        await passes(stage, 5)
        assert stage.held(ES) == 1
        assert reasons(stage) == [End.COMPLETED]


async def test_what_no_try_could_close_is_not_tried_without_end() -> None:
    async with Stage() as stage:
        await hold(stage, 1)
        stage.broker.place = refuses  # type: ignore[method-assign, assignment]  # from now on
        await flattened_by_two(stage)
        await stage.until(lambda: reasons(stage) == [End.LEG_REFUSED], within_s=600)
        await passes(stage, 30)
        assert stage.held(ES) == 1
        assert reasons(stage) == [End.LEG_REFUSED]


async def test_what_is_held_of_an_instrument_that_is_not_listed_any_more_is_said_and_not_tried() -> None:
    stage = Stage()
    nq = msgspec.structs.replace(stage.instruments[ES], symbol=NQ)
    stage.instruments[NQ] = stage.exchange.ledger._instruments[NQ] = nq  # type: ignore[index]  # a dict
    for symbol in (ES, NQ):
        bought = stage.exchange.submit(symbol, msgspec.structs.replace(elsewhere(quantity=3), symbol=symbol))
        assert isinstance(bought, PaperOrder)
        stage.exchange.fill(bought.id, Decimal(3), Decimal(4700))
    async with stage:
        await stage.crash()
        del stage.instruments[NQ]
        await stage.start()
        await flattened_by_two(stage)
        await stage.until(lambda: reasons(stage) == [End.LEG_REFUSED])
        await passes(stage, 5)
        assert reasons(stage) == [End.LEG_REFUSED]
        assert stage.held(ES) == 0
        assert stage.held(NQ) == 3


async def test_what_is_filled_once_the_stop_is_released_stays() -> None:
    async with Stage() as stage:
        await flattened_by_two(stage)
        await stage.until(lambda: reasons(stage) == [End.COMPLETED], within_s=5)
        await stage.gate.release_kill(RISK, reason="over", correlation="test")
        await hold(stage, 1)
        await passes(stage, 5)
        assert stage.held(ES) == 1
        assert reasons(stage) == [End.COMPLETED]


async def test_who_cancels_everything_on_top_of_a_flatten_holds_its_closing_orders_back() -> None:
    async with Stage() as stage:
        await hold(stage, 3)
        await flattened_by_two(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await passes(stage, 5)
        assert stage.held(ES) == 3
