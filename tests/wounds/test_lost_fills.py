"""Executions that nobody told us of: where others kept books that the broker's did not agree with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.orders import reports as r
from ordergate.core.orders.terms import Side
from ordergate.ports.broker import BrokerExecution
from tests.engine.stage import ES, TRADER, Stage, let_run
from tests.wounds.scenes import (
    at_exchange,
    by_hand,
    held,
    lose,
    open_at_exchange,
    open_breaks,
    placing,
    reconnect,
)

PRICE = Decimal(4700)


async def test_lean_tradestation_101_a_fill_that_the_stream_swallowed_is_found_while_it_is_up() -> None:
    """The stream dropped one fill and went on with its heartbeats; the books were never right again."""
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        lose(stage, r.ExecutedReport)
        stage.exchange.fill(at_exchange(stage)[0].id, Decimal(1), PRICE)
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == 1
        assert "broker_stream" not in str(stage.gate.readiness())


async def test_lean_tradestation_95_eighteen_fills_of_which_four_are_told_are_eighteen() -> None:
    """Of eighteen orders filled the stream told four; only the snapshot after a reconnect was whole."""
    async with Stage() as stage:
        orders = [await stage.accepted() for _ in range(18)]
        await stage.until(lambda: all(stage.status(order) == "working" for order in orders))
        told = 0

        def four(report: r.AnyReport) -> int:
            nonlocal told
            told += isinstance(report, r.ExecutedReport)
            return int(not isinstance(report, r.ExecutedReport) or told <= 4)

        stage.broker.stream.copies = four
        stage.exchange.mark(ES, PRICE)
        await let_run()
        assert stage.held(ES) == 4
        await stage.until(lambda: all(stage.status(order) == "filled" for order in orders))
        assert stage.held(ES) == 18


async def test_lean_interactive_brokers_249_a_fill_in_the_instant_of_the_disconnect_is_booked() -> None:
    """Fills at the very moment the connection broke were dropped and never asked for."""
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        stage.exchange.fill(at_exchange(stage)[0].id, Decimal(1), PRICE)
        reconnect(stage)
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == 1


async def test_nautilus_4736_a_warm_restart_makes_up_no_fill() -> None:
    """A restart inserted an opposite fill of its own: flat in the books, in the market at the venue."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        stage.exchange.fill(at_exchange(stage)[0].id, Decimal(2), PRICE)
        await stage.until(lambda: stage.held(ES) == 2)
        told = [kind for kind in stage.listener.kinds if "filled" in kind]
        for _ in range(3):
            await stage.restart()
            for _ in range(300):
                await stage.clock.move(0.25)
        assert stage.held(ES) == 2
        assert held(stage, order).leaves_qty == 1
        assert [kind for kind in stage.listener.kinds if "filled" in kind] == told
        assert open_breaks(stage) == []


async def test_nautilus_5000_a_cold_start_keeps_a_working_order_that_is_partly_filled() -> None:
    """A start without memory dropped a working order whose fills did not rebuild the position."""
    stage = Stage()
    foreign = stage.exchange.submit("by-hand-1", by_hand(quantity=3))
    assert not isinstance(foreign, str)
    stage.exchange.fill(foreign.id, Decimal(1), PRICE)
    async with stage:
        for _ in range(300):
            await stage.clock.move(0.25)
        assert stage.held(ES) == 1
        adopted = stage.lane.books.order_of_broker(foreign.id)
        assert adopted is not None
        assert (str(adopted.status), adopted.leaves_qty) == ("working", Decimal(2))
        stage.exchange.fill(foreign.id, Decimal(2), PRICE)
        await stage.until(lambda: stage.held(ES) == 3)
        await stage.until(lambda: stage.status(adopted.id) == "filled")
        for _ in range(300):
            await stage.clock.move(0.25)
        assert open_breaks(stage) == []


