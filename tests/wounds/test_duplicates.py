"""One intention, one order: where others bought twice, or took two orders for one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from tests.engine.settling import replaced
from tests.engine.stage import ES, TRADER, Stage, let_run
from tests.wounds.scenes import (
    at_exchange,
    by_hand,
    canceled_news,
    durable_stage,
    executed_news,
    fated,
    held,
    limit_to,
    lose,
    open_at_exchange,
    open_breaks,
    placing,
)

KEY = "the-very-same-key-1"
PRICE = Decimal(4700)


async def test_broker_gateway_defect_2_a_key_used_before_a_restart_buys_no_second_order(
    database: str,
) -> None:
    """Idempotency keys lived in memory: the same request after a restart made a second real order."""
    async with durable_stage(database) as stage:
        first = await stage.place(key=KEY)
        assert isinstance(first, Answer), first
        await stage.until(lambda: stage.status(first.order_id) == "working")
        await stage.restart()
        again = await stage.place(key=KEY)
        assert isinstance(again, Answer), again
        assert (again.order_id, again.replayed) == (first.order_id, True)
        other = await stage.place(key=KEY, quantity=2)
        assert isinstance(other, Refusal)
        assert other.code is Code.IDEMPOTENCY_KEY_REUSED
        assert stage.placed_at_exchange() == 1


@pytest.mark.parametrize("later_s", [1, 60, 3_600, 86_400])
async def test_trade_relay_defect_3_the_same_key_is_the_same_order_however_late(later_s: int) -> None:
    """After ten seconds the retry of a signal went out as an order with a new id."""
    async with Stage() as stage:
        first = await stage.place(key=KEY)
        assert isinstance(first, Answer)
        await stage.clock.move(later_s)
        again = await stage.place(key=KEY)
        assert isinstance(again, Answer)
        assert (again.order_id, again.replayed) == (first.order_id, True)
        await stage.until(lambda: stage.status(first.order_id) == "working")
        assert stage.placed_at_exchange() == 1


async def test_trade_relay_defect_3_a_key_whose_order_was_never_written_is_free_to_buy_it() -> None:
    """The key was marked before the order was sent: the retry of one that failed was dropped as a repeat."""
    async with Stage() as stage:
        stage.journal.hold()
        refused = await stage.gate.place(TRADER, by_hand(), key=KEY, correlation="test", deadline_s=0.01)
        assert isinstance(refused, Refusal)
        assert refused.code is Code.UNAVAILABLE
        stage.journal.cut(written=False)
        stage.journal.release()
        await stage.until(stage.lane.ready.is_set)
        again = await stage.gate.place(TRADER, by_hand(), key=KEY, correlation="test")
        assert isinstance(again, Answer), again
        assert not again.replayed
        await stage.until(lambda: stage.status(again.order_id) == "working")
        assert stage.placed_at_exchange() == 1


async def test_openalgo_1991_equal_orders_are_two_and_only_an_equal_key_is_a_repeat() -> None:
    """A proposal compared parameters to find repeats; an order that was meant twice would have been lost."""
    async with Stage() as stage:
        first, twin = await stage.place(key=KEY), await stage.place(key="another-key-altogether")
        assert isinstance(first, Answer)
        assert isinstance(twin, Answer)
        again = await stage.place(key=KEY)
        assert isinstance(again, Answer)
        assert twin.order_id != first.order_id == again.order_id
        await stage.until(lambda: stage.placed_at_exchange() == 2)


async def test_openalgo_932_an_order_that_a_tick_and_its_arrival_both_could_fill_is_filled_once() -> None:
    """A tick and the immediate fill raced in the sandbox, and one order was executed twice."""
    async with Stage() as stage:
        stage.listener.on("order_accepted", lambda: stage.exchange.mark(ES, Decimal(4650)))
        order = await stage.accepted(limit="4800", quantity=2)
        stage.exchange.mark(ES, Decimal(4640))
        await stage.until(lambda: stage.status(order) == "filled")
        stage.exchange.mark(ES, Decimal(4630))
        await let_run()
        assert stage.held(ES) == 2
        assert len(stage.exchange.executions) == 1


async def test_openalgo_1685_clicking_again_while_the_first_order_is_pending_is_refused() -> None:
    """An order took twelve seconds, so people clicked again, and had two."""
    async with Stage() as stage:
        limit_to(stage, duplicate_window=timedelta(seconds=15))
        stage.broker._fated._latency_s = 6.0
        first = await stage.accepted()
        again = await stage.place()
        assert isinstance(again, Answer)
        assert [failed.control for failed in again.failed] == ["R16"]
        await stage.until(lambda: stage.status(first) == "working")
        assert stage.clock.monotonic() >= 6
        assert stage.placed_at_exchange() == 1


async def test_nautilus_4288_the_end_of_a_replaced_version_is_not_the_end_of_the_order() -> None:
    """A venue that replaces by cancelling told a cancel; the strategy thought itself flat and doubled up."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        old = at_exchange(stage)[0]
        await replaced(stage, order, quantity=3)
        await stage.until(lambda: held(stage, order).version == 2)
        stage.broker.stream._say(canceled_news(old.cl_ord_id, 1, old.id))
        await let_run()
        assert stage.status(order) == "working"
        assert "order_canceled" not in stage.listener.kinds


