"""Old orders that are taken back into memory: no more of them than fit, and never in place of recent ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ordergate.core.ids import OrderId
from ordergate.core.orders.order import Order
from ordergate.engine.accounts import books as books_module
from ordergate.engine.accounts.books import Books
from tests.core.examples import SHARE, accepted, account, acknowledged, completed, ids, share
from tests.engine.stage import Stage

KEPT, RECALLED, PAST = 3, 2, 8


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_module, "FINAL_ORDERS_KEPT_MAX", KEPT)
    monkeypatch.setattr(books_module, "RECALLED_KEPT_MAX", RECALLED)


async def bought(stage: Stage) -> OrderId:
    order = await stage.accepted(limit=None)
    await stage.until(lambda: stage.status(order) == "filled")
    return order


async def past_recalled(stage: Stage) -> list[OrderId]:
    """All orders there ever were, oldest first, every one of them looked up."""
    orders = [await bought(stage) for _ in range(PAST)]
    for order in orders:
        assert await stage.lane.order(order) is not None
    return orders


def in_memory(stage: Stage, orders: list[OrderId]) -> list[OrderId]:
    return [order for order in orders if stage.lane.books.order(order) is not None]


def notional(stage: Stage, order: OrderId) -> Decimal | None:
    found = stage.lane.books.order(order)
    return None if found is None else found.cum_notional


async def test_of_the_old_orders_those_that_were_looked_up_last_are_in_memory() -> None:
    async with Stage() as stage:
        orders = await past_recalled(stage)
        assert in_memory(stage, orders) == orders[-KEPT - RECALLED :]


async def test_the_next_order_that_ends_takes_the_place_of_the_one_that_ended_first() -> None:
    async with Stage() as stage:
        orders = [*await past_recalled(stage), await bought(stage)]
        lately = [order.id for order in stage.lane.books.lately_final(PAST)]
        assert lately == orders[: -KEPT - 1 : -1]


async def test_late_news_of_one_makes_it_none_that_ended_lately() -> None:
    async with Stage() as stage:
        orders = await past_recalled(stage)
        stage.exchange.correct(stage.exchange.executions[0].exec_id, Decimal(1), Decimal(4790))
        await stage.until(lambda: notional(stage, orders[0]) == Decimal(4790))
        lately = [order.id for order in stage.lane.books.lately_final(PAST)]
        assert lately == orders[: -KEPT - 1 : -1]


async def test_a_broker_id_of_one_that_was_let_go_of_again_is_forgotten_too() -> None:
    async with Stage() as stage:
        first = await bought(stage)
        found = stage.lane.books.order(first)
        assert found is not None
        assert found.broker_order_id is not None
        await past_recalled(stage)
        assert stage.lane.books.id_of_broker(found.broker_order_id) is None


def ended(books: Books, number: int, broker_order_id: str) -> Order:
    """One that was filled, under the id that the broker gave it."""
    fill = completed(10, exec_id=f"x-{number}", number=number)
    for event in (accepted(number=number), acknowledged(number, broker_order_id), fill):
        books.fold(event)
    order = books.order(ids(number))
    assert order is not None
    return order


def given_twice() -> tuple[Books, Order]:
    """An order works under the id that the broker had given an older one, which is the next to be let go."""
    books = Books({SHARE: share()})
    books.account = account()
    older = ended(books, 0, "b-1")
    books.fold(accepted(number=1))
    books.fold(acknowledged(1, "b-1"))
    return books, older


def known_by_it(books: Books) -> OrderId | None:
    order = books.order_of_broker("b-1")
    return None if order is None else order.id


def test_a_broker_id_given_twice_is_the_later_orders_when_the_older_one_is_let_go() -> None:
    books, _ = given_twice()
    for number in range(2, 2 + KEPT):
        ended(books, number, f"b-{number}")
    assert books.order(ids(0)) is None
    assert known_by_it(books) == ids(1)


def test_a_broker_id_given_twice_is_the_later_orders_when_the_older_one_is_recalled() -> None:
    books, older = given_twice()
    for number in range(2, 2 + KEPT):
        ended(books, number, f"b-{number}")
    books.remember(older, ("b-1",))
    assert known_by_it(books) == ids(1)
