"""Executions end to end: told twice, revised while nobody listened, of strangers, under other names."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers.paper.news import executed, snapshot_of
from ordergate.brokers.paper.orders import PaperExecution
from ordergate.core.accounts.ledger import Ledger, adjusted, traded
from ordergate.core.ids import AccountId, Env, OrderId, Symbol
from ordergate.core.orders.events import OrderEvent
from ordergate.core.orders.terms import Side
from ordergate.engine.accounts.books import Books
from ordergate.ports.broker import Corrections, DedupClass, News
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, Stage, let_run
from tests.engine.test_reconciliation import elsewhere, position
from tests.engine.test_unknown_outcomes import alarms

OLD = Symbol("ESZ3")


async def working(stage: Stage, quantity: int = 10) -> tuple[OrderId, str]:
    """Our order, and its id at the broker."""
    order = await stage.accepted(quantity=quantity)
    await stage.until(lambda: stage.status(order) == "working")
    return order, list(stage.exchange.orders())[-1].id


def tell(stage: Stage, execution: PaperExecution, exec_id: str) -> None:
    """The broker's stream tells an execution under this id."""
    named = msgspec.structs.replace(execution, exec_id=exec_id)
    at_exchange = stage.exchange.order(execution.order.id)
    assert at_exchange is not None
    stage.broker.stream._say(News(executed(named, Env.PAPER), snapshot_of(at_exchange, Env.PAPER)))


def cum_qty(stage: Stage, order_id: OrderId) -> Decimal:
    order = stage.lane.books.order(order_id)
    assert order is not None
    return order.cum_qty


async def test_an_end_is_believed_after_the_executions_before_it_that_the_stream_lost() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.cancel(at_exchange)
        await stage.until(lambda: stage.status(order) == "canceled")
        assert cum_qty(stage, order) == 4
        (filled,), (ended,) = (
            stage.listener.frames_of(kind) for kind in ("order_partially_filled", "order_canceled")
        )
        assert filled["seq"] < ended["seq"]


# -- one execution, two names; two executions, everything equal


async def test_a_change_that_comes_with_the_second_name_is_taken_in_with_it() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        tell(stage, execution, "after-the-restart")  # the first name that is heard
        await stage.until(lambda: position(stage) == 4)
        stage.exchange.correct(execution.exec_id, Decimal(3), Decimal(4701))
        tell(stage, stage.exchange.executions[-1], execution.exec_id)
        await let_run()
        assert cum_qty(stage, order) == 3
        held = stage.lane.books.order(order)
        assert held is not None
        assert dict(held.repeated) == {execution.exec_id: "after-the-restart"}


async def test_a_correction_under_the_first_name_changes_what_is_known_by_its_second_alone() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        tell(stage, execution, "after-the-restart")
        await stage.until(lambda: position(stage) == 4)
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.correct(execution.exec_id, Decimal(3), Decimal(4701))
        await stage.until(lambda: cum_qty(stage, order) == 3)
        assert position(stage) == 3
        assert "order_overfilled" not in stage.listener.kinds


@pytest.mark.parametrize("listed", [True, False], ids=["listed as a bust", "left out of the list"])
async def test_an_execution_beside_one_that_was_taken_back_before_it_was_told_is_another_one(
    listed: bool,
) -> None:
    async with Stage() as stage:
        _, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        never_told = stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.bust(never_told.exec_id)
        await let_run()
        if not listed:
            del stage.exchange.executions[-1]
        stage.exchange.fill(at_exchange, Decimal(3), Decimal(4700))
        await stage.until(lambda: position(stage) == 3)
        assert "execution_duplicated" not in stage.listener.kinds


async def test_equal_executions_at_one_moment_are_two_when_the_broker_counts_two() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        for _ in range(3):
            stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        await stage.until(lambda: position(stage) == 6)
        assert cum_qty(stage, order) == 6
        assert "execution_duplicated" not in stage.listener.kinds


async def test_equal_executions_that_come_in_the_wrong_order_are_both_booked() -> None:
    async with Stage() as stage:
        _, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        one = stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        two = stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        tell(stage, two, two.exec_id)
        tell(stage, one, one.exec_id)
        await stage.until(lambda: position(stage) == 4)
        assert "execution_duplicated" not in stage.listener.kinds


async def test_a_second_name_hides_no_execution_that_was_missed() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        one = stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        stage.broker.stream.cut("the broker restarts")
        stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        stage.broker.stream.restore()
        tell(stage, one, "after-the-restart")
        await stage.until(lambda: position(stage) == 4)
        await stage.clock.move(5)
        assert cum_qty(stage, order) == 4


# -- taken back, changed, put back


