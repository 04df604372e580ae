"""Two sets of books that must agree: ours and the broker's, and what happens when they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

from msgspec.structs import replace

from ordergate.brokers.paper import fates
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.ports.broker import BrokerExecution
from tests.engine.killing import doubled
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage, let_run


def elsewhere(quantity: int = 1, limit: str | None = "4700") -> Terms:
    """An order that somebody gives the broker without us."""
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=TimeInForce.GTC,
    )


def position(stage: Stage) -> Decimal:
    account = stage.lane.books.account
    assert account is not None
    return account.position(ES).quantity


def average(stage: Stage) -> Decimal | None:
    account = stage.lane.books.account
    assert account is not None
    return account.position(ES).avg_px


def cursor(stage: Stage) -> str | None:
    account = stage.lane.books.account
    assert account is not None
    return account.cursor


def whole_reads(stage: Stage) -> list[float]:
    """When the list of executions is read from where the account was opened, as long as the list goes on."""
    account, read, seen = stage.lane.books.account, stage.broker.executions, list[float]()
    assert account is not None
    opened = account.opening_cursor

    def noted(*, after: str | None) -> AsyncIterator[BrokerExecution]:
        if after == opened:
            seen.append(stage.clock.monotonic())
        return read(after=after)

    stage.broker.executions = noted  # type: ignore[method-assign]  # a stage's own
    return seen


def open_breaks(stage: Stage) -> list[str]:
    account = stage.lane.books.account
    assert account is not None
    return sorted(item.nature for item in account.breaks.values())


async def test_an_order_placed_elsewhere_is_adopted_with_its_fills() -> None:
    async with Stage() as stage:
        foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert not isinstance(foreign, str)
        stage.exchange.fill(foreign.id, Decimal(2), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        assert stage.listener.kinds.count("order_adopted") == 1


async def test_an_order_placed_elsewhere_while_down_is_adopted_once() -> None:
    async with Stage() as stage:
        await stage.crash()
        foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert not isinstance(foreign, str)
        stage.exchange.fill(foreign.id, Decimal(1), Decimal(4700))
        await stage.start()
        await stage.until(lambda: position(stage) == 1)
        await stage.restart()
        stage.exchange.fill(foreign.id, Decimal(1), Decimal(4699))
        await stage.until(lambda: position(stage) == 2)
        assert stage.listener.kinds.count("order_adopted") == 1


async def test_an_execution_told_twice_counts_once() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        stage.exchange.fill(at_exchange.id, Decimal(1), Decimal(4700))
        await let_run()
        # The stream told it; a reconnect makes the engine read the whole list again.
        stage.broker.stream.cut("maintenance")
        stage.broker.stream.restore()
        await stage.until(lambda: not stage.gate.readiness())
        assert position(stage) == 1


async def test_fills_missed_while_the_stream_was_down_are_read_from_the_list() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        stage.broker.stream.cut("maintenance")
        stage.exchange.fill(at_exchange.id, Decimal(3), Decimal(4700))
        await let_run()
        assert position(stage) == 0
        stage.broker.stream.restore()
        await stage.until(lambda: position(stage) == 3)
        assert stage.status(order) == "filled"


async def test_a_correction_that_moves_an_average_alone_is_read_from_behind_the_cursor() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        first = stage.exchange.fill(at_exchange.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: cursor(stage) == first.cursor)
        copies, stage.broker.stream.copies = stage.broker.stream.copies, lambda _: 0
        stage.exchange.correct(first.exec_id, Decimal(1), Decimal(4699))
        stage.broker.stream.copies = copies
        corrected = stage.exchange.executions.pop()  # a list in the order of execution shows it at its place
        stage.exchange.executions.insert(0, replace(corrected, cursor=first.cursor))
        stage.exchange.fill(at_exchange.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        await stage.until(lambda: average(stage) == Decimal("4699.5"))
        assert open_breaks(stage) == []


async def test_a_broker_that_averages_by_a_rule_of_its_own_is_read_from_the_start_ever_more_rarely() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        stage.exchange.ledger.cost = lambda _: Decimal(9000)  # type: ignore[method-assign,assignment]  # no such rule here
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        reads, began = whole_reads(stage), stage.clock.monotonic()
        await stage.until(lambda: len(reads) == 5, within_s=3600)
        assert reads[-1] - began >= 5 * (1 + 2 + 4 + 8)
        assert open_breaks(stage) == []


async def test_a_difference_in_cash_becomes_a_break_and_is_resolved_when_it_is_gone() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.cash -= Decimal(7)
        await stage.until(lambda: open_breaks(stage) == ["cash"])
        stage.exchange.ledger.cash += Decimal(7)
        await stage.until(lambda: open_breaks(stage) == [])


async def test_a_busted_execution_leaves_the_books_as_if_it_had_never_been() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        execution = stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: position(stage) == 0)
        assert open_breaks(stage) == []


async def test_a_cancel_whose_call_was_lost_is_asked_again() -> None:
    lost = [fates.LostCall()]

    def fate(call: fates.Call) -> fates.Fate:
        return lost.pop() if call is fates.Call.CANCEL and lost else fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_replace_whose_call_was_lost_leaves_the_order_as_it_was() -> None:
    lost = [fates.LostCall()]

    def fate(call: fates.Call) -> fates.Fate:
        return lost.pop() if call is fates.Call.REPLACE and lost else fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await doubled(stage, order)
        await stage.until(lambda: stage.status(order) == "working")
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.terms.quantity == 1
        assert held.replacement is None


async def test_a_replace_whose_answer_was_lost_is_found() -> None:
    lost = [fates.LostAnswer()]

    def fate(call: fates.Call) -> fates.Fate:
        return lost.pop() if call is fates.Call.REPLACE and lost else fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await doubled(stage, order)
        await stage.until(lambda: stage.status(order) == "working")
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.terms.quantity == 2


async def test_a_cancel_asked_while_the_order_was_unknown_reaches_it_once_it_is_found() -> None:
    late = [fates.LateCall()]

    def fate(call: fates.Call) -> fates.Fate:
        return late.pop() if call is fates.Call.PLACE and late else fates.Delivered()

    async with Stage(fate=fate, resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        assert stage.status(order) == "unknown"
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_position_held_before_the_account_was_opened_is_taken_over_at_its_price() -> None:
    stage = Stage()
    foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
    assert not isinstance(foreign, str)
    stage.exchange.fill(foreign.id, Decimal(2), Decimal(4700))
    async with stage:
        assert position(stage) == 2
        order = await stage.accepted(side=Side.SELL, quantity=2, limit="4900")
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = list(stage.exchange.orders())[-1]
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4900))
        await stage.until(lambda: stage.status(order) == "filled")
        account = stage.lane.books.account
        assert account is not None
        assert account.cash == stage.exchange.ledger.cash == 1_000_000 + 2 * 200 * 50
