"""The paper exchange trades as told, and the paper wire fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.brokers.paper import fates as f
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.brokers.paper.ledger import PaperLedger
from ordergate.brokers.paper.news import WAITING_MAX, executed
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import ClOrdId, Env, Paper, Symbol
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders import reports as r
from ordergate.core.orders.reports import BrokerStatus
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from ordergate.ports.broker import (
    Acknowledged,
    BrokerUnavailable,
    Corrections,
    DedupClass,
    News,
    NotFound,
    Outcome,
    Rejected,
    StreamDown,
    StreamUp,
    Unknown,
    Unsent,
    no_veto,
)
from tests.brokers.conformance import listening, placed
from tests.brokers.world import ACME, WAIT_S, HandClock, our_id, quantities, terms

Twin: TypeAlias = PaperBroker[Paper]

ES = Symbol("ESH4")
EMINI = Instrument(
    symbol=ES,
    name="E-mini S&P 500",
    asset_class=AssetClass.FUTURE,
    currency="USD",
    tick=Decimal("0.25"),
    lot=Decimal(1),
    multiplier=Decimal(50),
    calendar="CME",
)


@pytest.fixture
def exchange(clock: HandClock) -> PaperExchange:
    return PaperExchange(now=clock.now)


@pytest.fixture
def script() -> f.Script:
    return f.Script()


@pytest.fixture
async def paper(exchange: PaperExchange, clock: HandClock, script: f.Script) -> AsyncIterator[Twin]:
    broker = PaperBroker(exchange, env=Env.PAPER, clock=clock, fates=script)
    yield broker
    await broker.close()


# -- fates


@pytest.mark.parametrize(
    ("fate", "outcome", "arrives"),
    [
        (f.Delivered(), Acknowledged, True),
        (f.NotSent(), Unsent, False),
        (f.LostCall(), Unknown, False),
        (f.LostAnswer(), Unknown, True),
        (f.LateCall(), Unknown, False),
        (f.TurnedAway("no"), Rejected, False),
    ],
)
async def test_every_fate_of_a_call_has_its_outcome(
    paper: Twin, script: f.Script, fate: f.Fate, outcome: type[Outcome], arrives: bool
) -> None:
    script.add(f.Call.PLACE, fate)
    assert isinstance(await paper.place(our_id(1), terms(), no_veto), outcome)
    assert isinstance(await paper.find(our_id(1)), NotFound) is not arrives


async def test_a_late_call_arrives_when_it_is_let_in(paper: Twin, script: f.Script) -> None:
    script.add(f.Call.PLACE, f.LateCall())
    await paper.place(our_id(1), terms(), no_veto)
    paper.let_late_calls_in()
    assert not isinstance(await paper.find(our_id(1)), NotFound)


async def test_a_resend_that_meets_its_late_original_is_one_order_where_ids_are_refused(
    paper: Twin, script: f.Script
) -> None:
    script.add(f.Call.PLACE, f.LateCall())
    await paper.place(our_id(1), terms(), no_veto)
    assert isinstance(await paper.place(our_id(1), terms(), no_veto), Acknowledged)
    paper.let_late_calls_in()
    assert len(await paper.open_orders()) == 1


@pytest.mark.parametrize("dedup", [DedupClass.B, DedupClass.C])
async def test_a_resend_is_a_second_order_where_they_are_not(clock: HandClock, dedup: DedupClass) -> None:
    """What the engine must never cause."""
    exchange = PaperExchange(now=clock.now, dedups=False)
    broker = PaperBroker(exchange, env=Env.PAPER, clock=clock, dedup=dedup)
    assert broker.capabilities.dedup is dedup
    await broker.place(our_id(1), terms(), no_veto)
    await broker.place(our_id(1), terms(), no_veto)
    assert len(await broker.open_orders()) == 2


async def test_a_query_that_fails_is_no_fact(paper: Twin, script: f.Script) -> None:
    script.add(f.Call.QUERY, f.LostAnswer())
    with pytest.raises(BrokerUnavailable):
        await paper.find(our_id(1))
    assert await paper.find(our_id(1)) == NotFound()


async def test_an_order_is_invisible_for_as_long_as_declared(
    exchange: PaperExchange, clock: HandClock
) -> None:
    broker = PaperBroker(exchange, env=Env.PAPER, clock=clock, visibility_lag_s=2.0)
    assert broker.capabilities.visibility_lag_s == 2.0
    await placed(broker)
    assert await broker.find(our_id(1)) == NotFound()
    assert await broker.open_orders() == []
    clock.seconds += 2.0
    assert not isinstance(await broker.find(our_id(1)), NotFound)


async def test_latency_is_slept_on_the_clock_that_was_given(
    exchange: PaperExchange, clock: HandClock
) -> None:
    broker = PaperBroker(exchange, env=Env.PAPER, clock=clock, latency_s=0.25)
    await placed(broker)
    assert clock.slept == [0.25, 0.25]


# -- the stream


async def test_what_happens_while_the_line_is_cut_is_lost(paper: Twin, exchange: PaperExchange) -> None:
    async with listening(paper) as ear:
        order_id = await placed(paper)
        await ear.until_reports(r.AcknowledgedReport)
        paper.stream.cut("maintenance")
        exchange.fill(order_id, Decimal(4), Decimal(10))
        paper.stream.restore()
        exchange.fill(order_id, Decimal(6), Decimal(10))
        await ear.until(lambda heard: len(heard) == 5)
    assert ear.heard[2:4] == [StreamDown("maintenance"), StreamUp()]
    last = ear.heard[4]
    assert isinstance(last, News)
    assert isinstance(last.report, r.ExecutedReport)
    assert last.report.cum_qty == 10


async def test_single_reports_may_be_lost_or_doubled(paper: Twin, exchange: PaperExchange) -> None:
    paper.stream.copies = lambda report: 2 if isinstance(report, r.ExecutedReport) else 0
    async with listening(paper) as ear:
        order_id = await placed(paper)
        exchange.fill(order_id, Decimal(10), Decimal(10))
        told = await ear.until_reports(r.ExecutedReport, r.ExecutedReport)
    assert told[0] == told[1]


async def test_a_listener_that_does_not_keep_up_loses_the_line_and_is_told(
    paper: Twin, exchange: PaperExchange
) -> None:
    line = paper.news()
    assert await anext(line) == StreamUp()
    order = exchange.submit(our_id(1), terms(quantity=Decimal(WAITING_MAX + 10)))
    assert not isinstance(order, str)
    for _ in range(WAITING_MAX + 1):
        exchange.fill(order.id, Decimal(1), Decimal(10))
    async with asyncio.timeout(WAIT_S):
        heard = [await anext(line) for _ in range(4)]
    assert [type(item) for item in heard[:2]] == [StreamDown, StreamUp]
    assert isinstance(heard[2], News)


async def test_closing_ends_the_stream(paper: Twin) -> None:
    line = paper.news()
    assert await anext(line) == StreamUp()
    await paper.close()
    async with asyncio.timeout(WAIT_S):
        assert [item async for item in line] == []


# -- the market


@pytest.mark.parametrize(
    ("side", "kind", "limit", "stop", "price", "status"),
    [
        (Side.BUY, OrderType.MARKET, None, None, "10", BrokerStatus.FILLED),
        (Side.BUY, OrderType.LIMIT, "10", None, "10", BrokerStatus.FILLED),
        (Side.BUY, OrderType.LIMIT, "10", None, "10.01", BrokerStatus.WORKING),
        (Side.SELL, OrderType.LIMIT, "10", None, "9.99", BrokerStatus.WORKING),
        (Side.SELL, OrderType.LIMIT, "10", None, "10.01", BrokerStatus.FILLED),
        (Side.BUY, OrderType.STOP, None, "11", "10", BrokerStatus.WORKING),
        (Side.BUY, OrderType.STOP, None, "11", "11", BrokerStatus.FILLED),
        (Side.SELL, OrderType.STOP, None, "9", "9.5", BrokerStatus.WORKING),
        (Side.SELL, OrderType.STOP, None, "9", "8", BrokerStatus.FILLED),
        (Side.BUY, OrderType.STOP_LIMIT, "11", "11", "12", BrokerStatus.WORKING),
        (Side.BUY, OrderType.STOP_LIMIT, "12", "11", "11.5", BrokerStatus.FILLED),
    ],
)
async def test_an_order_trades_at_the_price_that_reaches_it(
    exchange: PaperExchange,
    paper: Twin,
    *,
    side: Side,
    kind: OrderType,
    limit: str | None,
    stop: str | None,
    price: str,
    status: BrokerStatus,
) -> None:
    await placed(
        paper,
        asked=terms(
            side=side,
            type=kind,
            limit_price=None if limit is None else Decimal(limit),
            stop_price=None if stop is None else Decimal(stop),
        ),
    )
    exchange.mark(ACME, Decimal(price))
    seen = await paper.find(our_id(1))
    assert not isinstance(seen, NotFound)
    assert seen.status is status


async def test_a_stop_that_was_reached_stays_awake(exchange: PaperExchange, paper: Twin) -> None:
    stop = terms(type=OrderType.STOP_LIMIT, limit_price=Decimal(11), stop_price=Decimal(11))
    await placed(paper, asked=stop)
    exchange.mark(ACME, Decimal(12))
    exchange.mark(ACME, Decimal("10.5"))
    seen = await paper.find(our_id(1))
    assert not isinstance(seen, NotFound)
    assert seen.status is BrokerStatus.FILLED


async def test_an_order_that_crosses_the_market_fills_at_once(exchange: PaperExchange, paper: Twin) -> None:
    exchange.mark(ACME, Decimal("9.50"))
    await placed(paper, asked=terms(time_in_force=TimeInForce.FOK))
    (execution,) = [it.report async for it in paper.executions(after=None)]
    assert isinstance(execution, r.ExecutedReport)
    assert execution.price == Decimal("9.50")


async def test_executions_may_be_taken_back_and_corrected(exchange: PaperExchange, paper: Twin) -> None:
    async with listening(paper) as ear:
        order_id = await placed(paper)
        one = exchange.fill(order_id, Decimal(4), Decimal(10))
        two = exchange.fill(order_id, Decimal(6), Decimal(10))
        exchange.bust(one.exec_id)
        exchange.correct(two.exec_id, Decimal(5), Decimal("9.50"))
        told = await ear.until_reports(
            r.AcknowledgedReport, r.ExecutedReport, r.ExecutedReport, r.BustedReport, r.CorrectedReport
        )
    assert isinstance(told[4], r.CorrectedReport)
    assert (told[4].exec_id, told[4].revision) == (two.exec_id, 1)
    assert quantities(await paper.positions()) == {ACME: Decimal(5)}
    assert exchange.ledger.cash == Decimal(1_000_000) - 5 * Decimal("9.50")
    gone, left = [it.report async for it in paper.executions(after=None)]
    assert isinstance(gone, r.BustedReport)
    assert (gone.exec_id, gone.revision) == (one.exec_id, 1)
    assert isinstance(left, r.ExecutedReport)
    assert (left.quantity, left.revision) == (Decimal(5), 1)


async def test_what_was_changed_while_nobody_listened_is_at_the_end_of_the_list(
    exchange: PaperExchange, paper: Twin
) -> None:
    order_id = await placed(paper)
    one = exchange.fill(order_id, Decimal(4), Decimal(10))
    two = exchange.fill(order_id, Decimal(4), Decimal(10))
    exchange.bust(one.exec_id)
    exchange.correct(one.exec_id, Decimal(6), Decimal(10))
    (changed,) = [it.report async for it in paper.executions(after=two.cursor)]
    assert isinstance(changed, r.ExecutedReport)
    assert (changed.exec_id, changed.revision, changed.quantity) == (one.exec_id, 2, Decimal(6))
    seen = await paper.find(our_id(1))
    assert not isinstance(seen, NotFound)
    assert seen.status is BrokerStatus.FILLED


async def test_what_a_client_calls_its_order_and_who_decided_it_are_not_shown(paper: Twin) -> None:
    said = {"client_order_id": "label", "strategy": "s", "strategy_version": "1", "user": "u"}
    await placed(paper, asked=msgspec.structs.replace(terms(), **said))
    seen = await paper.find(our_id(1))
    assert not isinstance(seen, NotFound)
    assert seen.terms == terms()


async def test_a_broker_that_holds_no_client_order_ids_shows_its_own(
    exchange: PaperExchange, clock: HandClock
) -> None:
    nameless = PaperBroker(exchange, env=Env.PAPER, clock=clock, dedup=DedupClass.C)
    async with listening(nameless) as ear:
        order_id = await placed(nameless)
        exchange.fill(order_id, Decimal(4), Decimal(10))
        told = await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport)
    assert {(one.cl_ord_id, one.version, one.broker_order_id) for one in told} == {(order_id, 0, order_id)}
    assert await nameless.find(our_id(1)) == NotFound()
    seen = await nameless.find(ClOrdId(order_id))
    assert not isinstance(seen, NotFound)
    assert seen.cum_qty == 4
    assert isinstance(await nameless.cancel(our_id(1), None), Rejected)
    assert isinstance(await nameless.cancel(our_id(1), order_id), Acknowledged)


async def test_a_broker_may_tell_a_correction_as_what_it_adds(
    exchange: PaperExchange, clock: HandClock
) -> None:
    paper = PaperBroker(exchange, env=Env.PAPER, clock=clock, corrections=Corrections.DELTA)
    async with listening(paper) as ear:
        execution = exchange.fill(await placed(paper), Decimal(4), Decimal(10))
        exchange.correct(execution.exec_id, Decimal(3), Decimal(10))
        told = await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport, r.CorrectedReport)
    assert isinstance(told[2], r.CorrectedReport)
    assert (told[2].quantity, told[2].delta) == (Decimal(-1), True)


async def test_the_market_may_end_an_order(exchange: PaperExchange, paper: Twin) -> None:
    async with listening(paper) as ear:
        exchange.expire(await placed(paper, 1))
        exchange.reject(await placed(paper, 2), "halted")
        told = await ear.until_reports(
            r.AcknowledgedReport, r.ExpiredReport, r.AcknowledgedReport, r.RejectedReport
        )
    assert isinstance(told[3], r.RejectedReport)
    assert told[3].reason == "halted"


async def test_the_exchange_outlives_a_broker(exchange: PaperExchange, clock: HandClock) -> None:
    before = PaperBroker(exchange, env=Env.PAPER, clock=clock)
    order_id = await placed(before)
    await before.close()
    after = PaperBroker(exchange, env=Env.PAPER, clock=clock)
    assert [seen.broker_order_id for seen in await after.open_orders()] == [order_id]


# -- money


def test_a_future_moves_cash_by_its_profit_alone() -> None:
    ledger = PaperLedger(Decimal(0), {ES: EMINI})
    ledger.book(ES, Decimal(2), Decimal("4800.00"))
    assert ledger.cash == 0
    ledger.book(ES, Decimal(-3), Decimal("4801.25"))
    assert ledger.cash == 2 * Decimal("1.25") * 50
    assert ledger.positions() == {ES: Decimal(-1)}


def test_a_fee_leaves_the_cash_and_is_told_and_not_given_back(exchange: PaperExchange) -> None:
    before = exchange.ledger.cash
    order = exchange.submit("x", terms())
    assert isinstance(order, PaperOrder)
    told = exchange.fill(order.id, Decimal(1), Decimal(4800), fee=Decimal("0.65"))
    assert before - exchange.ledger.cash == Decimal("4800.65")
    assert executed(told, Env.PAPER).fee == Decimal("0.65")
    exchange.bust(told.exec_id)
    assert before - exchange.ledger.cash == Decimal("0.65")


TRADES = st.lists(
    st.tuples(st.integers(-20, 20).filter(bool).map(Decimal), st.decimals(1, 100, places=2, allow_nan=False)),
    max_size=40,
)


@given(TRADES)
def test_closing_everything_at_the_last_price_makes_futures_and_shares_equal(
    trades: list[tuple[Decimal, Decimal]],
) -> None:
    """Paid in full or settled by profit, a round trip earns the same."""
    ledger = PaperLedger(Decimal(0), {ES: EMINI})
    for signed, price in trades:
        ledger.book(ES, signed, price)
        ledger.book(ACME, signed * 50, price)
    for symbol, held in ledger.positions().items():
        ledger.book(symbol, -held, Decimal(50))
    assert ledger.positions() == {}
    cash_of_both = ledger.cash
    whole = sum((-signed * price * 50 for signed, price in trades), Decimal(0))
    rest = sum((signed for signed, _ in trades), Decimal(0)) * 50 * 50
    assert cash_of_both == 2 * (whole + rest)


def test_time_is_the_clock_s(clock: HandClock, exchange: PaperExchange) -> None:
    order = exchange.submit("x", terms())
    assert not isinstance(order, str)
    clock.seconds += 5
    execution = exchange.fill(order.id, Decimal(1), Decimal(10))
    assert execution.at - order.placed_at == timedelta(seconds=5)