async def test_what_was_changed_while_nobody_listened_is_read_from_the_list() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        kept = stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        gone = stage.exchange.fill(at_exchange, Decimal(3), Decimal(4700))
        back = stage.exchange.fill(at_exchange, Decimal(5), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        stage.broker.stream.cut()
        stage.exchange.correct(kept.exec_id, Decimal(1), Decimal(4699))
        stage.exchange.bust(gone.exec_id)
        stage.exchange.bust(back.exec_id)
        stage.exchange.correct(back.exec_id, Decimal(4), Decimal(4701))
        stage.broker.stream.restore()
        await stage.until(lambda: position(stage) == 5)
        await stage.until(lambda: not stage.gate.readiness())
        account = stage.lane.books.account
        assert account is not None
        assert account.cash == stage.exchange.ledger.cash
        assert not [item for item in account.breaks.values() if item.is_open]


async def test_a_bust_reopens_the_order_until_the_broker_says_that_it_is_complete() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        execution = stage.exchange.fill(at_exchange, Decimal(10), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: "order_reopened" in stage.listener.kinds)
        await stage.until(lambda: stage.status(order) == "filled", within_s=10)
        assert stage.listener.kinds.count("order_completed") == 1
        assert position(stage) == 0


async def test_corrections_by_so_much_come_to_what_the_broker_has() -> None:
    async with Stage(corrections=Corrections.DELTA) as stage:
        order, at_exchange = await working(stage)
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        copies = stage.broker.stream.copies
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.correct(execution.exec_id, Decimal(6), Decimal(4700))  # nobody hears of this one
        stage.broker.stream.copies = copies
        stage.exchange.correct(execution.exec_id, Decimal(5), Decimal(4700))
        await stage.until(lambda: position(stage) == 5)
        assert cum_qty(stage, order) == 5


async def test_a_correction_that_completes_an_order_completes_it_on_both_sides() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        stage.exchange.correct(execution.exec_id, Decimal(10), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.exchange.order(at_exchange).status == "filled"  # type: ignore[union-attr]  # it is there


# -- more than was asked for, and what nobody here asked for


async def test_more_than_the_order_is_booked_flagged_and_alarmed() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage, quantity=2)
        stage.exchange.fill_beyond(at_exchange, Decimal(3), Decimal(4700))
        await stage.until(lambda: position(stage) == 3)
        assert stage.listener.frames_of("order_filled")[-1]["order"]["overfilled"] is True
        assert f"order_overfilled:{order}" in alarms(stage)


async def test_news_of_what_is_not_listed_here_is_evidence_and_never_nothing() -> None:
    async with Stage() as stage:
        terms = msgspec.structs.replace(elsewhere(quantity=2), symbol=Symbol("CLG4"))
        foreign = stage.exchange.submit("by-hand", terms)
        assert not isinstance(foreign, str)
        stage.exchange.fill(foreign.id, Decimal(2), Decimal(70))
        await stage.until(lambda: f"unlisted_symbol:{foreign.id}" in alarms(stage))
        account = stage.lane.books.account
        assert account is not None
        await stage.until(lambda: _natures(stage) >= {"unlisted_symbol"})


def _natures(stage: Stage) -> set[str]:
    account = stage.lane.books.account
    return set() if account is None else {str(item.nature) for item in account.breaks.values()}


# -- renamed


async def test_an_order_and_a_position_live_on_under_the_new_name() -> None:
    stage = Stage()
    old = msgspec.structs.replace(INSTRUMENT, symbol=OLD)
    stage.instruments = {OLD: old}
    stage.exchange.ledger._instruments = {ES: INSTRUMENT, OLD: old}
    stage.exchange.mark(OLD, Decimal(4800))
    async with stage:
        before = stage.exchange.submit("by-hand", msgspec.structs.replace(elsewhere(quantity=6), symbol=OLD))
        assert not isinstance(before, str)
        stage.exchange.fill(before.id, Decimal(4), Decimal(4700))
        await stage.until(lambda: stage.held(OLD) == 4)
        await stage.crash()
        stage.instruments = {ES: msgspec.structs.replace(INSTRUMENT, aliases=(OLD,))}
        await stage.start()
        assert (stage.held(ES), stage.held(OLD)) == (Decimal(4), Decimal(0))
        assert stage.lane.books.exposure.of(ES).buy_quantity == 2
        stage.exchange.fill(before.id, Decimal(1), Decimal(4701))  # told under the old name
        order, at_exchange = await working(stage, quantity=2)
        stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))  # told under the new one
        await stage.until(lambda: stage.status(order) == "filled")
        await stage.until(lambda: stage.held(ES) == 7)
        shown = [msgspec.json.decode(body) for body in await stage.views.positions(ACCOUNT)]
        held = {one["symbol"]: one["quantity"] for one in shown if one["quantity"] != "0"}
        assert held == {ES: "7"}
        await stage.restart()
        assert stage.held(ES) == 7
        assert stage.listener.kinds.count("symbol_renamed") == 1
        await stage.clock.move(70)
        assert _natures(stage) == set()


