"""The account is folded anew while the broker is asked: what memory knew before may have been lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import ExecutedReport
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.runs import Tally
from ordergate.engine.wire import ingest
from ordergate.engine.wire.repeats import Repeat, repeat_of
from ordergate.ports.broker import BrokerExecution
from tests.engine.stage import Stage, let_run
from tests.engine.test_executions import tell, working


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
