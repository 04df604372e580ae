"""What happens in between: while a commit waits, while a question is on its way, while two decide."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers.paper import fates
from ordergate.core.ids import ClOrdId, Env, OrderId
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, KillEngaged
from ordergate.engine.accounts.lane import LaneStopped
from ordergate.engine.answering.answers import Answer
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.broker import NotFound
from ordergate.telemetry.metrics import Metrics
from tests.engine.killing import doubled
from tests.engine.stage import ACCOUNT, LIMITS, RISK, START, TRADER, HandClock, Listener, Stage, let_run


def wake(stage: Stage) -> None:
    """Ask the reconciler to look at everything now."""
    seat = stage.node.lanes.get(ACCOUNT)
    assert seat is not None
    seat.wake.set()


async def test_the_reconciler_neither_sends_nor_doubts_what_is_not_durable() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        placing = asyncio.create_task(stage.place())
        await let_run()
        for _ in range(16):
            wake(stage)
            await stage.clock.move(0.25)
        assert stage.placed_at_exchange() == 0
        stage.journal.release()
        await placing
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        assert stage.listener.kinds.count("outcome_unknown") == 0


async def test_what_was_not_written_is_not_taken_for_written_once_the_account_is_back() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        placing = asyncio.create_task(stage.place())
        await let_run()
        written = asyncio.create_task(stage.lane.written())
        await let_run()
        stage.journal.cut(written=False)
        stage.journal.release()
        await stage.until(lambda: placing.done() and written.done())
        assert isinstance(written.exception(), LaneStopped)


async def test_a_replacement_of_what_has_filled_meanwhile_is_not_sent() -> None:
    called: list[fates.Call] = []

    def fate(call: fates.Call) -> fates.Fate:
        called.append(call)
        return fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted(quantity=3, limit="4700")
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        stage.journal.hold()
        asking = asyncio.create_task(doubled(stage, order))
        await let_run()
        stage.exchange.fill(resting.id, Decimal(3), Decimal(4700))
        await let_run()
        stage.journal.release()
        await asking
        await stage.until(lambda: stage.status(order) == "filled")
        assert fates.Call.REPLACE not in called


async def test_a_fill_that_comes_before_a_replacement_of_what_was_seen_leaves_nothing_of_it() -> None:
    called: list[fates.Call] = []

    def fate(call: fates.Call) -> fates.Fate:
        called.append(call)
        return fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted(quantity=3, limit="4700")
        await stage.until(lambda: stage.status(order) == "working")
        seen = stage.lane.books.order(order)
        assert seen is not None
        (resting,) = stage.exchange.orders()
        stage.journal.hold()
        stage.exchange.fill(resting.id, Decimal(1), Decimal(4700))
        await let_run()
        head = stage.lane.head
        both = (resized(stage, order, seen), gone(stage, order, seen))
        asking = [asyncio.create_task(asked) for asked in both]
        await let_run()
        assert not any(task.done() for task in asking)  # the fill, on which they rest, is not durable yet
        stage.journal.release()
        for answer in await asyncio.gather(*asking):
            assert isinstance(answer, Refusal)
            assert answer.code is Code.CHANGE_OUTDATED
            assert answer.fields == {"revision": str(seen.revision + 1)}
        assert stage.lane.head == head
        assert not {fates.Call.REPLACE, fates.Call.CANCEL} & set(called)


async def test_a_key_that_bought_a_change_names_it_whatever_was_seen_and_whatever_came_after() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3, limit="4700")
        await stage.until(lambda: stage.status(order) == "working")
        seen = stage.lane.books.order(order)
        assert seen is not None
        key = stage.key()
        first = await resized(stage, order, seen, key)
        assert isinstance(first, Answer)
        await stage.until(lambda: stage.status(order) == "working")
        again = await resized(stage, order, seen, key)
        assert isinstance(again, Answer)
        assert again.replayed
        assert stage.body(again)["version"] == 2


async def test_an_order_that_memory_let_go_is_at_the_revision_that_it_was() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=1, limit="4700")
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        stage.exchange.fill(resting.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: stage.status(order) == "filled")
        seen = stage.lane.books.order(order)
        assert seen is not None
        await stage.restart()
        again = stage.lane.books.order(order)
        assert again is not None
        assert again.revision == seen.revision
        del stage.lane.books._final[order]
        told = await stage.lane.order(order)
        assert told is not None
        assert told.revision == seen.revision


async def resized(stage: Stage, order: OrderId, seen: Order, key: str | None = None) -> Answer | Refusal:
    return await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(5),
        limit_price=None,
        stop_price=None,
        key=key or stage.key(),
        correlation="test",
        if_revision=seen.revision,
    )


async def gone(stage: Stage, order: OrderId, seen: Order) -> Answer | Refusal:
    return await stage.gate.cancel(
        TRADER, order, key=stage.key(), correlation="test", if_revision=seen.revision
    )


async def test_an_order_under_way_at_a_crash_is_not_ended_by_the_refusal_of_its_repetition() -> None:
    calls = 0

    def fate(call: fates.Call) -> fates.Fate:
        nonlocal calls
        if call is not fates.Call.PLACE:
            return fates.Delivered()
        calls += 1
        if calls > 1:
            return fates.TurnedAway("not enough buying power")
        stage.journal.hold()  # whatever is heard of it is not written down
        return fates.LateCall()

    stage = Stage(fate=fate)
    async with stage:
        order = await stage.accepted()
        await let_run()
        before = stage.broker
        await stage.crash()
        stage.journal.cut(written=False)
        stage.journal.release()
        await stage.start()
        for _ in range(20):
            assert stage.status(order) == "unknown"
            await stage.clock.move(0.25)
        before.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_an_order_that_arrives_while_it_is_being_asked_for_is_not_given_up() -> None:
    def fate(call: fates.Call) -> fates.Fate:
        return fates.LateCall() if call is fates.Call.PLACE else fates.Delivered()

    async with Stage(fate=fate, resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.unknown_since is not None
        settled_at = held.unknown_since + timedelta(seconds=30)

        async def found_too_late(cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
            if stage.clock.now() >= settled_at:
                stage.broker.let_late_calls_in()
                await let_run()
            return NotFound()

        stage.broker.find = found_too_late  # type: ignore[method-assign]  # this broker only
        for _ in range(160):
            await stage.clock.move(0.25)
        assert "order_rejected" not in stage.listener.kinds
        assert stage.status(order) == "working"


async def test_a_kill_engaged_while_a_release_is_being_written_stays_engaged() -> None:
    async with Stage() as stage:
        await stage.gate.engage_kill(TRADER, grade="block_new", reason="drill", correlation="test")
        stage.journal.hold()
        releasing = asyncio.create_task(stage.gate.release_kill(RISK, reason="over", correlation="test"))
        await let_run()
        engaging = asyncio.create_task(
            stage.gate.engage_kill(TRADER, grade="block_new", reason="again", correlation="test")
        )
        await let_run()
        stage.journal.release()
        await asyncio.gather(releasing, engaging)
        assert stage.gate.kill_state().engaged
        await stage.restart()
        assert stage.gate.kill_state().reason == "again"


async def test_cancel_all_of_the_kill_switch_is_carried_on_after_a_crash() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        engaged = KillEngaged(at=stage.clock.now(), grade=Grade.CANCEL_ALL, actor="risk", reason="drill")
        await stage.node.kill_switch.engage(engaged, "test")
        await stage.restart()
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_cancel_whose_commit_went_unheard_is_carried_on() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        stage.journal.hold()
        canceling = asyncio.create_task(stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test"))
        await let_run()
        stage.journal.cut(written=True)
        stage.journal.release()
        await canceling
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_an_order_made_again_after_a_failed_commit_is_not_its_own_duplicate() -> None:
    async with Stage() as stage:
        seat = stage.node.lanes.get(ACCOUNT)
        assert seat is not None
        seat.limits = msgspec.structs.replace(LIMITS, duplicate_window=timedelta(seconds=10))
        stage.journal.hold()
        placing = asyncio.create_task(stage.accepted())
        await let_run()
        stage.journal.cut(written=False)
        stage.journal.release()
        order = await placing
        await stage.until(lambda: stage.status(order) == "working")


async def test_a_client_that_waits_for_the_broker_leaves_nothing_behind() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        key = stage.key()
        canceled = await stage.gate.cancel(TRADER, order, key=key, correlation="test", wait_s=5)
        for _ in range(3):
            again = await stage.gate.cancel(TRADER, order, key=key, correlation="test", wait_s=5)
            assert type(again) is type(canceled)
        await stage.until(lambda: stage.status(order) == "canceled")
        assert stage.lane.watched == 0


async def test_many_unanswered_cancels_do_not_keep_a_lost_order_from_being_asked_for() -> None:
    lost = False

    def fate(call: fates.Call) -> fates.Fate:
        nonlocal lost
        if call is fates.Call.CANCEL:
            return fates.LostCall()
        if call is fates.Call.PLACE and lost:
            lost = False
            return fates.LostCall()
        return fates.Delivered()

    async with Stage(fate=fate) as stage:
        for _ in range(60):
            await stage.accepted()
        await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        lost = True
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working", within_s=20)


async def test_a_decision_that_cannot_be_written_down_for_any_reason_leaves_no_trace_in_memory() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        with pytest.raises(UnicodeEncodeError):
            await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="\ud800")
        await stage.until(stage.lane.ready.is_set)
        assert stage.status(order) == "working"
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_kill_engaged_before_the_control_stream_was_read_is_in_force() -> None:
    switch = KillSwitch(Env.PAPER, MemoryJournal(Env.PAPER), Listener(), Metrics(), HandClock())
    engaged = KillEngaged(at=START, grade=Grade.BLOCK_NEW, actor="risk", reason="drill")
    await switch.engage(engaged, "test")
    assert switch.is_known
    assert not switch.is_clear
    assert switch.deaf is None
