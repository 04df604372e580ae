"""An order placed elsewhere is listed where it belongs, and adopted once however often it is seen."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import Env, OrderId, order_id
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.engine.accounts import books
from ordergate.ports.views import OrderQuery
from tests.engine.stage import ACCOUNT, ES, Stage


def terms() -> Terms:
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(4600),
        time_in_force=TimeInForce.GTC,
    )


def by_hand(stage: Stage, name: str) -> PaperOrder:
    order = stage.exchange.submit(name, terms())
    assert isinstance(order, PaperOrder)
    return order


def adopted(stage: Stage) -> list[OrderId]:
    stored = stage.journal.books[ACCOUNT].events
    return [entry.event.order_id for entry, _ in stored if isinstance(entry.event, e.OrderAdopted)]


async def placed(stage: Stage) -> OrderId:
    order = await stage.accepted()
    await stage.until(lambda: stage.status(order) == "working")
    return order


async def newest_first(stage: Stage, limit: int) -> list[str]:
    """Every order, read page by page."""
    found: list[str] = []
    before = None
    while True:
        page = await stage.views.orders(OrderQuery(accounts=(ACCOUNT,), limit=limit, before=before))
        found += [msgspec.json.decode(body)["id"] for body in page.bodies]
        if page.next is None:
            return found
        before = OrderId(page.next)


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_an_adopted_order_stands_between_those_before_and_after_it(limit: int) -> None:
    async with Stage() as stage:
        first = await placed(stage)
        await stage.clock.move(1)
        by_hand(stage, "one")
        await stage.until(lambda: len(adopted(stage)) == 1)
        await stage.clock.move(1)
        second = await placed(stage)
        await stage.clock.move(1)
        by_hand(stage, "two")
        await stage.until(lambda: len(adopted(stage)) == 2)
        one, two = adopted(stage)
        assert await newest_first(stage, limit) == [two, second, one, first]


async def test_one_that_was_placed_long_before_it_was_seen_is_as_old_as_the_broker_says() -> None:
    async with Stage() as stage:
        stage.broker.stream.copies = lambda _: 0
        by_hand(stage, "unheard")
        await stage.clock.move(0.01)
        own = await placed(stage)
        await stage.until(lambda: adopted(stage) != [])
        assert await newest_first(stage, 10) == [own, *adopted(stage)]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books that let go of every order that has ended."""
    monkeypatch.setattr(books, "FINAL_ORDERS_KEPT_MAX", 0)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("restarts", [False, True])
async def test_one_that_memory_has_let_go_of_is_not_adopted_again(restarts: bool) -> None:
    async with Stage() as stage:
        order = by_hand(stage, "one")
        await stage.until(lambda: len(adopted(stage)) == 1)
        stage.exchange.cancel(order.id)
        await stage.until(lambda: stage.lane.books.open_count == 0)
        assert stage.lane.books.order_of_broker(order.id) is None
        if restarts:
            await stage.restart()
        found = await stage.lane.adopted(order.id)
        assert found is not None
        assert [found.id] == adopted(stage)


async def test_an_order_that_was_adopted_under_an_older_id_keeps_it() -> None:
    """A release before this one made it of a hash alone."""
    async with Stage() as stage:
        older = order_id(Env.PAPER, at_ms=2**42 - 1, entropy=7)
        seen = by_hand(stage, "one")
        event = e.OrderAdopted(
            order_id=older,
            at=stage.clock.now(),
            terms=terms(),
            broker_order_id=seen.id,
            broker_client_order_id="one",
        )
        await stage.lane.record([event], correlation="test").committed
        await stage.restart()
        stage.exchange.cancel(seen.id)
        await stage.until(lambda: stage.lane.books.open_count == 0)
        assert adopted(stage) == [older]
