"""What a broker's answer about an order proves, and what its silence allows."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest

from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from ordergate.core.orders.reconcile import (
    Absence,
    DedupClass,
    Next,
    Patience,
    counted,
    judge_absence,
    lacks_executions,
    proofs,
)
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
    return hearing(order, proofs(order, seen))


def hearing(order: Order, reports: list[r.AnyReport]) -> Order:
    for report in reports:
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


@pytest.mark.parametrize(
    "status",
    [
        r.BrokerStatus.CANCELED,
        r.BrokerStatus.EXPIRED,
        r.BrokerStatus.FILLED,
        r.BrokerStatus.REJECTED,
        r.BrokerStatus.REPLACED,
    ],
)
def test_an_end_is_not_believed_of_an_order_that_has_lost_the_executions_it_was_compared_with(
    status: r.BrokerStatus,
) -> None:
    """Their commit was refused between the comparison and what follows from it."""
    complete = evolve(working(), filled(4))
    ended = proofs(complete, snapshot(status, cum=4, replaced_by="by-hand"))
    assert not hearing(working(), ended).is_final
    assert hearing(complete, ended).is_final


def test_a_replaced_order_is_followed_to_its_replacement() -> None:
    order = evolve(working(), replace_requested(20))
    followed = proving(order, snapshot(r.BrokerStatus.REPLACED, replaced_by="b-2"))
    assert (followed.status, followed.broker_order_id, followed.version) == (Status.WORKING, "b-2", 2)
    assert proving(order, snapshot(r.BrokerStatus.REPLACED)) == order


SHOWN: Final = [working(), folded(accepted(), CANCEL_REQUESTED, UNKNOWN, filled(4))]


def judged(
    order: Order, absence: Absence, dedup: DedupClass, *, safe: bool, now: datetime | None = None
) -> Next:
    return judge_absence(
        order, absence, dedup=dedup, resend_is_safe=safe, patience=PATIENCE, now=now or absence.last_at
    )


@pytest.mark.parametrize("dedup", DedupClass)
@pytest.mark.parametrize("order", SHOWN, ids=["acknowledged", "filled in part"])
def test_an_order_that_the_broker_has_shown_is_never_given_up_for_absent(
    order: Order, dedup: DedupClass
) -> None:
    long_gone = Absence(later(1800), later(3600), 100)
    assert {judged(order, long_gone, dedup, safe=safe) for safe in (True, False)} == {Next.WAIT}


@pytest.mark.parametrize(
    ("answers", "first", "last", "next_"),
    [
        (1, 0, 0, Next.WAIT),
        (1, 60, 60, Next.WAIT),  # one answer is none
        (2, 30, 35, Next.GIVE_UP),
        (2, 29, 60, Next.WAIT),  # the first came too soon after the question
        (2, 30, 34, Next.WAIT),  # too close together
        (3, 31, 40, Next.GIVE_UP),
    ],
)
@pytest.mark.parametrize("dedup", [DedupClass.A, DedupClass.B])
def test_absence_is_believed_after_two_answers_far_enough_apart_and_late_enough(
    answers: int, first: int, last: int, next_: Next, dedup: DedupClass
) -> None:
    assert judged(UNANSWERED, Absence(later(first), later(last), answers), dedup, safe=False) is next_


@pytest.mark.parametrize(("age", "next_"), [(0, Next.RESEND), (60, Next.RESEND), (61, Next.WAIT)])
def test_a_broker_that_refuses_repeats_is_sent_the_order_again_at_once_while_it_is_young(
    age: int, next_: Next
) -> None:
    assert judged(UNANSWERED, Absence(later(age), later(age)), DedupClass.A, safe=True) is next_


@pytest.mark.parametrize(
    ("first", "last", "next_"),
    [(0, 0, Next.WAIT), (30, 34, Next.WAIT), (30, 35, Next.RESEND), (40, 61, Next.GIVE_UP)],
)
def test_a_broker_that_can_only_be_asked_is_sent_the_order_again_only_on_proof_of_absence(
    first: int, last: int, next_: Next
) -> None:
    assert judged(UNANSWERED, Absence(later(first), later(last), 2), DedupClass.B, safe=True) is next_


@pytest.mark.parametrize("safe", [True, False])
def test_a_broker_that_cannot_be_asked_proves_nothing_by_not_knowing(safe: bool) -> None:
    assert judged(UNANSWERED, Absence(later(1800), later(3600), 100), DedupClass.C, safe=safe) is Next.WAIT


@pytest.mark.parametrize("dedup", DedupClass)
def test_an_order_whose_cancel_was_asked_is_never_sent_again(dedup: DedupClass) -> None:
    order = evolve(UNANSWERED, CANCEL_REQUESTED)
    assert judged(order, Absence(NOW, NOW), dedup, safe=True) is Next.WAIT
    assert judged(order, Absence(later(30), later(35), 2), dedup, safe=True) is not Next.RESEND


def test_an_answer_from_before_the_settle_windows_end_does_not_count() -> None:
    early = counted(None, UNANSWERED, PATIENCE, later(10))
    first = counted(early, UNANSWERED, PATIENCE, later(31))
    assert first == Absence(later(31), later(31))
    assert counted(first, UNANSWERED, PATIENCE, later(40)) == Absence(later(31), later(40), 2)


def test_sending_again_opens_the_settle_window_anew() -> None:
    absence = Absence(later(31), later(31))
    again = e.DispatchStarted(order_id=UNANSWERED.id, at=later(32), cl_ord_id=UNANSWERED.cl_ord_id)
    assert counted(absence, evolve(UNANSWERED, again), PATIENCE, later(60)).answers == 1
    doubted = e.OutcomeUnknown(order_id=UNANSWERED.id, at=later(33), asked=e.Asked.PLACE, why="timeout")
    order = evolve(UNANSWERED, doubted)
    assert order.unknown_since == UNANSWERED.unknown_since
    assert judged(order, Absence(later(62), later(90), 2), DedupClass.B, safe=False) is Next.WAIT
    assert judged(order, Absence(later(63), later(90), 2), DedupClass.B, safe=False) is Next.GIVE_UP


def test_each_answer_of_absence_is_counted_with_its_time() -> None:
    absence = Absence(NOW, NOW).again(NOW + timedelta(seconds=3))
    assert absence == Absence(NOW, later(3), 2)
