"""What is not known is a state of its own: kept whole in risk, seen within seconds, left only on proof."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.accounts.events import AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import Fault, IllegalTransition
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.events import AnyOrderEvent
from ordergate.core.orders.order import Order
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts import recovery as recovery_module
from ordergate.engine.accounts.books import Books, Change
from ordergate.engine.answering.answers import Answer
from ordergate.engine.reconciling.unknowns import EACH_MAX
from ordergate.ports.broker import DedupClass
from ordergate.ports.journal import Taken
from tests.engine.killing import engage_anyhow
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage, let_run


def first_of(call: fates.Call, fate: fates.Fate) -> fates.Fates:
    """This fate for the first such call, and a good one for every other."""
    script = fates.Script()
    script.add(call, fate)
    return script


def lost(fate: fates.Fate | None = None) -> fates.Fates:
    return first_of(fates.Call.PLACE, fate or fates.LostCall())


async def unknown(stage: Stage) -> OrderId:
    order = await stage.accepted(quantity=3)
    await stage.until(lambda: stage.status(order) == "unknown")
    return order


def reserved(stage: Stage) -> Decimal:
    return stage.lane.books.exposure.of(ES).buy_quantity


def counted(stage: Stage, age: str) -> float:
    found = stage.metrics.registry.get_sample_value(
        "ordergate_unknown_orders", {"account": ACCOUNT, "age": age}
    )
    return 0.0 if found is None else found


def alarms(stage: Stage) -> list[str]:
    account = stage.lane.books.account
    assert account is not None
    return sorted(account.alarms)


@pytest.mark.parametrize(
    "fate",
    [fates.LostCall("timeout"), fates.LostAnswer("502"), fates.LateCall("reset")],
    ids=lambda fate: type(fate).__name__,
)
async def test_every_unclear_answer_makes_the_order_unknown_and_reserves_all_of_it(
    fate: fates.LostCall | fates.LostAnswer | fates.LateCall,
) -> None:
    async with Stage(fate=lost(fate), resend_is_safe=False) as stage:
        stage.broker.stream.copies = lambda _: 0  # the stream is no help
        order = await unknown(stage)
        assert reserved(stage) == 3
        (told,) = stage.listener.frames_of("outcome_unknown")
        assert told["order"]["status"] == "unknown"
        assert told["order"]["unknown_since"] is not None
        assert told["detail"]["why"] == fate.why
        assert stage.lane.books.order(order) is not None


async def test_what_an_owner_before_left_unanswered_is_unknown() -> None:
    async with Stage(latency_s=0.25, resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.crash()  # while the call is under way
        await stage.start()
        await stage.until(lambda: stage.status(order) == "unknown")
        (told,) = stage.listener.frames_of("outcome_unknown")
        assert "before the account was taken" in told["detail"]["why"]


async def test_an_unknown_order_counts_against_every_limit_that_a_working_one_does() -> None:
    limits = {"max_open_orders": 1}
    async with Stage(fate=lost(), resend_is_safe=False, limits=limits) as stage:
        await unknown(stage)
        answer = await stage.place()
        assert isinstance(answer, Answer)
        assert {failed.reason for failed in answer.failed} == {"open-orders"}


async def test_an_unknown_order_cannot_be_replaced_and_can_be_canceled() -> None:
    async with Stage(fate=lost(fates.LostAnswer()), resend_is_safe=False) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await unknown(stage)
        refused = await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(5),
            limit_price=None,
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        assert isinstance(refused, Refusal)
        assert refused.code is Code.ORDER_UNKNOWN
        (at_exchange,) = stage.exchange.orders()
        stage.hidden.add(at_exchange.id)
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await let_run()
        (at_exchange,) = stage.exchange.orders()
        assert at_exchange.status == "canceled"  # by the client order id: no other was known
        stage.hidden.clear()
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_an_unknown_order_is_alarmed_within_five_seconds_and_the_alarm_ends_with_the_doubt() -> None:
    async with Stage(fate=lost(fates.LateCall()), resend_is_safe=False) as stage:
        order = await unknown(stage)
        await stage.until(lambda: alarms(stage) == [f"unknown_order:{order}"], within_s=5)
        (told,) = stage.listener.frames_of("alarm_raised")
        facts: dict[str, Any] = told["detail"]["facts"]
        assert (facts["symbol"], facts["side"], facts["quantity"]) == (ES, "buy", "3")
        await stage.until(lambda: counted(stage, "under_60s") == 1)
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.until(lambda: alarms(stage) == [])
        assert [told["detail"]["how"] for told in stage.listener.frames_of("alarm_cleared")] == [
            "the order is working"
        ]
        assert counted(stage, "under_5s") == counted(stage, "under_60s") == counted(stage, "over_60s") == 0


async def test_an_alarm_is_raised_once_and_outlives_a_restart() -> None:
    async with Stage(fate=lost(fates.LateCall()), resend_is_safe=False) as stage:
        await unknown(stage)
        await stage.until(lambda: alarms(stage))
        await stage.restart()
        await stage.until(lambda: counted(stage, "under_60s") == 1)
        assert stage.listener.kinds.count("alarm_raised") == 1


async def test_very_many_unknown_orders_are_one_alarm_of_the_account() -> None:
    def fate(call: fates.Call) -> fates.Fate:
        return fates.LateCall() if call is fates.Call.PLACE else fates.Delivered()

    async with Stage(fate=fate, resend_is_safe=False) as stage:
        for _ in range(EACH_MAX + 1):
            await stage.accepted()
        await stage.until(lambda: f"unknown_order:{ACCOUNT}" in alarms(stage), within_s=5)
        assert stage.listener.kinds.count("alarm_raised") <= EACH_MAX + 1
        stage.broker.let_late_calls_in()
        await stage.until(lambda: alarms(stage) == [])


async def test_an_answer_that_is_only_a_moment_late_is_no_alarm() -> None:
    async with Stage(fate=lost(), resend_is_safe=True) as stage:
        order = await unknown(stage)
        await stage.until(lambda: stage.status(order) == "working", within_s=2)
        await stage.clock.move(5)
        assert stage.listener.kinds.count("alarm_raised") == 0


async def test_a_cancel_whose_answer_is_lost_is_alarmed_too() -> None:
    async with Stage(fate=first_of(fates.Call.CANCEL, fates.LostAnswer())) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        (at_exchange,) = stage.exchange.orders()
        stage.hidden.add(at_exchange.id)
        stage.broker.stream.copies = lambda _: 0
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: alarms(stage) == [f"unknown_order:{order}"], within_s=5)
        assert reserved(stage) == 1


# -- left only on proof, by the rules of the dedup class


async def test_class_a_is_sent_the_same_id_again_and_holds_one_order() -> None:
    async with Stage(fate=lost(), dedup=DedupClass.A) as stage:
        order = await unknown(stage)
        await stage.until(lambda: stage.status(order) == "working", within_s=5)
        assert stage.placed_at_exchange() == 1
        assert stage.listener.kinds.count("dispatch_started") == 1  # written down before it was sent again


async def test_class_a_whose_repeat_is_late_as_well_is_not_given_up_before_that_has_settled() -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.LostCall(), *[fates.LateCall()] * 100)
    async with Stage(fate=script, dedup=DedupClass.A) as stage:
        order = await unknown(stage)
        await stage.until(lambda: stage.clock.monotonic() > 60)
        assert stage.status(order) == "unknown"
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_class_b_is_sent_again_only_after_two_denials_past_the_settle_window() -> None:
    async with Stage(fate=lost(), dedup=DedupClass.B) as stage:
        order = await unknown(stage)
        doubted = stage.clock.monotonic()
        await stage.until(lambda: "dispatch_started" in stage.listener.kinds)
        assert stage.clock.monotonic() - doubted >= 30
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_class_b_that_was_late_is_found_and_not_sent_again() -> None:
    async with Stage(fate=lost(fates.LateCall()), dedup=DedupClass.B) as stage:
        order = await unknown(stage)
        await stage.until(lambda: stage.clock.monotonic() > 20)
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1
        assert "dispatch_started" not in stage.listener.kinds


@pytest.mark.parametrize("dedup", [DedupClass.A, DedupClass.B])
async def test_an_order_that_nobody_may_send_again_is_given_up_after_two_denials(dedup: DedupClass) -> None:
    async with Stage(fate=lost(), dedup=dedup, resend_is_safe=False) as stage:
        order = await unknown(stage)
        doubted = stage.clock.monotonic()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert stage.clock.monotonic() - doubted >= 30
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.reason == "never-arrived"
        assert reserved(stage) == 0
        (told,) = stage.listener.frames_of("order_rejected")
        assert told["detail"]["evidence"].count(" and ") == 1  # both denials, with their times


@pytest.mark.parametrize("dedup", [DedupClass.A, DedupClass.B])
async def test_under_a_stop_what_never_arrived_is_given_up_and_not_sent_again(dedup: DedupClass) -> None:
    async with Stage(fate=lost(), dedup=dedup) as stage:
        order = await unknown(stage)
        await engage_anyhow(stage)
        doubted = stage.clock.monotonic()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert stage.clock.monotonic() - doubted >= 29
        assert "dispatch_started" not in stage.listener.kinds
        assert stage.placed_at_exchange() == 0


# -- a lane stops on what it can never fold


def poisoned(stage: Stage) -> Callable[[], bool]:
    """Give the lane an event that its books can never take; says whether it has halted."""

    def tried() -> bool:
        (order,) = stage.lane.books.open_orders()
        event = e.OrderReopened(order_id=order.id, at=stage.clock.now(), evidence="nonsense")
        try:
            stage.lane.record([event], correlation="poison")
        except Fault:
            return stage.lane.halted
        return False

    return tried


async def test_an_account_stops_for_good_on_an_event_that_it_can_never_fold() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.until(poisoned(stage))
        reason = stage.gate.readiness()[f"account {ACCOUNT}"]
        assert reason.startswith("halted: order_reopened of P-")
        assert "working has no row for OrderReopened" in reason
        heads = stage.lane.head
        await stage.clock.move(60)
        assert (stage.lane.ready.is_set(), stage.lane.head) == (False, heads)
        refused = await stage.place()
        assert isinstance(refused, Refusal)
        assert refused.code is Code.NOT_READY
        await stage.restart()  # a new process looks at it anew
        assert stage.status(order) == "working"


async def test_a_journal_that_cannot_be_folded_stops_the_account_at_start_and_is_not_read_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class OfAnotherRelease(Books):
        def fold(self, event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent) -> Change:
            if isinstance(event, e.OrderAcknowledged):
                raise IllegalTransition("accepted has no row for OrderAcknowledged")
            return super().fold(event)

    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.crash()
        taken: list[AccountId] = []
        take = stage.journal.take

        async def counted_take(account: AccountId) -> Taken:
            taken.append(account)
            return await take(account)

        monkeypatch.setattr(stage.journal, "take", counted_take)
        monkeypatch.setattr(recovery_module, "Books", OfAnotherRelease)
        with pytest.raises(AssertionError, match="never came true"):
            await stage.start()
        assert taken.count(ACCOUNT) == 1
        reason = stage.gate.readiness()[f"account {ACCOUNT}"]
        assert reason.startswith("halted: event ")
        assert "order_acknowledged of P-" in reason


async def test_a_fill_of_the_old_version_does_not_tell_what_became_of_a_replacement() -> None:
    silent: list[bool] = []

    def fate(call: fates.Call) -> fates.Fate:
        if call is fates.Call.REPLACE:
            return fates.LateCall()
        return fates.LostCall() if call is fates.Call.QUERY and silent else fates.DELIVERED

    async with Stage(fate=fate) as stage:
        order = await stage.accepted(quantity=30)
        await stage.until(lambda: stage.status(order) == "working")
        (resting,) = stage.exchange.orders()
        silent.append(True)
        asked = await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(40),
            limit_price=None,
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        assert isinstance(asked, Answer), asked
        await stage.until(lambda: held(stage, order).unknown_since is not None)

        stage.exchange.fill(resting.id, Decimal(1), Decimal(4700))

        await stage.until(lambda: held(stage, order).cum_qty == 1)
        assert held(stage, order).unknown_since is not None
        await stage.until(lambda: alarms(stage) == [f"unknown_order:{order}"], within_s=5)
        silent.clear()
        stage.broker.let_late_calls_in()
        await stage.until(lambda: held(stage, order).terms.quantity == 40)
        await stage.until(lambda: alarms(stage) == [])


def held(stage: Stage, order: OrderId) -> Order:
    found = stage.lane.books.order(order)
    assert found is not None
    return found
