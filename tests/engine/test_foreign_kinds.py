"""Orders from elsewhere that our terms have no words for: booked, named, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from ordergate.brokers.paper.kinds import leg_id
from ordergate.brokers.paper.orders import Kind, PaperOrder
from ordergate.core.orders.order import Order
from tests.engine.settling import natures, refused_controls, working
from tests.engine.stage import ES, STEP_S, Stage
from tests.engine.test_reconciliation import elsewhere
from tests.engine.test_unknown_outcomes import alarms

STRANGE = [kind for kind in Kind if kind is not Kind.PLAIN]
of_every_kind = pytest.mark.parametrize("kind", STRANGE, ids=lambda kind: kind.name.lower())


def placed_by_hand(stage: Stage, kind: Kind, quantity: int = 3) -> PaperOrder:
    order = stage.exchange.submit("by-hand-1", elsewhere(quantity=quantity), kind)
    assert isinstance(order, PaperOrder)
    return order


def fill(stage: Stage, order: PaperOrder, quantity: int) -> None:
    stage.exchange.fill(order.id, Decimal(quantity), Decimal(4700))


def adopted(stage: Stage, order: PaperOrder) -> Order:
    """What our books have of it."""
    name = leg_id(order) if order.kind is Kind.LEGGED else order.id
    known = stage.lane.books.order_of_broker(name)
    assert known is not None
    return known


def agrees(stage: Stage, held: int) -> Callable[[], bool]:
    """The books are the broker's, in quantity and in cash."""

    def agree() -> bool:
        account = stage.lane.books.account
        assert account is not None
        return stage.held(ES) == held and account.cash == stage.exchange.ledger.cash

    return agree


async def a_while(stage: Stage, seconds: int = 130) -> None:
    for _ in range(int(seconds / STEP_S)):
        await stage.clock.move(STEP_S)


@of_every_kind
async def test_its_fills_are_booked(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        fill(stage, theirs, 3)
        await stage.until(agrees(stage, 3))


@of_every_kind
async def test_its_fills_are_booked_one_by_one(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        for number in range(1, 4):
            fill(stage, theirs, 1)
            await stage.until(agrees(stage, number))
        assert adopted(stage, theirs).cum_qty == 3


@of_every_kind
async def test_its_fills_are_booked_where_the_stream_says_nothing(kind: Kind) -> None:
    async with Stage() as stage:
        stage.broker.stream.copies = lambda _: 0
        theirs = placed_by_hand(stage, kind)
        fill(stage, theirs, 3)
        await stage.until(agrees(stage, 3))


@of_every_kind
async def test_it_opens_no_break(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        fill(stage, theirs, 2)
        await a_while(stage)
        assert natures(stage) == []


@of_every_kind
async def test_it_alarms_while_it_is_open_and_has_done_nothing(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        await stage.until(lambda: f"order_inexpressible:{theirs.id}" in alarms(stage))


@of_every_kind
async def test_the_alarm_says_what_it_is(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        await stage.until(lambda: alarms(stage))
        account = stage.lane.books.account
        assert account is not None
        (alarm,) = account.alarms.values()
        assert alarm.detail == f"the broker's order {theirs.id} is {kind}"


@of_every_kind
async def test_its_end_is_ours(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        fill(stage, theirs, 1)
        await stage.until(agrees(stage, 1))
        stage.exchange.cancel(theirs.id)
        await stage.until(lambda: adopted(stage, theirs).is_final)
        assert natures(stage) == []


@of_every_kind
async def test_what_was_lost_of_our_own_orders_is_read_all_the_same(kind: Kind) -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        fill(stage, placed_by_hand(stage, kind), 3)
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.fill(at_exchange, Decimal(1), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        assert agrees(stage, 4)()


@of_every_kind
async def test_the_cursor_moves_past_it(kind: Kind) -> None:
    async with Stage() as stage:
        fill(stage, placed_by_hand(stage, kind), 3)
        last = stage.exchange.executions[-1].cursor
        await stage.until(lambda: (account := stage.lane.books.account) and account.cursor == last)


@of_every_kind
async def test_a_restart_finds_it_and_what_it_did_meanwhile(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        fill(stage, theirs, 1)
        await stage.until(agrees(stage, 1))
        await stage.crash()
        fill(stage, theirs, 1)
        await stage.start()
        await stage.until(agrees(stage, 2))
        fill(stage, theirs, 1)
        await stage.until(agrees(stage, 3))
        assert stage.listener.kinds.count("order_adopted") == 1


@of_every_kind
@pytest.mark.parametrize("before", [0, 1], ids=["untouched", "partly filled"])
async def test_an_account_opens_that_has_one_already(kind: Kind, before: int) -> None:
    stage = Stage()
    theirs = placed_by_hand(stage, kind)
    if before:
        fill(stage, theirs, before)
    async with stage:
        assert agrees(stage, before)()
        await stage.until(lambda: f"order_inexpressible:{theirs.id}" in alarms(stage))
        fill(stage, theirs, 1)
        await stage.until(agrees(stage, before + 1))
        await a_while(stage)
        assert natures(stage) == []


@of_every_kind
async def test_a_fill_that_is_taken_back_is_taken_back_here(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        fill(stage, theirs, 2)
        await stage.until(agrees(stage, 2))
        stage.exchange.bust(stage.exchange.executions[-1].exec_id)
        await stage.until(agrees(stage, 0))


# -- for a value


async def test_one_for_a_value_is_complete_when_the_broker_says_so() -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, Kind.BY_VALUE)
        fill(stage, theirs, 2)
        await stage.until(agrees(stage, 2))
        assert adopted(stage, theirs).status == "working"
        fill(stage, theirs, 1)
        await stage.until(lambda: adopted(stage, theirs).status == "filled", within_s=5)


async def test_one_for_a_value_is_never_filled_beyond_what_was_asked() -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, Kind.BY_VALUE)
        fill(stage, theirs, 1)
        await stage.until(agrees(stage, 1))
        fill(stage, theirs, 2)
        await stage.until(lambda: adopted(stage, theirs).is_final)
        assert [one for one in alarms(stage) if one.startswith("order_overfilled")] == []
        assert adopted(stage, theirs).terms.quantity == 3


@pytest.mark.parametrize("kind", [Kind.TRAILING, Kind.BY_VALUE])
async def test_while_nobody_knows_what_it_is_worth_nothing_that_opens_passes(kind: Kind) -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, kind)
        await stage.until(lambda: any(one.external for one in stage.lane.books.open_orders()))
        assert [control for control, _ in refused_controls(await stage.place())] == ["R13", "R14"]
        stage.exchange.cancel(theirs.id)
        await stage.until(lambda: adopted(stage, theirs).is_final)
        assert refused_controls(await stage.place()) == []


# -- in several symbols


async def test_an_order_in_several_symbols_is_not_in_the_books_before_it_does_something() -> None:
    async with Stage() as stage:
        placed_by_hand(stage, Kind.LEGGED)
        await a_while(stage)
        assert stage.listener.kinds.count("order_adopted") == 0


async def test_what_it_did_in_a_symbol_is_over_at_once() -> None:
    async with Stage() as stage:
        theirs = placed_by_hand(stage, Kind.LEGGED)
        fill(stage, theirs, 1)
        await stage.until(agrees(stage, 1))
        assert adopted(stage, theirs).status == "filled"
        assert adopted(stage, theirs).terms.quantity == 1