async def test_nautilus_5000_fills_from_before_the_account_was_opened_are_never_booked_again() -> None:
    """Near it: what was traded before the start is in the position, whenever it is read again."""
    stage = Stage()
    finished = stage.exchange.submit("by-hand-1", by_hand(quantity=2))
    assert not isinstance(finished, str)
    stage.exchange.fill(finished.id, Decimal(2), PRICE)
    async with stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        lose(stage)
        truth, behind = stage.broker.executions, True

        async def lagging(*, after: str | None) -> AsyncIterator[BrokerExecution]:
            """The list of executions is once behind the list of orders."""
            nonlocal behind
            if behind:
                behind = False
                return
            async for execution in truth(after=after):
                yield execution

        stage.broker.executions = lagging  # type: ignore[method-assign]  # this broker only
        stage.exchange.fill(at_exchange(stage)[1].id, Decimal(1), PRICE)
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == 3
        assert stage.listener.kinds.count("order_adopted") == 0


async def test_nautilus_5000_a_fill_while_the_account_is_being_opened_counts_once() -> None:
    """Nearer still: a fill between two look-ups of the start itself."""
    stage = Stage()
    foreign = stage.exchange.submit("by-hand-1", by_hand(quantity=3))
    assert not isinstance(foreign, str)
    stage.exchange.fill(foreign.id, Decimal(1), PRICE)
    moving, asked = [Decimal(1)], 0

    def fate(call: fates.Call) -> fates.Fate:
        nonlocal asked
        asked += 1
        if asked == 3 and moving:
            stage.exchange.fill(foreign.id, moving.pop(), PRICE)
        return fates.Delivered()

    stage._fate = fate
    async with stage:
        for _ in range(300):
            await stage.clock.move(0.25)
        assert moving == []
        assert stage.held(ES) == 2
        assert open_breaks(stage) == []


async def test_nautilus_3104_a_position_older_than_any_history_does_not_keep_the_node_from_starting() -> None:
    """Positions from before the history window could not be reconciled; the node refused to start."""
    stage = Stage()
    foreign = stage.exchange.submit("by-hand-1", by_hand(quantity=2))
    assert not isinstance(foreign, str)
    stage.exchange.fill(foreign.id, Decimal(2), PRICE)
    stage.exchange.executions.clear()
    async with stage:
        assert stage.gate.readiness() == {}
        assert stage.held(ES) == 2
        assert open_breaks(stage) == []


async def test_nautilus_3046_executions_told_again_after_a_restart_count_once() -> None:
    """Trade ids were replayed at a restart, and counted again."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        stage.broker.stream.copies = lambda report: 3
        stage.exchange.fill(at_exchange(stage)[0].id, Decimal(2), PRICE)
        await stage.until(lambda: stage.status(order) == "filled")
        for _ in range(3):
            await stage.restart()
        assert stage.held(ES) == 2
        assert len(held(stage, order).executions) == 1


async def test_nautilus_3869_every_fill_is_told_to_the_client_once_however_it_was_learned() -> None:
    """The event of a fill sometimes never reached the strategy."""
    async with Stage(fate=placing(fates.LostAnswer()), resend_is_safe=False) as stage:
        await stage.accepted(limit=None)  # told before the answer that never comes
        loud = await stage.accepted()  # told by the stream
        await stage.until(lambda: stage.status(loud) == "working")
        stage.exchange.fill(at_exchange(stage)[1].id, Decimal(1), PRICE)
        quiet = await stage.accepted()  # told by nobody
        await stage.until(lambda: stage.status(quiet) == "working")
        lose(stage)
        stage.exchange.fill(at_exchange(stage)[2].id, Decimal(1), PRICE)
        await stage.until(lambda: stage.status(quiet) == "filled")
        assert stage.listener.kinds.count("order_filled") == 3
        assert stage.listener.seqs == sorted(set(stage.listener.seqs))


async def test_freqtrade_3647_a_fill_after_the_cancel_is_ours_and_is_booked() -> None:
    """Cancelled in its own books, filled at the exchange: the bot no longer knew the position."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        there = at_exchange(stage)[0]
        lose(stage, r.ExecutedReport)
        stage.exchange.fill(there.id, Decimal(1), PRICE)
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: stage.held(ES) == 1)
        assert held(stage, order).cum_qty == 1


