"""A broker that knows no client order id (class C): what nobody can prove waits for a person."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from ordergate.ports.broker import DedupClass
from tests.engine.stage import ES, TRADER, HandClock, Stage, let_run
from tests.engine.test_reconciliation import elsewhere, position
from tests.engine.test_unknown_outcomes import alarms, first_of, lost, reserved


def class_c(fate: fates.Fate | None = None) -> Stage:
    return Stage(fate=lost(fate) if fate else fates.always_delivered, dedup=DedupClass.C)


async def quarantined(stage: Stage) -> OrderId:
    order = await stage.accepted(quantity=3)
    await stage.until(lambda: quarantine_of(stage, order) is not None)
    return order


def quarantine_of(stage: Stage, order_id: OrderId) -> object:
    order = stage.lane.books.order(order_id)
    assert order is not None
    return order.quarantined_at


async def resolved(
    stage: Stage, order: OrderId, resolution: Resolution, key: str | None = None, **given: Any
) -> Answer | Refusal:
    fields = {"broker_order_id": None, "cum_qty": None, "avg_px": None, **given}
    return await stage.gate.resolve(
        TRADER,
        order,
        resolution=resolution,
        reason="the broker's desk said so",
        key=key or stage.key(),
        correlation="test",
        **fields,
    )


async def test_one_look_at_the_brokers_lists_serves_every_order_in_question() -> None:
    async with Stage(fate=nothing_arrives, dedup=DedupClass.C) as stage:
        orders = [await stage.accepted(quantity=quantity) for quantity in (1, 2, 3, 4)]
        await stage.until(lambda: all(quarantine_of(stage, one) is not None for one in orders))
        assert stage.asked.count("recent orders") == 1


def nothing_arrives(call: fates.Call) -> fates.Fate:
    return fates.LostCall() if call is fates.Call.PLACE else fates.Delivered()


async def test_an_order_is_written_down_before_it_is_sent_and_found_by_the_brokers_id() -> None:
    async with class_c() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.listener.kinds[-3:] == ["order_accepted", "dispatch_started", "order_acknowledged"]
        (at_exchange,) = stage.exchange.orders()
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4700))
        await stage.until(lambda: position(stage) == 2)
        stage.exchange.cancel(at_exchange.id)
        await stage.until(lambda: stage.status(order) == "canceled")
        assert stage.listener.kinds.count("order_adopted") == 0


async def test_what_ended_while_nobody_listened_is_found_by_the_brokers_id() -> None:
    async with class_c() as stage:
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "working")
        (at_exchange,) = stage.exchange.orders()
        stage.broker.stream.cut()
        stage.exchange.fill(at_exchange.id, Decimal(1), Decimal(4700))
        stage.exchange.cancel(at_exchange.id)
        stage.broker.stream.restore()
        await stage.until(lambda: stage.status(order) == "canceled")
        assert position(stage) == 1


async def test_news_that_beats_the_answer_is_this_orders_and_nobody_elses() -> None:
    async with Stage(dedup=DedupClass.C, latency_s=0.25) as stage:
        stage.exchange.mark(ES, Decimal(4700))  # it fills as it arrives, before its answer is back
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.listener.kinds.count("order_adopted") == 0
        assert position(stage) == 3


@pytest.mark.parametrize("fate", [fates.LostCall(), fates.LostAnswer(), fates.LateCall()], ids=repr)
async def test_without_an_answer_it_is_kept_apart_alarmed_and_never_sent_again(
    fate: fates.LostCall | fates.LostAnswer | fates.LateCall,
) -> None:
    async with class_c(fate) as stage:
        order = await quarantined(stage)
        await stage.until(
            lambda: {f"quarantined_order:{order}", f"unknown_order:{order}"} <= set(alarms(stage)),
            within_s=5,
        )
        await stage.until(lambda: stage.clock.monotonic() > 300, within_s=400)
        assert stage.status(order) == "unknown"
        assert reserved(stage) == 3
        assert stage.listener.kinds.count("dispatch_started") == 1
        arrived = isinstance(fate, fates.LostAnswer)
        assert stage.placed_at_exchange() == arrived
        assert stage.listener.kinds.count("order_adopted") == 0


async def test_everything_that_it_may_be_is_listed_for_the_person_who_decides() -> None:
    async with class_c(fates.LostAnswer()) as stage:
        other = stage.exchange.submit("by-hand", elsewhere(quantity=7))
        assert not isinstance(other, str)
        order = await quarantined(stage)
        mine = list(stage.exchange.orders())[-1]
        told = stage.listener.frames_of("order_quarantined")[-1]
        assert told["order"]["quarantined"] is True
        (candidate,) = told["detail"]["candidates"]
        assert candidate["broker_order_id"] == mine.id
        assert (candidate["symbol"], candidate["side"], candidate["quantity"]) == (ES, "buy", "3")
        assert (candidate["limit_price"], candidate["status"]) == ("4700", "working")
        await stage.until(lambda: f"quarantined_order:{order}" in alarms(stage))
        alarm = next(
            one["detail"]
            for one in stage.listener.frames_of("alarm_raised")
            if one["detail"]["nature"] == "quarantined_order"
        )
        assert alarm["facts"]["candidates"] == mine.id
        assert alarm["subject"] == order
        await stage.until(lambda: stage.listener.kinds.count("order_adopted") == 1)  # the other one


async def test_a_candidate_is_shown_with_the_average_price_of_what_it_filled() -> None:
    async with class_c(fates.LostAnswer()) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        (mine,) = stage.exchange.orders()
        stage.exchange.fill(mine.id, Decimal(1), Decimal(4700))
        stage.exchange.fill(mine.id, Decimal(2), Decimal(4697))
        await stage.until(lambda: quarantine_of(stage, order) is not None)
        (candidate,) = stage.listener.frames_of("order_quarantined")[-1]["detail"]["candidates"]
        assert (candidate["cum_qty"], candidate["avg_px"]) == ("3", "4698.000000000")


async def test_a_wall_clock_an_hour_ahead_hides_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    async with class_c(fates.LostAnswer()) as stage:
        right = HandClock.now
        stage.exchange._now = lambda: right(stage.clock)
        monkeypatch.setattr(HandClock, "now", lambda clock: right(clock) + timedelta(hours=1))
        order = await quarantined(stage)
        monkeypatch.undo()
        held = stage.lane.books.order(order)
        assert held is not None
        assert [one.broker_order_id for one in held.candidates] == [one.id for one in stage.exchange.orders()]
        await stage.clock.move(70)
        assert stage.listener.kinds.count("order_adopted") == 0


def replacing(fate: fates.Fate) -> Stage:
    return Stage(fate=first_of(fates.Call.REPLACE, fate), dedup=DedupClass.C)


async def replaced(stage: Stage) -> OrderId:
    """An order that we asked to replace, with a stream that says nothing of it."""
    order = await stage.accepted(quantity=5)
    await stage.until(lambda: stage.status(order) == "working")
    stage.broker.stream.copies = lambda _: 0
    await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(4),
        limit_price=Decimal(4701),
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    await let_run()
    assert stage.status(order) == "pending_replace"
    return order


async def test_a_replacement_whose_answer_was_lost_is_read_from_the_order_that_it_replaced() -> None:
    async with replacing(fates.LostAnswer()) as stage:
        order = await replaced(stage)
        (_, new) = stage.exchange.orders()
        stage.exchange.fill(new.id, Decimal(1), Decimal(4701))
        stage.seat.suspect("the test")  # the broker's lists are read first
        await stage.until(lambda: stage.status(order) == "working")
        await stage.until(lambda: position(stage) == 1)
        assert stage.listener.kinds.count("order_adopted") == 0
        held = stage.lane.books.order(order)
        assert held is not None
        assert (held.terms.quantity, held.cum_qty) == (Decimal(4), Decimal(1))
        assert held.broker_order_id == new.id


async def test_what_may_be_the_replacement_is_taken_for_nobody_elses_order_meanwhile() -> None:
    async with replacing(fates.LateCall()) as stage:
        order = await replaced(stage)
        by_hand = stage.exchange.submit("by-hand", elsewhere(quantity=2, limit="4701"))
        assert not isinstance(by_hand, str)
        stage.seat.suspect("the test")
        await stage.until(lambda: by_hand.id in stage.seat.withheld)
        assert stage.listener.kinds.count("order_adopted") == 0
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.listener.kinds.count("replace_rejected") == 1
        await stage.until(lambda: stage.listener.kinds.count("order_adopted") == 1)


async def test_what_ended_while_it_was_kept_back_holds_up_nothing_afterwards() -> None:
    async with replacing(fates.LateCall()) as stage:
        order = await replaced(stage)
        by_hand = stage.exchange.submit("by-hand", elsewhere(quantity=2, limit="4701"))
        assert not isinstance(by_hand, str)
        stage.seat.suspect("the test")
        await stage.until(lambda: by_hand.id in stage.seat.withheld)
        stage.exchange.cancel(by_hand.id)
        await stage.until(lambda: stage.status(order) == "working")
        stage.seat.suspect("the test")
        await stage.until(lambda: not stage.seat.withheld)


async def test_a_replacement_that_never_arrived_is_refused_when_the_order_stands_all_the_same() -> None:
    async with replacing(fates.LostCall()) as stage:
        order = await replaced(stage)
        begun = stage.clock.monotonic()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.clock.monotonic() - begun >= 30
        (told,) = stage.listener.frames_of("replace_rejected")
        assert told["order"]["reason"] == "never-arrived"


async def test_a_candidate_that_shows_up_late_is_listed_then() -> None:
    async with class_c(fates.LateCall()) as stage:
        order = await quarantined(stage)
        assert stage.listener.frames_of("order_quarantined")[-1]["detail"].get("candidates", []) == []
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.listener.kinds.count("order_quarantined") == 2)
        (arrived,) = stage.exchange.orders()
        held = stage.lane.books.order(order)
        assert held is not None
        assert [one.broker_order_id for one in held.candidates] == [arrived.id]


async def test_a_cancel_waits_until_the_order_is_known_there() -> None:
    async with class_c(fates.LostAnswer()) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.clock.move(10)
        assert next(stage.exchange.orders()).status == "working"
        answer = await resolved(stage, order, Resolution.WORKING, broker_order_id=arrived.id)
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(order) == "canceled")


# -- a person's word


async def test_resolved_as_working_it_is_that_order_with_everything_that_happened_to_it() -> None:
    async with class_c(fates.LostAnswer()) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        stage.exchange.fill(arrived.id, Decimal(2), Decimal(4700))
        await stage.clock.move(5)
        assert position(stage) == 0  # whose it is was not known
        answer = await resolved(stage, order, Resolution.WORKING, broker_order_id=arrived.id)
        assert isinstance(answer, Answer)
        await stage.until(lambda: position(stage) == 2)
        held = stage.lane.books.order(order)
        assert held is not None
        assert (held.status.value, held.broker_order_id) == ("working", arrived.id)
        assert held.cum_qty == 2
        (told,) = stage.listener.frames_of("order_resolved")
        assert told["detail"]["actor"] == "trader"
        assert told["detail"]["reason"] == "the broker's desk said so"
        await stage.until(lambda: alarms(stage) == [])
        await stage.restart()
        assert stage.status(order) == "working"


async def test_resolved_as_never_arrived_what_looked_like_it_was_somebody_elses() -> None:
    async with class_c(fates.LostCall()) as stage:
        order = await quarantined(stage)
        foreign = stage.exchange.submit("by-hand", elsewhere(quantity=3))
        assert not isinstance(foreign, str)
        stage.exchange.fill(foreign.id, Decimal(1), Decimal(4700))
        await let_run()
        assert stage.listener.kinds.count("order_adopted") == 0
        answer = await resolved(stage, order, Resolution.NEVER_ARRIVED)
        assert isinstance(answer, Answer)
        assert stage.status(order) == "rejected"
        await stage.until(lambda: position(stage) == 1)
        assert stage.listener.kinds.count("order_adopted") == 1
        assert reserved(stage) == 2  # of the adopted one


async def test_the_same_word_under_the_same_key_is_one_word() -> None:
    async with class_c(fates.LostCall()) as stage:
        order = await quarantined(stage)
        key = stage.key()
        first = await resolved(stage, order, Resolution.NEVER_ARRIVED, key)
        again = await resolved(stage, order, Resolution.NEVER_ARRIVED, key)
        assert isinstance(first, Answer)
        assert isinstance(again, Answer)
        assert (first.replayed, again.replayed) == (False, True)
        assert stage.listener.kinds.count("order_resolved") == 1
        late = await resolved(stage, order, Resolution.NEVER_ARRIVED)
        assert isinstance(late, Refusal)
        assert late.code is Code.ORDER_NOT_UNKNOWN


@pytest.mark.parametrize("said", [Resolution.FILLED, Resolution.CANCELED, Resolution.EXPIRED])
async def test_nobody_ends_an_order_that_the_broker_shows(said: Resolution) -> None:
    async with class_c(fates.LostAnswer()) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        given: dict[str, Any] = {"avg_px": Decimal(4700)} if said is Resolution.FILLED else {}
        answer = await resolved(stage, order, said, broker_order_id=arrived.id, **given)
        assert isinstance(answer, Refusal)
        assert answer.code is Code.ORDER_PROVEN
        assert stage.status(order) == "unknown"


async def test_an_order_of_other_terms_or_of_nobody_is_not_believed() -> None:
    async with class_c(fates.LostCall()) as stage:
        order = await quarantined(stage)
        other = stage.exchange.submit("by-hand", elsewhere(quantity=7))
        assert not isinstance(other, str)
        for broker_order_id in (other.id, "paper-999"):
            answer = await resolved(stage, order, Resolution.WORKING, broker_order_id=broker_order_id)
            assert isinstance(answer, Refusal)
            assert (answer.code, set(answer.fields)) == (Code.INVALID, {"broker_order_id"})


async def test_an_order_that_is_in_the_books_already_cannot_be_another_one_too() -> None:
    async with class_c() as stage:
        working = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.status(working) == "working")
        (taken,) = stage.exchange.orders()
        stage._fate = lost()  # from the next start on
        await stage.restart()
        order = await quarantined(stage)
        answer = await resolved(stage, order, Resolution.WORKING, broker_order_id=taken.id)
        assert isinstance(answer, Refusal)
        assert answer.fields == {"broker_order_id": f"is order {working}"}


async def test_what_the_broker_no_longer_shows_is_entered_by_hand_and_gives_way_to_its_own_word() -> None:
    async with class_c(fates.LostAnswer()) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        stage.hidden.add(arrived.id)
        answer = await resolved(
            stage, order, Resolution.FILLED, broker_order_id=arrived.id, avg_px=Decimal(4700)
        )
        assert isinstance(answer, Answer)
        assert stage.status(order) == "filled"
        assert position(stage) == 3
        stage.hidden.clear()
        stage.exchange.fill(arrived.id, Decimal(3), Decimal(4699))
        await stage.until(lambda: _average(stage, order) == 4699)
        assert stage.status(order) == "filled"
        assert position(stage) == 3


async def test_the_brokers_own_answer_is_taken_before_a_persons_where_it_can_be_asked() -> None:
    async with Stage(fate=lost(fates.LostAnswer()), resend_is_safe=False) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(side=Side.BUY, quantity=3)
        await stage.until(lambda: stage.status(order) == "unknown")
        answer = await resolved(stage, order, Resolution.NEVER_ARRIVED)
        assert isinstance(answer, Refusal)
        assert answer.code is Code.ORDER_PROVEN
        assert stage.status(order) == "working"


async def test_where_the_broker_cannot_be_asked_nobody_decides() -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.LostCall())
    async with Stage(fate=script, resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        script.add(fates.Call.QUERY, *[fates.LostCall()] * 10)
        answer = await resolved(stage, order, Resolution.NEVER_ARRIVED)
        assert isinstance(answer, Refusal)
        assert answer.code is Code.UNAVAILABLE


async def test_an_order_that_was_never_written_down_as_sent_was_never_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with class_c() as stage:
        # It dies after the commit and before anything that follows from it.
        monkeypatch.setattr(stage.node._dispatcher, "ask", lambda seat, order_id, question: question.close())
        order = await stage.accepted()
        await stage.restart()
        await stage.until(lambda: stage.status(order) == "rejected")
        held = stage.lane.books.order(order)
        assert held is not None
        assert (held.reason, stage.placed_at_exchange()) == ("never-sent", 0)


def _average(stage: Stage, order_id: OrderId) -> Decimal | None:
    order = stage.lane.books.order(order_id)
    return None if order is None else order.avg_px
