"""What traders are promised, told as whole stories over the real engine."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.orders.events import CancelRequested
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts import books
from ordergate.engine.answering.answers import Answer, CancelAllAnswer
from ordergate.ports.broker import DedupClass
from tests.engine.settling import replaced
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage, let_run


def answers(*given: fates.Fate) -> fates.Fates:
    """Fates for the first places; everything after them is delivered."""
    left = list(given)

    def fate(call: fates.Call) -> fates.Fate:
        if call is fates.Call.PLACE and left:
            return left.pop(0)
        return fates.Delivered()

    return fate


async def test_an_order_is_accepted_worked_and_filled() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        stage.exchange.fill(at_exchange.id, Decimal(1), Decimal(4700))
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4699))
        await stage.until(lambda: stage.status(order) == "filled")
        held = await stage.lane.order(order)
        assert held is not None
        assert held.cum_qty == 3
        assert held.cum_notional == 4700 + 2 * 4699
        assert stage.listener.seqs == list(range(stage.listener.seqs[0], stage.listener.seqs[-1] + 1))


async def test_the_same_key_buys_one_order() -> None:
    async with Stage() as stage:
        first = await stage.place(key="the-very-same-key-1")
        again = await stage.place(key="the-very-same-key-1")
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert (again.order_id, again.replayed) == (first.order_id, True)
        await stage.until(lambda: stage.status(first.order_id) == "working")
        assert stage.placed_at_exchange() == 1


async def test_the_same_key_with_another_body_is_refused() -> None:
    async with Stage() as stage:
        await stage.place(key="the-very-same-key-1")
        other = await stage.place(key="the-very-same-key-1", quantity=2)
        assert isinstance(other, Refusal)
        assert other.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_a_key_outlives_a_restart() -> None:
    async with Stage() as stage:
        first = await stage.place(key="the-very-same-key-1")
        assert isinstance(first, Answer)
        await stage.until(lambda: stage.status(first.order_id) == "working")
        await stage.restart()
        again = await stage.place(key="the-very-same-key-1")
        assert isinstance(again, Answer)
        assert (again.order_id, again.replayed) == (first.order_id, True)
        assert stage.placed_at_exchange() == 1


async def test_a_client_order_id_is_used_once() -> None:
    async with Stage() as stage:
        await stage.accepted(client_order_id="mine-1")
        second = await stage.place(client_order_id="mine-1", limit="4701")
        assert isinstance(second, Refusal)
        assert second.code is Code.DUPLICATE_CLIENT_ORDER_ID


async def test_an_order_over_a_limit_is_denied_and_never_sent() -> None:
    async with Stage() as stage:
        answer = await stage.place(quantity=101)
        assert isinstance(answer, Answer)
        assert [failed.control for failed in answer.failed] == ["R06"]
        await let_run()
        assert stage.placed_at_exchange() == 0
        assert stage.status(answer.order_id) == "denied"


async def test_an_order_whose_answer_is_lost_is_proven_by_the_stream() -> None:
    async with Stage(fate=answers(fates.LostAnswer()), resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_an_order_that_arrives_late_is_unknown_until_it_is_found() -> None:
    async with Stage(fate=answers(fates.LateCall()), resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_an_order_that_never_arrived_is_sent_again_where_that_is_harmless() -> None:
    async with Stage(fate=answers(fates.LostCall())) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_an_order_that_never_arrived_is_given_up_on_proof_where_resending_is_not() -> None:
    async with Stage(fate=answers(fates.LostCall()), resend_is_safe=False, dedup=DedupClass.B) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert stage.placed_at_exchange() == 0


async def test_an_order_that_never_arrived_and_was_to_be_canceled_is_given_up_and_never_working() -> None:
    async with Stage(fate=answers(fates.LostCall())) as stage:
        stage.listener.on("order_accepted", lambda: cancel_soon(stage))
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) != "pending_cancel")
        assert stage.status(order) == "rejected"
        assert stage.placed_at_exchange() == 0


async def test_an_order_that_arrives_late_and_was_to_be_canceled_is_canceled() -> None:
    async with Stage(fate=answers(fates.LateCall())) as stage:
        stage.listener.on("order_accepted", lambda: cancel_soon(stage))
        order = await stage.accepted()
        await stage.clock.move(5)
        assert stage.status(order) == "pending_cancel"
        stage.broker.let_late_calls_in()
        await let_run()
        assert stage.status(order) == "canceled", "in no time: it trades until the cancel is asked again"
        assert stage.placed_at_exchange() == 1


async def test_an_order_that_is_found_after_a_restart_and_was_to_be_canceled_is_canceled() -> None:
    async with Stage(fate=answers(fates.LateCall())) as stage:
        stage.listener.on("order_accepted", lambda: cancel_soon(stage))
        order = await stage.accepted()
        await let_run()
        await stage.crash()
        stage.broker.let_late_calls_in()
        await stage.start()
        await let_run()
        assert stage.status(order) == "canceled", "in no time: it trades until the cancel is asked again"


async def test_an_order_that_only_a_bust_was_heard_of_is_found_and_canceled() -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.LostAnswer())
    script.add(fates.Call.CANCEL, fates.LostCall())
    async with Stage(fate=script) as stage:
        stage.listener.on("order_accepted", lambda: cancel_soon(stage))
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(quantity=2)
        await let_run()
        execution = stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(1), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: stage.status(order) == "canceled")
        assert stage.listener.kinds.count("outcome_unknown") == 2, "of the order, and of its first cancel"


def cancel_soon(stage: Stage) -> None:
    """Ask for the cancel of the newest order before the broker has answered its place."""
    *_, newest = stage.lane.books.open_orders()
    cancel = CancelRequested(order_id=newest.id, at=stage.clock.now(), actor="trader")
    stage.lane.record([cancel], correlation="test")


async def test_an_order_sent_again_that_arrives_twice_is_one_order() -> None:
    async with Stage(fate=answers(fates.LateCall())) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        stage.broker.let_late_calls_in()
        await let_run()
        assert stage.placed_at_exchange() == 1


async def test_an_order_that_could_not_leave_is_tried_again_and_then_rejected() -> None:
    never = answers(*[fates.NotSent()] * 6)
    async with Stage(fate=never) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert stage.placed_at_exchange() == 0


async def test_a_crash_between_commit_and_answer_loses_nothing() -> None:
    async with Stage(fate=answers(fates.LateCall())) as stage:
        order = await stage.accepted()
        await stage.restart()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_fills_missed_while_down_are_booked_after_the_restart() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        await stage.crash()
        at_exchange = next(stage.exchange.orders())
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4700))
        await stage.start()
        await stage.until(lambda: stage.status(order) == "filled")
        account = stage.lane.books.account
        assert account is not None
        assert account.position(ES).quantity == 2


async def test_a_fill_that_beats_the_cancel_is_booked() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        at_exchange = next(stage.exchange.orders())
        stage.exchange.fill(at_exchange.id, Decimal(1), Decimal(4700))
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "filled")


async def test_cancel_all_answers_for_each_order_and_once_per_key() -> None:
    async with Stage() as stage:
        orders = [await stage.accepted(limit=str(4700 - n)) for n in range(5)]
        await stage.until(lambda: all(stage.status(order) == "working" for order in orders))
        key = stage.key()
        first = await stage.gate.cancel_all(TRADER, ACCOUNT, key=key, correlation="test")
        assert isinstance(first, CancelAllAnswer)
        assert {result.code for result in first.results} == {"cancel-requested"}
        await stage.until(lambda: all(stage.status(order) == "canceled" for order in orders))
        later = await stage.accepted()
        again = await stage.gate.cancel_all(TRADER, ACCOUNT, key=key, correlation="test")
        assert isinstance(again, CancelAllAnswer)
        assert again.replayed
        assert again.results == first.results
        await stage.until(lambda: stage.status(later) == "working")


async def test_cancel_all_of_nothing_does_nothing_and_neither_does_its_replay() -> None:
    async with Stage() as stage:
        key = stage.key()
        first = await stage.gate.cancel_all(TRADER, ACCOUNT, key=key, correlation="test")
        assert isinstance(first, CancelAllAnswer)
        assert first.results == ()
        order = await stage.accepted()
        again = await stage.gate.cancel_all(TRADER, ACCOUNT, key=key, correlation="test")
        assert isinstance(again, CancelAllAnswer)
        assert again.replayed
        await stage.until(lambda: stage.status(order) == "working")


async def test_the_kill_switch_blocks_orders_lets_cancels_pass_and_survives_a_restart() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.gate.engage_kill(TRADER, grade="block_new", reason="drill", correlation="test")
        denied = await stage.place(limit="4600")
        assert isinstance(denied, Answer)
        assert denied.failed[0].control == "R01"
        await stage.restart()
        denied = await stage.place(limit="4600")
        assert isinstance(denied, Answer)
        assert denied.failed[0].control == "R01"
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.gate.release_kill(RISK, reason="drill is over", correlation="test")
        assert not (await stage.accepted(limit="4600")).startswith("L-")


async def test_the_kill_switch_can_cancel_everything() -> None:
    async with Stage() as stage:
        orders = [await stage.accepted(limit=str(4700 - n)) for n in range(3)]
        await stage.until(lambda: all(stage.status(order) == "working" for order in orders))
        await stage.gate.engage_kill(TRADER, grade="cancel_all", reason="drill", correlation="test")
        await stage.until(lambda: all(stage.status(order) == "canceled" for order in orders))


async def test_replace_changes_price_and_quantity() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        answer = await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(5),
            limit_price=Decimal(4650),
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(order) == "working")
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.terms.quantity == 5
        assert held.terms.limit_price == 4650
        assert held.version == 2


async def test_a_stream_is_told_what_a_replacement_asks_for_and_who_asks() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        await replaced(stage, order, quantity=5)
        (told,) = stage.listener.frames_of("replace_requested")
        assert (told["detail"]["quantity"], told["detail"]["actor"]) == ("5", TRADER.subject)


async def test_a_stream_is_told_why_a_replacement_was_denied() -> None:
    async with Stage() as stage:
        order = await stage.accepted(quantity=2)
        await stage.until(lambda: stage.status(order) == "working")
        await replaced(stage, order, quantity=101)
        await let_run()
        (told,) = stage.listener.frames_of("replace_denied")
        assert [failed["control"] for failed in told["detail"]["failed"]] == ["R06"]


async def test_a_stream_is_told_who_asked_for_a_cancel() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        (told,) = stage.listener.frames_of("cancel_requested")
        assert told["detail"]["actor"] == TRADER.subject


async def test_a_commit_that_failed_is_made_again_by_the_same_request() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        task = asyncio.ensure_future(stage.place())
        await let_run()
        stage.journal.cut(written=False)
        stage.journal.release()
        await stage.until(task.done)
        answer = task.result()
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(answer.order_id) == "working")
        assert stage.placed_at_exchange() == 1


async def test_a_commit_that_was_written_but_not_answered_is_not_made_twice() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        task = asyncio.ensure_future(stage.place())
        await let_run()
        stage.journal.cut(written=True)
        stage.journal.release()
        await stage.until(task.done)
        answer = task.result()
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(answer.order_id) == "working")
        assert stage.placed_at_exchange() == 1


async def test_late_news_of_an_order_that_memory_let_go_is_folded_again_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(books, "FINAL_ORDERS_KEPT_MAX", 1)
    async with Stage() as stage:
        first = await stage.accepted(quantity=1)
        await stage.until(lambda: stage.status(first) == "working")
        execution = stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(1), Decimal(4700))
        for number in range(3):
            await _come_and_go(stage, limit=str(4600 - number))
        assert stage.status(first) == "none"
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: stage.held(ES) == 0)
        await stage.restart()
        assert stage.held(ES) == 0


async def _come_and_go(stage: Stage, *, limit: str) -> None:
    order = await stage.accepted(limit=limit)
    await stage.until(lambda: stage.status(order) == "working")
    await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
    await stage.until(lambda: stage.status(order) == "canceled")
