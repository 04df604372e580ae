"""The account is folded anew while the broker is asked: what memory knew before may have been lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.orders.events import BookedExecution
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import ExecutedReport, OrderSnapshot
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.runs import Tally
from ordergate.engine.wire import ingest
from ordergate.engine.wire.repeats import Repeat, repeat_of
from ordergate.ports.broker import BrokerExecution, DedupClass, Outcome, Rejected
from tests.engine.killing import engage_anyhow
from tests.engine.stage import ES, Stage, let_run
from tests.engine.test_egress import change
from tests.engine.test_executions import tell, working
from tests.engine.test_reconciliation import position
from tests.engine.test_unknown_outcomes import lost


async def lose_what_waits(stage: Stage) -> None:
    """The commit fails, and the account stands as it did before."""
    known = stage.lane.books
    stage.journal.cut(written=False)
    stage.journal.release()
    while stage.lane.books is known:  # noqa: ASYNC110 - before anybody else reads what was lost
        await asyncio.sleep(0)


async def test_an_execution_repeats_none_that_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage() as stage:
        _, at_exchange = await working(stage)
        stage.journal.hold()
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        await let_run()

        async def asked(seat: Seat, order: Order, report: ExecutedReport) -> Repeat | None:
            monkeypatch.setattr(ingest, "repeat_of", repeat_of)
            found = await repeat_of(seat, order, report)
            await lose_what_waits(stage)
            return found

        monkeypatch.setattr(ingest, "repeat_of", asked)
        tell(stage, execution, "after-the-restart")
        await stage.until(lambda: stage.listener.kinds.count("execution_duplicated") == 1)
        told = [kind for kind in stage.listener.kinds if "filled" in kind or "duplicated" in kind]
        assert told == ["order_partially_filled", "execution_duplicated"]


async def test_the_cursor_goes_beyond_no_execution_that_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage() as stage:
        _, at_exchange = await working(stage)
        stage.journal.hold()
        stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        await let_run()
        listing, before = stage.broker.executions, len(stage.listener.kinds)

        async def listed(*, after: str | None) -> AsyncIterator[BrokerExecution]:
            monkeypatch.setattr(stage.broker, "executions", listing)
            async for one in listing(after=after):
                yield one
            await lose_what_waits(stage)

        monkeypatch.setattr(stage.broker, "executions", listed)
        await stage.node._reconciler._matching.executions(stage.seat, after=None, tally=Tally())
        await stage.until(lambda: "account_synced" in stage.listener.kinds[before:])
        told = stage.listener.kinds[before:]
        assert told.index("order_partially_filled") < told.index("account_synced")


async def test_the_second_order_of_one_call_is_nobody_elses_where_the_first_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which of two is a stranger's is known by what was heard of the other: lost, either may be ours."""
    async with Stage(dedup=DedupClass.B, fate=lost(fates.LostAnswer())) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        ours, (first,) = stage.lane.books.order(order), stage.exchange.orders()
        assert ours is not None
        stage.journal.hold()
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.fill(first.id, Decimal(3), Decimal(4700))
        await stage.until(lambda: position(stage) == 3)
        opened_with = ingest._opened_with

        async def asked(seat: Seat, seen: OrderSnapshot) -> tuple[BookedExecution, ...]:
            monkeypatch.setattr(ingest, "_opened_with", opened_with)
            found = await opened_with(seat, seen)
            await lose_what_waits(stage)
            return found

        monkeypatch.setattr(ingest, "_opened_with", asked)
        stage.broker.stream.copies = lambda _: 0
        twin = stage.exchange.submit(ours.cl_ord_id, ours.terms)
        assert isinstance(twin, PaperOrder)
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.fill(twin.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: position(stage) == stage.held(ES) == 4, within_s=70)
        known = [stage.lane.books.order_of_broker(one.id) for one in (first, twin)]
        assert [one and one.cum_qty for one in known] == [3, 1]
        told = stage.listener.kinds
        assert told.index("order_filled") < told.index("order_adopted")


async def test_a_refused_repeat_ends_nothing_where_a_doubt_was_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broker has the order by its first call, and says no more than that its name is used."""
    async with Stage(fate=lost(fates.LostAnswer())) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: "outcome_unknown" in stage.listener.kinds)
        change(stage, order, status=Status.ACCEPTED, unknown_since=None)

        async def refused(*_: object) -> Outcome:
            return Rejected("client order id must be unique")

        monkeypatch.setattr(stage.broker, "place", refused)
        await stage.node._dispatcher.place_again(stage.seat, order)
        assert "order_rejected" not in stage.listener.kinds
        assert stage.status(order) != "rejected"


async def test_a_repeat_that_a_stop_holds_back_ends_nothing_where_a_doubt_was_lost() -> None:
    """It was not sent again, and may have been sent before."""
    async with Stage(fate=lost(fates.LostAnswer())) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: "outcome_unknown" in stage.listener.kinds)
        change(stage, order, status=Status.ACCEPTED, unknown_since=None)
        await engage_anyhow(stage)
        await stage.node._dispatcher.place_again(stage.seat, order)
        assert stage.placed_at_exchange() == 1
        assert stage.status(order) == "accepted"
        await stage.until(lambda: stage.status(order) == "working")  # found by asking
