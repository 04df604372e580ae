"""What these tests have in common: fates of calls, news said by hand, and a stage on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import Env, OrderId
from ordergate.core.orders import reports as r
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.limits import Limits
from ordergate.engine.accounts.lanes import Seat
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.views import PostgresViews
from ordergate.ports.broker import News
from tests.engine.stage import ACCOUNT, ES, STEP_S, Stage

REAL_WAIT_S = 30.0


def fated(call: fates.Call, *given: fates.Fate) -> fates.Fates:
    """Fates for the first calls of a kind; everything after them is delivered."""
    left = list(given)
    return lambda asked: left.pop(0) if asked is call and left else fates.Delivered()


def placing(*given: fates.Fate) -> fates.Fates:
    return fated(fates.Call.PLACE, *given)


def seat_of(stage: Stage) -> Seat:
    seat = stage.node.lanes.get(ACCOUNT)
    assert seat is not None
    return seat


def limit_to(stage: Stage, **changes: object) -> Limits:
    """Other limits from now on, for this account of this stage."""
    seat = seat_of(stage)
    assert seat.limits is not None
    seat.limits = msgspec.structs.replace(seat.limits, **changes)
    seat.buckets.refit(seat.limits)
    return seat.limits


def held(stage: Stage, order: OrderId) -> Order:
    found = stage.lane.books.order(order)
    assert found is not None
    return found


def at_exchange(stage: Stage) -> list[PaperOrder]:
    return list(stage.exchange.orders())


def open_at_exchange(stage: Stage) -> list[PaperOrder]:
    return [order for order in stage.exchange.orders() if order.is_open]


def open_breaks(stage: Stage) -> list[str]:
    account = stage.lane.books.account
    assert account is not None
    return sorted(item.nature for item in account.breaks.values())


def canceled_news(cl_ord_id: str, version: int, broker_order_id: str) -> News:
    return News(r.CanceledReport(cl_ord_id=cl_ord_id, version=version, broker_order_id=broker_order_id))


def executed_news(cl_ord_id: str, broker_order_id: str, exec_id: str) -> News:
    """One contract at 4700."""
    return News(
        r.ExecutedReport(
            cl_ord_id=cl_ord_id,
            version=1,
            broker_order_id=broker_order_id,
            exec_id=exec_id,
            quantity=Decimal(1),
            price=Decimal(4700),
        )
    )


def lose(stage: Stage, *kinds: type[r.Report]) -> None:
    """From now on the stream stays up and swallows reports of these kinds; all kinds if none is named."""
    stage.broker.stream.copies = lambda report: 0 if isinstance(report, kinds or r.Report) else 1


def reconnect(stage: Stage) -> None:
    stage.broker.stream.cut("maintenance")
    stage.broker.stream.restore()


def by_hand(quantity: int = 1, limit: str | None = "4700", side: Side = Side.BUY) -> Terms:
    """What somebody gives the broker without us."""
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=side,
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=TimeInForce.GTC,
    )


class DurableStage(Stage):
    """The same stage with its journal on PostgreSQL. Its clock moves by itself, beside the real one."""

    async def until(self, true: Callable[[], object], *, within_s: float = 180) -> None:
        async with asyncio.timeout(REAL_WAIT_S):
            while not true():
                await self.clock.move(STEP_S)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def durable_stage(database: str) -> AsyncIterator[DurableStage]:
    stage = DurableStage()
    journal = await PostgresJournal.connect(database, Env.PAPER)
    views = await PostgresViews.connect(database)
    stage.journal, stage.views = journal, views  # type: ignore[assignment]  # the port's other adapter
    try:
        async with stage:
            yield stage
    finally:
        await views.close()
        await journal.close()