async def test_nautilus_4288_a_cancel_told_before_the_replacement_does_not_end_a_live_order() -> None:
    """The cancel of the old version came first, and the replacement that was alive was forgotten."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        old = at_exchange(stage)[0]
        lose(stage)
        stage.listener.on(
            "replace_requested",
            lambda: stage.broker.stream._say(canceled_news(old.cl_ord_id, 1, old.id)),
        )
        await replaced(stage, order, quantity=3)
        await stage.until(lambda: held(stage, order).version == 2)
        assert stage.status(order) == "working"
        assert len(open_at_exchange(stage)) == 1


async def test_nautilus_4288_an_order_canceled_under_its_replacement_is_canceled() -> None:
    """The other way round: nothing is alive, and the books must say so once the replacement is refused."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        old = at_exchange(stage)[0]

        def cancel() -> None:
            assert stage.exchange.cancel(old.id) is None

        stage.listener.on("replace_requested", cancel)
        await replaced(stage, order, quantity=3)
        await stage.until(lambda: stage.status(order) == "canceled", within_s=65)
        assert open_at_exchange(stage) == []


@pytest.mark.parametrize(
    "fate", [fates.LostCall(), fates.LostAnswer(), fates.LateCall()], ids=lambda it: type(it).__name__
)
async def test_nautilus_4564_a_replacement_lost_with_the_line_leaves_one_live_order(fate: fates.Fate) -> None:
    """A modify in a connection loss left two live orders for one; the second filled six hours later."""
    async with Stage(fate=fated(fates.Call.REPLACE, fate)) as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        stage.broker.stream.cut("the line is lost")
        await replaced(stage, order, quantity=3)
        for _ in range(200):
            await stage.clock.move(0.25)
        stage.broker.stream.restore()
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert len(open_at_exchange(stage)) == 1
        alive = open_at_exchange(stage)[0]
        stage.exchange.fill(alive.id, alive.leaves_qty, PRICE)
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == alive.terms.quantity
        assert held(stage, order).terms.quantity == alive.terms.quantity


async def test_lean_interactive_brokers_242_a_brokers_id_given_out_twice_does_not_mix_two_orders() -> None:
    """A restarted gateway counted from an old number: every callback went to two orders."""
    async with Stage() as stage:
        first, second = await stage.accepted(), await stage.accepted()
        await stage.until(lambda: stage.status(second) == "working")
        lose(stage)
        one, other = at_exchange(stage)
        stage.broker.stream._say(executed_news(other.cl_ord_id, one.id, "7"))
        await let_run()
        assert (stage.status(first), stage.status(second)) == ("working", "filled")
        stage.broker.stream._say(executed_news(one.cl_ord_id, one.id, "7"))
        await let_run()
        assert stage.status(first) == "filled"
        assert stage.held(ES) == 2


async def test_lean_alpaca_41_an_execution_told_any_number_of_times_counts_once() -> None:
    """Order events came twice, and so did the fills."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        stage.broker.stream.copies = lambda report: 5
        there = at_exchange(stage)[0]
        for _ in range(3):
            stage.exchange.fill(there.id, Decimal(1), PRICE)
        await stage.until(lambda: stage.status(order) == "filled")
        stage.broker.stream.cut("again")
        stage.broker.stream.restore()
        for _ in range(300):
            await stage.clock.move(0.25)
        assert stage.held(ES) == 3
        assert open_breaks(stage) == []


async def test_alpaca_py_260_every_order_has_an_id_of_its_own_and_a_label_is_refused_before_the_broker() -> (
    None
):
    """An id cannot be used again even after a cancel, which traders learned from the broker's errors."""
    async with Stage() as stage:
        order = await stage.accepted(client_order_id="mine")
        await stage.until(lambda: stage.status(order) == "working")
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        again = await stage.place(client_order_id="mine")
        assert isinstance(again, Refusal)
        assert again.code is Code.DUPLICATE_CLIENT_ORDER_ID
        another = await stage.accepted(client_order_id="mine-2")
        await stage.until(lambda: stage.status(another) == "working")
        assert len({it.cl_ord_id for it in at_exchange(stage)}) == 2


async def test_ibind_35_many_orders_at_once_each_get_their_own_answer() -> None:
    """Two orders at once broke the broker's flow of questions and answers: a reply was not found."""
    async with Stage() as stage:
        answers = await asyncio.gather(*[stage.place(quantity=1 + number) for number in range(20)])
        orders = [answer.order_id for answer in answers if isinstance(answer, Answer)]
        await stage.until(lambda: all(stage.status(order) == "working" for order in orders))
        there = {it.cl_ord_id: it.terms.quantity for it in at_exchange(stage)}
        assert there == {held(stage, order).cl_ord_id: held(stage, order).terms.quantity for order in orders}
        assert sorted(there.values()) == [Decimal(1 + number) for number in range(20)]


async def test_ibind_103_a_refusal_ends_its_own_order_and_no_other() -> None:
    """The same once more: orders given together got into the way of each other's answers."""
    async with Stage(fate=placing(fates.Delivered(), fates.TurnedAway("price"), fates.Delivered())) as stage:
        answers = await asyncio.gather(*[stage.place() for _ in range(3)])
        orders = [answer.order_id for answer in answers if isinstance(answer, Answer)]
        await stage.until(lambda: sum(stage.status(order) == "rejected" for order in orders) == 1)
        there = {it.cl_ord_id for it in at_exchange(stage)}
        for order in orders:
            assert (held(stage, order).cl_ord_id in there) is (stage.status(order) != "rejected")
