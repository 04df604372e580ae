"""A broker without names tells of an order that memory has let go: it is that order's, and booked once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ordergate.core.ids import OrderId
from ordergate.engine.accounts import books as books_module
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.ports.broker import DedupClass
from tests.engine.settling import natures, working
from tests.engine.stage import ES, Stage
from tests.engine.test_closing_orders import adopted, ask_for_more, id_at_broker

KEPT = 3
CLASSES = pytest.mark.parametrize("dedup", DedupClass)


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_module, "FINAL_ORDERS_KEPT_MAX", KEPT)


async def filled(stage: Stage) -> tuple[OrderId, str]:
    """An order of one that has filled: our id, and that of its execution."""
    order, theirs = await working(stage)
    stage.exchange.fill(theirs, Decimal(1), Decimal(4700))
    await stage.until(lambda: stage.status(order) == "filled")
    return order, stage.exchange.executions[-1].exec_id


async def forgotten(stage: Stage) -> tuple[OrderId, str]:
    """The first of so many that memory holds it no more."""
    first = await filled(stage)
    await let_go(stage, first[0])
    return first


async def let_go(stage: Stage, order: OrderId) -> None:
    while stage.lane.books.order(order) is not None:
        await filled(stage)


def of_others(stage: Stage) -> list[str]:
    """The orders that the journal holds for somebody else's."""
    return stage.listener.kinds.count("order_adopted") * ["adopted"]


def agree(stage: Stage) -> bool:
    return stage.held(ES) == stage.exchange.ledger.positions().get(ES, Decimal(0))


async def read_everything_again(stage: Stage) -> None:
    """A figure that differs has the whole list read, from where the account was opened."""
    stage.exchange.ledger.cash += 1
    await stage.until(lambda: natures(stage) == ["cash"])
    stage.exchange.ledger.cash -= 1
    await stage.until(lambda: natures(stage) == [])


@CLASSES
async def test_an_execution_that_is_taken_back_is_its_own_orders(dedup: DedupClass) -> None:
    async with Stage(dedup=dedup) as stage:
        order, execution = await forgotten(stage)
        stage.exchange.bust(execution)
        await stage.until(lambda: agree(stage))
        assert of_others(stage) == []
        busted = await stage.lane.order(order)
        assert busted is not None
        assert busted.cum_qty == 0


@CLASSES
async def test_what_is_read_again_from_the_beginning_is_booked_once(dedup: DedupClass) -> None:
    async with Stage(dedup=dedup) as stage:
        await forgotten(stage)
        await read_everything_again(stage)
        assert of_others(stage) == []
        assert agree(stage)


@CLASSES
async def test_a_restart_knows_it_as_well(dedup: DedupClass) -> None:
    async with Stage(dedup=dedup) as stage:
        await forgotten(stage)
        await stage.restart()
        await read_everything_again(stage)
        assert of_others(stage) == []
        assert agree(stage)


@CLASSES
async def test_a_restart_from_a_snapshot_knows_it_as_well(dedup: DedupClass) -> None:
    async with Stage(dedup=dedup, snapshots=SnapshotPace(events=5, look_s=1)) as stage:
        await forgotten(stage)
        await stage.until(lambda: stage.lane.kept_at == stage.lane.head)
        await stage.restart()
        assert stage.lane.folded_since > 0
        await read_everything_again(stage)
        assert of_others(stage) == []
        assert agree(stage)


@CLASSES
async def test_what_was_filled_before_a_replacement_is_its_own_orders(dedup: DedupClass) -> None:
    async with Stage(dedup=dedup) as stage:
        order, first = await working(stage, quantity=2)
        stage.exchange.fill(first, Decimal(1), Decimal(4700))
        execution = stage.exchange.executions[-1].exec_id
        await stage.until(lambda: stage.status(order) == "working")
        await ask_for_more(stage, order)
        await stage.until(lambda: id_at_broker(stage, order) != first)
        stage.exchange.fill(id_at_broker(stage, order), Decimal(2), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        await let_go(stage, order)
        stage.exchange.bust(execution)
        await stage.until(lambda: agree(stage))
        assert of_others(stage) == []


@CLASSES
async def test_an_order_from_elsewhere_that_was_replaced_here_stays_one(dedup: DedupClass) -> None:
    async with Stage(dedup=dedup) as stage:
        order, first = await adopted(stage)
        await ask_for_more(stage, order)
        await stage.until(lambda: id_at_broker(stage, order) != first)
        stage.exchange.fill(id_at_broker(stage, order), Decimal(3), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        await let_go(stage, order)
        await read_everything_again(stage)
        assert of_others(stage) == ["adopted"]
        assert agree(stage)


async def test_somebody_elses_order_is_adopted_all_the_same() -> None:
    async with Stage(dedup=DedupClass.C) as stage:
        await forgotten(stage)
        await adopted(stage)
        assert of_others(stage) == ["adopted"]
