"""Closing an order on a person's word: the broker is asked once more, by the name that it has there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.accounts.breaks import Action
from ordergate.core.ids import OrderId
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.engine.answering.answers import Answer, BreakAnswer
from ordergate.ports.broker import DedupClass
from tests.engine.settling import code, natures, only_break, resolve, working
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage

Placed = Callable[[Stage], Awaitable[tuple[OrderId, str]]]


async def own(stage: Stage) -> tuple[OrderId, str]:
    return await working(stage, quantity=2)


async def adopted(stage: Stage) -> tuple[OrderId, str]:
    """One that somebody placed at the broker's own screen."""
    terms = Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(2),
        limit_price=Decimal(4700),
        time_in_force=TimeInForce.GTC,
    )
    theirs = stage.exchange.submit("by-hand", terms)
    assert not isinstance(theirs, str)
    await stage.until(lambda: any(order.external for order in stage.lane.books.open_orders()))
    (order,) = stage.lane.books.open_orders()
    return order.id, theirs.id


async def ask_for_more(stage: Stage, order: OrderId) -> None:
    answer = await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(3),
        limit_price=Decimal(4700),
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    assert isinstance(answer, Answer), answer


async def replaced(stage: Stage) -> tuple[OrderId, str]:
    return await _replaced(stage, *await own(stage))


async def adopted_and_replaced(stage: Stage) -> tuple[OrderId, str]:
    return await _replaced(stage, *await adopted(stage))


async def _replaced(stage: Stage, order: OrderId, first: str) -> tuple[OrderId, str]:
    await ask_for_more(stage, order)
    await stage.until(lambda: id_at_broker(stage, order) != first)
    return order, id_at_broker(stage, order)


def id_at_broker(stage: Stage, order_id: OrderId) -> str:
    """The broker's id of the order in force, as we know it."""
    order = stage.lane.books.order(order_id)
    assert order is not None
    return order.broker_order_id or ""


PLACED = pytest.mark.parametrize("placed", [own, adopted, replaced, adopted_and_replaced])
CLASSES = pytest.mark.parametrize("dedup", DedupClass)


@PLACED
@CLASSES
async def test_an_order_that_the_broker_shows_again_is_not_closed(dedup: DedupClass, placed: Placed) -> None:
    async with Stage(dedup=dedup) as stage:
        order, theirs = await placed(stage)
        stage.hidden |= {one.id for one in stage.exchange.orders()}
        await stage.until(lambda: natures(stage) == ["order_status"])
        stage.hidden.clear()
        assert code(await resolve(stage, only_break(stage).id, Action.CLOSE_ORDER)) == "break-changed"
        assert stage.status(order) == "working"
        at_exchange = stage.exchange.order(theirs)
        assert at_exchange is not None
        assert at_exchange.is_open


@PLACED
@CLASSES
async def test_an_order_that_the_broker_goes_on_denying_is_closed(dedup: DedupClass, placed: Placed) -> None:
    async with Stage(dedup=dedup) as stage:
        order, _ = await placed(stage)
        stage.hidden |= {one.id for one in stage.exchange.orders()}
        await stage.until(lambda: natures(stage) == ["order_status"])
        assert isinstance(await resolve(stage, only_break(stage).id, Action.CLOSE_ORDER), BreakAnswer)
        assert stage.status(order) == "canceled"


@pytest.mark.parametrize("dedup", [DedupClass.A, DedupClass.B])
async def test_an_order_is_not_closed_while_its_replacement_may_be_in_force(dedup: DedupClass) -> None:
    def fate(call: fates.Call) -> fates.Fate:
        return fates.LostAnswer() if call is fates.Call.REPLACE else fates.Delivered()

    async with Stage(dedup=dedup, fate=fate) as stage:
        order, first = await working(stage, quantity=2)
        stage.hidden.add(first)
        stage.broker.stream.copies = lambda _: 0
        await ask_for_more(stage, order)
        await stage.until(lambda: len(list(stage.exchange.orders())) == 2)
        (_, second) = stage.exchange.orders()
        stage.hidden.add(second.id)
        await stage.until(lambda: natures(stage) == ["order_status"])
        stage.hidden.remove(second.id)
        assert code(await resolve(stage, only_break(stage).id, Action.CLOSE_ORDER)) == "break-changed"
        assert stage.status(order) != "canceled"