async def test_freqtrade_defect_7_a_start_without_answers_assumes_nothing_canceled() -> None:
    """Whatever went wrong with a look-up at the start, the order was taken for cancelled."""
    deaf = False

    def fate(call: fates.Call) -> fates.Fate:
        return fates.LostAnswer() if call is fates.Call.QUERY and deaf else fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.crash()
        deaf = True
        with pytest.raises(AssertionError, match="it never came true"):
            await stage.start()  # readiness is refused for as long as the broker says nothing
        assert stage.status(order) == "working"
        assert stage.gate.readiness() != {}
        deaf = False
        await stage.until(lambda: not stage.gate.readiness())
        assert stage.status(order) == "working"
        assert len(open_at_exchange(stage)) == 1


async def test_hummingbot_api_defect_5_an_order_filled_and_pruned_while_down_is_filled() -> None:
    """ "Not found at the exchange" became "cancelled" at the start: the fill was lost with it."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        there = at_exchange(stage)[0]
        await stage.crash()
        stage.exchange.fill(there.id, Decimal(2), PRICE)
        del stage.exchange._orders[there.id], stage.exchange._by_client_id[there.cl_ord_id]
        await stage.start()
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == 2


async def test_hummingbot_api_defect_5_an_order_that_is_not_found_is_not_canceled_for_that() -> None:
    """The guess itself: an order that an exchange does not show is in question, and stays in the books."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        there = at_exchange(stage)[0]
        await stage.crash()
        del stage.exchange._orders[there.id], stage.exchange._by_client_id[there.cl_ord_id]
        await stage.start()
        for _ in range(480):
            await stage.clock.move(0.25)
        assert stage.status(order) == "working"
        assert open_breaks(stage) == ["order_status"]


async def test_hummingbot_api_defect_5_an_order_is_written_down_before_the_exchange_hears_of_it() -> None:
    """Orders were first recorded once the exchange had acknowledged them."""
    async with Stage(fate=placing(fates.LateCall()), resend_is_safe=False) as stage:
        stage.listener.on("order_accepted", lambda: seen.append(stage.placed_at_exchange()))
        seen: list[int] = []
        order = await stage.accepted()
        assert seen == [0]
        await stage.restart()
        assert stage.status(order) in {"accepted", "unknown"}


async def test_vnpy_bybit_19_orders_are_asked_for_again_after_a_reconnect() -> None:
    """Open orders were not queried after the private stream came back; their endings were missed."""
    async with Stage() as stage:
        canceled = await stage.accepted()
        filled = await stage.accepted()
        await stage.until(lambda: stage.status(filled) == "working")
        stage.broker.stream.cut("nobody listens")
        one, other = at_exchange(stage)
        stage.exchange.cancel(one.id)
        stage.exchange.fill(other.id, Decimal(1), PRICE)
        stage.broker.stream.restore()
        await stage.until(lambda: stage.status(canceled) == "canceled", within_s=5)
        await stage.until(lambda: stage.status(filled) == "filled", within_s=5)


async def test_lean_defect_10_a_position_that_differs_while_running_is_noticed_within_two_minutes() -> None:
    """Holdings were compared once, at the start, and cash once a day."""
    async with Stage() as stage:
        stage.exchange.ledger.book(ES, Decimal(3), PRICE)
        await stage.until(lambda: "position" in open_breaks(stage), within_s=120)
        stage.exchange.ledger.book(ES, Decimal(-3), PRICE)
        await stage.until(lambda: open_breaks(stage) == [], within_s=120)


async def test_hummingbot_api_defect_5_an_order_given_by_hand_is_in_the_books_too() -> None:
    """At the start only the orders of its own database were loaded."""
    async with Stage() as stage:
        foreign = stage.exchange.submit("by-hand-1", by_hand(quantity=2, limit="4900", side=Side.SELL))
        assert not isinstance(foreign, str)
        stage.exchange.fill(foreign.id, Decimal(2), Decimal(4900))
        await stage.until(lambda: stage.held(ES) == -2)
        assert stage.listener.kinds.count("order_adopted") == 1
