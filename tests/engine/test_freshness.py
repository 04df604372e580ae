"""Stream against questions: what a silent stream stops, and how it is found out and mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from ordergate.core.orders.terms import Side
from ordergate.ports.broker import BrokerNews
from tests.engine.settling import drift, natures, only_break, refused_controls, shown, working
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage
from tests.engine.test_reconciliation import elsewhere

STALE = [("R25", "stale-account")]


async def pass_time(stage: Stage, seconds: float) -> None:
    for _ in range(int(seconds)):
        await stage.clock.move(1)


async def test_a_stream_down_for_longer_than_its_limit_stops_new_orders_until_it_is_caught_up() -> None:
    async with Stage() as stage:
        order, _ = await working(stage)
        stage.broker.stream.cut("maintenance")
        await pass_time(stage, 5)
        assert refused_controls(await stage.place()) == []  # ten seconds are the limit
        await pass_time(stage, 7)
        assert refused_controls(await stage.place()) == STALE
        answer = await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        assert not hasattr(answer, "code")  # a cancel always passes
        stage.broker.stream.restore()
        await stage.until(lambda: stage.seat.freshness.stale_since is None)
        assert refused_controls(await stage.place()) == []


async def test_a_stream_that_came_up_is_not_enough_while_the_broker_answers_no_questions() -> None:
    async with Stage() as stage:
        stage.broker.account_number = "SOMEBODY-ELSE"  # every run ends before anything is read
        stage.broker.stream.cut("maintenance")
        await pass_time(stage, 3)
        stage.broker.stream.restore()
        await pass_time(stage, 12)
        assert stage.seat.stream_up
        assert stage.seat.freshness.stale_since is not None


async def test_a_replacement_is_stopped_like_a_new_order() -> None:
    async with Stage() as stage:
        order, _ = await working(stage)
        stage.broker.stream.cut("maintenance")
        await pass_time(stage, 12)
        answer = await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(2),
            limit_price=None,
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        assert refused_controls(answer) == STALE


async def test_only_reducing_orders_pass_where_the_limits_say_so() -> None:
    async with Stage(limits={"reduce_when_stale": True}) as stage:
        _, theirs = await working(stage, quantity=3)
        stage.exchange.fill(theirs, Decimal(3), Decimal(4700))
        await stage.until(lambda: stage.held(ES) == 3)
        stage.broker.stream.cut("maintenance")
        await pass_time(stage, 12)
        assert refused_controls(await stage.place(side=Side.BUY)) == STALE
        assert refused_controls(await stage.place(side=Side.SELL, quantity=4, limit="4900")) == STALE
        assert refused_controls(await stage.place(side=Side.SELL, quantity=2, limit="4900")) == []
        # What is open counts: two are on their way out, so only one is left to sell.
        assert refused_controls(await stage.place(side=Side.SELL, quantity=2, limit="4901")) == STALE
        assert refused_controls(await stage.place(side=Side.SELL, quantity=1, limit="4901")) == []


async def test_a_position_in_doubt_cannot_be_reduced() -> None:
    async with Stage(limits={"reduce_when_stale": True}) as stage:
        _, theirs = await working(stage, quantity=3)
        stage.exchange.fill(theirs, Decimal(3), Decimal(4700))
        await stage.until(lambda: stage.held(ES) == 3)
        drift(stage, -3)
        await stage.until(lambda: "position" in natures(stage))
        refused = await stage.place(side=Side.SELL, quantity=1, limit="4900")
        assert refused_controls(refused) == [("R25", "open-break")]


async def test_an_acknowledged_order_that_the_stream_does_not_show_is_asked_about() -> None:
    async with Stage() as stage:
        runs = stage.seat.runs.count
        stage.broker.stream.copies = lambda report: 0
        order, theirs = await working(stage)  # acknowledged by the answer to the call
        stage.exchange.cancel(theirs)
        await stage.until(lambda: stage.status(order) == "canceled", within_s=8)
        assert stage.seat.runs.count == runs  # no whole run was needed for it


async def test_an_order_that_the_stream_has_shown_is_not_asked_about() -> None:
    async with Stage() as stage:
        for _ in range(20):
            await working(stage)
        await pass_time(stage, 50)
        assert [question for question in stage.asked if question.startswith("find")] == []


async def test_a_stream_that_keeps_back_an_execution_is_deaf_and_is_connected_anew() -> None:
    async with Stage() as stage:
        _, theirs = await working(stage, quantity=3)
        await stage.until(lambda: stage.seat.runs.count >= 3)  # read since the stream is up
        stage.broker.stream.copies = lambda report: 0
        stage.exchange.fill(theirs, Decimal(1), Decimal(4700))
        generation = stage.seat.watch.generation
        await stage.until(lambda: natures(stage) == ["stream"])
        item = only_break(stage)
        assert item.detail == stage.exchange.executions[-1].exec_id
        assert stage.held(ES) == 1
        await stage.until(lambda: stage.seat.watch.generation > generation)
        await stage.until(lambda: natures(stage) == [])
        assert shown(stage, item.id)["rule"] == "stream-heard"
        assert stage.seat.freshness.stale_since is None


async def test_a_deaf_stream_that_is_slow_to_close_is_never_taken_for_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        news, said_goodbye = stage.broker.news, asyncio.Event()
        said_goodbye.set()

        async def lingering() -> AsyncIterator[BrokerNews]:
            try:
                async for one in news():
                    yield one
            finally:
                await said_goodbye.wait()

        monkeypatch.setattr(stage.broker, "news", lingering)
        stage.seat.deaf.set()  # connected anew, by the line above
        await pass_time(stage, 3)
        said_goodbye.clear()
        _, theirs = await working(stage, quantity=3)
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count >= runs + 3)
        stage.broker.stream.copies = lambda report: 0
        stage.exchange.fill(theirs, Decimal(1), Decimal(4700))
        await stage.until(lambda: natures(stage) == ["stream"])
        generation, runs = stage.seat.watch.generation, stage.seat.runs.count
        stage.seat.suspect("a person asks")
        await stage.until(lambda: stage.seat.runs.count > runs)
        assert stage.seat.watch.generation == generation, "the deaf one is still being closed"
        assert stage.seat.freshness.stale_since is not None
        said_goodbye.set()
        await stage.until(lambda: stage.seat.freshness.stale_since is None)
        assert stage.seat.watch.generation > generation
        await stage.until(lambda: natures(stage) == [])


async def test_an_execution_that_the_stream_told_before_it_was_read_is_not_owed_by_it() -> None:
    """Of an order from elsewhere the first is only believed once it was read: its stream is not deaf."""
    async with Stage() as stage:
        await stage.until(lambda: stage.seat.runs.count >= 3)
        foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert not isinstance(foreign, str)
        stage.exchange.fill(foreign.id, Decimal(2), Decimal(4700))
        await stage.until(lambda: stage.held(ES) == 2)
        generation = stage.seat.watch.generation
        await pass_time(stage, 30)
        assert "break_opened" not in stage.listener.kinds
        assert stage.seat.watch.generation == generation


async def test_executions_from_before_the_stream_came_up_are_not_owed_by_it() -> None:
    async with Stage() as stage:
        _, theirs = await working(stage, quantity=3)
        stage.broker.stream.cut("maintenance")
        stage.exchange.fill(theirs, Decimal(1), Decimal(4700))
        stage.broker.stream.restore()
        await stage.until(lambda: stage.held(ES) == 1)
        await pass_time(stage, 30)
        assert "break_opened" not in stage.listener.kinds


async def test_runs_say_why_they_were_made_and_what_they_looked_at() -> None:
    async with Stage() as stage:
        await working(stage)
        assert "start" in [why for run in stage.seat.runs.newest_first() for why in run.why]
        await stage.node.breaks.ask_run(TRADER, ACCOUNT, correlation="test")
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count > runs)
        latest = stage.seat.runs.latest
        assert latest is not None
        assert latest.why == (f"asked by {TRADER.subject}",)
        assert (latest.result, latest.orders_ours, latest.orders_listed) == ("completed", 1, 1)
        assert latest.positions_compared
        assert latest.cash_compared
        await stage.until(lambda: stage.seat.runs.count > runs + 1)
        latest = stage.seat.runs.latest
        assert latest is not None
        assert latest.why == ("timer",)


async def test_a_thousand_orders_that_ended_unseen_are_settled_by_lists_and_not_one_by_one() -> None:
    async with Stage(limits={"max_open_orders": 2000}) as stage:
        for _ in range(1000):
            await stage.accepted()
        await stage.until(lambda: stage.lane.books.open_count == 1000)
        await stage.until(lambda: all(o.status == "working" for o in stage.lane.books.open_orders()))
        await stage.crash()
        for order in stage.exchange.orders():
            stage.exchange.cancel(order.id)
        stage.asked.clear()
        await stage.start()
        await stage.until(lambda: stage.lane.books.open_count == 0, within_s=30)
        assert len(stage.asked) <= 20, stage.asked
