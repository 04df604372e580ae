"""What a broker's answer about an order proves, and what its silence allows."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from ordergate.core.orders.reconcile import Absence, Next, Patience, judge_absence, lacks_executions, proofs
from tests.core.examples import NOW, accepted, filled, folded, ids, later, replace_requested, terms, working

UNKNOWN: Final = e.OutcomeUnknown(order_id=ids(), at=NOW, asked=e.Asked.PLACE, why="timeout")
CANCEL_REQUESTED: Final = e.CancelRequested(order_id=ids(), at=NOW, actor="trader")
PATIENCE: Final = Patience(settle_s=30, lag_s=5, resend_s_max=60)


def snapshot(
    status: r.BrokerStatus, *, cum: int = 0, version: int = 1, replaced_by: str | None = None
) -> r.OrderSnapshot:
    return r.OrderSnapshot(
        cl_ord_id=cl_ord_id(ids(), version),
        version=version,
        broker_order_id=f"b-{version}",
        status=status,
        terms=terms(),
        cum_qty=Decimal(cum),
        replaced_by=replaced_by,
    )


def proving(order: Order, seen: r.OrderSnapshot) -> Order:
    for report in proofs(order, seen):
        for event in proven(order, report, later()):
            order = evolve(order, event)
    return order


UNANSWERED: Final = folded(accepted(), UNKNOWN)


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (r.BrokerStatus.PENDING, Status.WORKING),
        (r.BrokerStatus.WORKING, Status.WORKING),
        (r.BrokerStatus.CANCELED, Status.CANCELED),
        (r.BrokerStatus.EXPIRED, Status.EXPIRED),
        (r.BrokerStatus.REJECTED, Status.REJECTED),
    ],
)
def test_an_unknown_order_becomes_what_the_broker_shows(status: r.BrokerStatus, after: Status) -> None:
    assert proving(UNANSWERED, snapshot(status)).status is after


@pytest.mark.parametrize(
    "status",
    [r.BrokerStatus.CANCELED, r.BrokerStatus.EXPIRED, r.BrokerStatus.REJECTED, r.BrokerStatus.FILLED],
)
def test_an_order_does_not_end_before_its_executions_are_in_the_books(status: r.BrokerStatus) -> None:
    seen = snapshot(status, cum=4)
    assert lacks_executions(UNANSWERED, seen)
    assert not proving(UNANSWERED, seen).is_final
    complete = evolve(UNANSWERED, filled(4))
    assert not lacks_executions(complete, seen)
    assert proving(complete, seen).is_final


def test_a_replaced_order_is_followed_to_its_replacement() -> None:
    order = evolve(working(), replace_requested(20))
    followed = proving(order, snapshot(r.BrokerStatus.REPLACED, replaced_by="b-2"))
    assert (followed.status, followed.broker_order_id, followed.version) == (Status.WORKING, "b-2", 2)
    assert proving(order, snapshot(r.BrokerStatus.REPLACED)) == order


SHOWN: Final = [working(), folded(accepted(), CANCEL_REQUESTED, UNKNOWN, filled(4))]


@pytest.mark.parametrize("order", SHOWN, ids=["acknowledged", "filled in part"])
def test_an_order_that_the_broker_has_shown_is_never_given_up_for_absent(order: Order) -> None:
    long_gone = Absence(NOW, later(3600), 100)
    for safe in (True, False):
        answer = judge_absence(order, long_gone, resend_is_safe=safe, patience=PATIENCE, now=later(3600))
        assert answer is Next.WAIT


@pytest.mark.parametrize(
    ("answers", "first", "last", "next_"),
    [
        (1, 0, 0, Next.WAIT),
        (1, 60, 60, Next.WAIT),  # one answer is none
        (2, 25, 30, Next.GIVE_UP),
        (2, 24, 29, Next.WAIT),  # too soon after the question
        (2, 26, 30, Next.WAIT),  # too close together
        (3, 0, 31, Next.GIVE_UP),
    ],
)
def test_absence_is_believed_after_two_answers_far_enough_apart_and_late_enough(
    answers: int, first: int, last: int, next_: Next
) -> None:
    absence = Absence(later(first), later(last), answers)
    found = judge_absence(UNANSWERED, absence, resend_is_safe=False, patience=PATIENCE, now=later(last))
    assert found is next_


@pytest.mark.parametrize(("age", "next_"), [(0, Next.RESEND), (60, Next.RESEND), (61, Next.WAIT)])
def test_only_a_broker_that_refuses_repeats_is_sent_the_order_again_and_only_while_it_is_young(
    age: int, next_: Next
) -> None:
    absence = Absence(later(age), later(age))
    found = judge_absence(UNANSWERED, absence, resend_is_safe=True, patience=PATIENCE, now=later(age))
    assert found is next_


def test_an_order_whose_cancel_was_asked_is_never_sent_again() -> None:
    order = evolve(UNANSWERED, CANCEL_REQUESTED)
    found = judge_absence(order, Absence(NOW, NOW), resend_is_safe=True, patience=PATIENCE, now=NOW)
    assert found is Next.WAIT


def test_each_answer_of_absence_is_counted_with_its_time() -> None:
    absence = Absence(NOW, NOW).again(NOW + timedelta(seconds=3))
    assert absence == Absence(NOW, later(3), 2)