# -- by double entry, over a whole life


@pytest.mark.parametrize("side", Side)
async def test_a_lifes_events_balance_by_double_entry(side: Side) -> None:
    async with Stage() as stage:
        order = await stage.accepted(side=side, quantity=10, limit="4700" if side is Side.BUY else "4900")
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = list(stage.exchange.orders())[-1].id
        one = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        two = stage.exchange.fill(at_exchange, Decimal(3), Decimal(4703))
        stage.exchange.correct(one.exec_id, Decimal(5), Decimal(4699))
        stage.exchange.bust(two.exec_id)
        stage.exchange.correct(two.exec_id, Decimal(2), Decimal(4702))
        await stage.until(lambda: cum_qty(stage, order) == 7)
        ledger, books = Ledger(), Books({ES: INSTRUMENT})
        async for stored in stage.journal.read(AccountId(ACCOUNT), after=0):
            before = books.account
            change = books.fold(stored.event)  # type: ignore[arg-type]  # an account's stream
            if change.account is None or change.account is before:
                continue
            if isinstance(stored.event, OrderEvent):
                assert before is not None
                ledger.post(traded(before, change.account, INSTRUMENT, stored.event))
            else:
                ledger.post(adjusted(before, change.account, [INSTRUMENT]))
            ledger.require_agreement(change.account)
        assert books.account == stage.lane.books.account
        assert books.account is not None
        assert books.account.cash == stage.exchange.ledger.cash


async def test_what_the_account_was_opened_with_is_not_booked_again_under_a_new_id() -> None:
    stage = Stage()
    foreign = stage.exchange.submit("by-hand", elsewhere(quantity=4))
    assert not isinstance(foreign, str)
    one = stage.exchange.fill(foreign.id, Decimal(1), Decimal(4700))
    two = stage.exchange.fill(foreign.id, Decimal(3), Decimal(4700))
    async with stage:
        assert position(stage) == 4
        for execution in (one, two):
            stage.exchange.restate(execution.exec_id, f"{execution.exec_id}-again")
            await stage.clock.move(2)
        assert position(stage) == 4
        await stage.clock.move(70)
        assert _natures(stage) == set()


async def test_both_names_of_an_execution_lead_to_it_whichever_came_first() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.restate(execution.exec_id, "second-name")
        await stage.until(lambda: position(stage) == 4)
        await stage.until(lambda: "execution_duplicated" in stage.listener.kinds)
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: position(stage) == 0)
        assert cum_qty(stage, order) == 0


async def test_what_is_known_by_its_second_name_alone_is_taken_back_under_its_first() -> None:
    """The bust is the first that is heard of the name that the broker lists."""
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.restate(execution.exec_id, "second-name")
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: "execution_busted" in stage.listener.kinds)
        await stage.clock.move(70)
        assert (position(stage), cum_qty(stage, order)) == (Decimal(0), Decimal(0))
        assert _natures(stage) == set()


async def test_a_bust_that_overtook_its_execution_takes_no_other_of_the_same_moment() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        lost = stage.exchange.fill(at_exchange, Decimal(1), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.fill(at_exchange, Decimal(3), Decimal(4701))
        await stage.until(lambda: position(stage) == 3)
        stage.exchange.bust(lost.exec_id)
        await stage.clock.move(70)
        assert (position(stage), cum_qty(stage, order)) == (Decimal(3), Decimal(3))
        assert _natures(stage) == set()


async def test_a_second_order_under_our_client_order_id_is_noticed_and_counted_by_risk() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order, at_exchange = await working(stage, quantity=3)
        held = stage.lane.books.order(order)
        assert held is not None
        twin = stage.exchange.submit(held.cl_ord_id, held.terms)
        assert not isinstance(twin, str)
        await stage.until(lambda: f"order_doubled:{twin.id}" in alarms(stage), within_s=5)
        assert stage.lane.books.exposure.of(ES).buy_quantity == 6
        stage.exchange.fill(twin.id, Decimal(3), Decimal(4700))
        stage.exchange.fill(at_exchange, Decimal(1), Decimal(4700))
        await stage.until(lambda: position(stage) == 4)
        assert cum_qty(stage, order) == 1
        await stage.clock.move(70)
        assert stage.status(order) == "working"
        assert _natures(stage) == set()
