"""Orders that somebody edits in the broker's own app: one ends, another is adopted, nothing counts twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import OrderId
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import ExecutedReport
from ordergate.ports.broker import Outcome, Rejected
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage
from tests.engine.test_reconciliation import elsewhere


def edited(stage: Stage, order: PaperOrder, name: str, limit: int) -> PaperOrder:
    """What the broker's app does with an order: another one, under a name that is not ours."""
    other = Replacement(version=0, quantity=Decimal(3), limit_price=Decimal(limit), stop_price=None)
    after = stage.exchange.edit(order.id, name, other)
    assert isinstance(after, PaperOrder), after
    return after


async def passes(stage: Stage, seconds: int) -> None:
    for _ in range(4 * seconds):
        await stage.clock.move(0.25)


def reserved(stage: Stage) -> Decimal:
    return stage.lane.books.exposure.of(ES).buy_quantity


async def test_an_order_of_ours_that_was_edited_elsewhere_ends_and_the_other_is_adopted() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()

        after = edited(stage, resting, "by-hand-0001", 4690)

        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: [one.external for one in stage.lane.books.open_orders()] == [True])
        assert reserved(stage) == 3
        stage.exchange.fill(after.id, Decimal(3), Decimal(4690))
        await stage.until(lambda: stage.held(ES) == 3)
        assert reserved(stage) == 0
        await passes(stage, 60)
        account = stage.lane.books.account
        assert account is not None
        assert not account.breaks


async def test_what_it_had_filled_is_booked_before_it_ends_and_is_not_the_others() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        copies = stage.broker.stream.copies
        stage.broker.stream.copies = lambda report: 0 if isinstance(report, ExecutedReport) else 1
        stage.exchange.fill(resting.id, Decimal(1), Decimal(4700))
        stage.broker.stream.copies = copies

        after = edited(stage, resting, "by-hand-0001", 4690)

        await stage.until(lambda: stage.status(order) == "canceled")
        ours = stage.lane.books.order(order)
        assert ours is not None
        assert ours.cum_qty == 1
        assert (int(stage.held(ES)), int(reserved(stage))) == (1, 2)
        stage.exchange.fill(after.id, Decimal(2), Decimal(4690))
        await stage.until(lambda: stage.lane.books.open_count == 0)
        await passes(stage, 60)
        account = stage.lane.books.account
        assert account is not None
        assert not account.breaks
        assert stage.held(ES) == 3


async def test_a_position_that_came_of_it_can_be_flattened() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        after = edited(stage, resting, "by-hand-0001", 4690)
        stage.exchange.fill(after.id, Decimal(3), Decimal(4690))
        await stage.until(lambda: stage.held(ES) == 3)

        await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")

        await stage.until(lambda: stage.held(ES) == 0, within_s=60)


async def test_an_order_from_elsewhere_that_is_edited_again_and_again_is_one_order() -> None:
    async with Stage() as stage:
        first = stage.exchange.submit("by-hand-1", elsewhere(quantity=3))
        assert isinstance(first, PaperOrder)
        await stage.until(lambda: stage.lane.books.open_count == 1)
        order = first
        for number in range(2, 6):
            order = edited(stage, order, f"by-hand-{number}", 4700 - number)
            await passes(stage, 10)
            assert stage.lane.books.open_count == 1
            assert reserved(stage) == 3
        stage.exchange.cancel(order.id)
        await stage.until(lambda: stage.lane.books.open_count == 0)
        assert reserved(stage) == 0


async def test_it_is_known_after_an_edit_while_nobody_listened() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        await stage.crash()
        edited(stage, resting, "by-hand-0001", 4690)
        await stage.start()
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: reserved(stage) == 3)
        assert stage.lane.books.open_count == 1


async def replaced(stage: Stage, order: OrderId, quantity: int, limit: int | None = None) -> None:
    await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    await passes(stage, 1)


async def test_an_edit_after_a_refused_replacement_is_not_taken_for_that() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        asked = stage.broker.replace
        stage.broker.replace = Refusing(asked, reaches=False)  # type: ignore[method-assign, assignment]  # as the test says
        await replaced(stage, order, 1)
        stage.broker.replace = asked  # type: ignore[method-assign]  # and as it does
        edited(stage, resting, "by-hand-0001", 4690)
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: [one.external for one in stage.lane.books.open_orders()] == [True])
        assert reserved(stage) == 3


async def test_a_replacement_that_was_refused_and_made_is_found_after_the_next_was_asked_for() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        copies, stage.broker.stream.copies = stage.broker.stream.copies, lambda _: 0
        asked = stage.broker.replace
        stage.broker.replace = Refusing(asked, reaches=True)  # type: ignore[method-assign, assignment]  # as the test says
        await replaced(stage, order, 20, 4710)
        stage.broker.replace = asked  # type: ignore[method-assign]  # and as it does
        await replaced(stage, order, 5, 4650)
        stage.broker.stream.copies = copies
        await stage.until(lambda: reserved(stage) == 20)
        held = stage.lane.books.order(order)
        assert held is not None
        assert (held.version, held.terms.limit_price) == (2, Decimal(4710))
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        assert not [one for one in stage.exchange.orders() if one.is_open]


class Refusing:
    """A broker that says no to a replacement, which it has made all the same or not."""

    def __init__(self, real: Any, *, reaches: bool) -> None:
        self._real, self._reaches = real, reaches

    async def __call__(self, *asked: Any) -> Outcome:
        if self._reaches:
            await self._real(*asked)
        return Rejected("422 unprocessable")
