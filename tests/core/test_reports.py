"""What a broker's news proves, told by scenes that look wrong and happen."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.faults import IllegalTransition
from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import absorb, proven
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from tests.core.examples import (
    NOW,
    accepted,
    acknowledged,
    completed,
    filled,
    folded,
    ids,
    replace_requested,
    terms,
    working,
)

AT = NOW + timedelta(seconds=1)
UNKNOWN = e.OutcomeUnknown(order_id=ids(), at=NOW, asked=e.Asked.PLACE, why="timeout")
CANCEL_REQUESTED = e.CancelRequested(order_id=ids(), at=NOW, actor="trader")
REJECTED = e.OrderRejected(order_id=ids(), at=NOW, reason="never-arrived", evidence="two queries")


def ack(version: int = 1) -> r.AcknowledgedReport:
    return r.AcknowledgedReport(
        cl_ord_id=cl_ord_id(ids(), version), version=version, broker_order_id=f"b-{version}"
    )


def fill(quantity: int, exec_id: str = "x-1", version: int = 1, revision: int = 0) -> r.ExecutedReport:
    return r.ExecutedReport(
        cl_ord_id=cl_ord_id(ids(), version),
        version=version,
        broker_order_id=f"b-{version}",
        exec_id=exec_id,
        revision=revision,
        quantity=Decimal(quantity),
        price=Decimal(100),
    )


def bust(exec_id: str = "x-1") -> r.BustedReport:
    return r.BustedReport(cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1", exec_id=exec_id)


def correct(quantity: int, revision: int, exec_id: str = "x-1") -> r.CorrectedReport:
    return r.CorrectedReport(
        cl_ord_id=cl_ord_id(ids(), 1),
        version=1,
        broker_order_id="b-1",
        exec_id=exec_id,
        revision=revision,
        quantity=Decimal(quantity),
        price=Decimal(100),
    )


def replaced(version: int = 1) -> r.ReplacedReport:
    return r.ReplacedReport(
        cl_ord_id=cl_ord_id(ids(), version),
        version=version,
        broker_order_id=f"b-{version}",
        replaced_by=f"b-{version + 1}",
    )


def canceled(version: int = 1, *, cum_qty: int | None = None) -> r.CanceledReport:
    return r.CanceledReport(
        cl_ord_id=cl_ord_id(ids(), version),
        version=version,
        broker_order_id="b-1",
        cum_qty=None if cum_qty is None else Decimal(cum_qty),
    )


def seen(*parts: object) -> tuple[object, ...]:
    return parts


def hear(order: Order, *reports: r.AnyReport) -> Order:
    for report in reports:
        for event in proven(order, report, AT):
            order = evolve(order, event)
    return order


def test_a_fill_that_overtakes_the_acknowledgement_is_proof_that_the_broker_has_the_order() -> None:
    order = hear(folded(accepted()), fill(4))
    assert seen(order.status, order.broker_order_id, order.leaves_qty) == (Status.WORKING, "b-1", 6)
    order = hear(order, ack())
    assert order.acknowledged_at == AT


def test_a_fill_ends_the_doubt_about_an_unknown_order() -> None:
    order = hear(folded(accepted(), UNKNOWN), fill(4))
    assert seen(order.status, order.unknown_since) == (Status.WORKING, None)


def test_an_acknowledgement_ends_the_doubt_and_a_second_one_is_no_news() -> None:
    order = hear(folded(accepted(), UNKNOWN), ack())
    assert seen(order.status, order.unknown_since) == (Status.WORKING, None)
    assert absorb(order, ack(), AT) is None


def test_an_execution_told_twice_counts_once() -> None:
    order = hear(working(), fill(4), fill(4))
    assert seen(order.cum_qty, len(order.executions)) == (4, 1)


def test_a_fill_that_beats_the_cancel_to_the_book_leaves_a_filled_order() -> None:
    order = hear(folded(accepted(), acknowledged(), CANCEL_REQUESTED), fill(10), canceled())
    assert order.status is Status.FILLED


def test_a_fill_told_after_the_cancel_still_counts_and_the_order_stays_canceled() -> None:
    order = hear(folded(accepted(), acknowledged(), CANCEL_REQUESTED), canceled(), fill(4))
    assert seen(order.status, order.cum_qty, order.leaves_qty) == (Status.CANCELED, 4, 0)


def test_an_end_counts_only_once_everything_that_the_broker_filled_is_booked() -> None:
    order = hear(folded(accepted(), acknowledged(), CANCEL_REQUESTED), canceled(cum_qty=4))
    assert seen(order.status, order.leaves_qty) == (Status.PENDING_CANCEL, 10)
    order = hear(order, fill(4), canceled(cum_qty=4))
    assert seen(order.status, order.cum_qty, order.leaves_qty) == (Status.CANCELED, 4, 0)


def test_a_bust_told_before_its_execution_wins() -> None:
    order = hear(working(), bust(), fill(4))
    assert seen(order.cum_qty, order.executions["x-1"].quantity) == (0, 0)


def test_an_execution_taken_back_is_gone_for_good() -> None:
    order = hear(working(), fill(4), bust(), bust(), fill(4), correct(5, 1))
    assert order.cum_qty == 0


def test_a_correction_told_before_its_execution_is_the_execution() -> None:
    order = hear(working(), correct(5, 1), fill(4))
    assert order.cum_qty == 5


def test_corrections_count_by_revision_in_whatever_order_they_come() -> None:
    order = hear(working(), fill(4), correct(6, 2), correct(5, 1))
    assert seen(order.cum_qty, order.executions["x-1"].revision) == (6, 2)


def test_a_restated_execution_with_a_higher_revision_is_a_correction() -> None:
    order = working()
    order = hear(order, fill(4))
    event = absorb(order, fill(3, revision=1), AT)
    assert isinstance(event, e.ExecutionCorrected)


def test_an_overfill_is_taken_into_the_books_and_shows() -> None:
    order = hear(working(), fill(6), fill(6, "x-2"))
    assert seen(order.status, order.cum_qty, order.leaves_qty, order.is_overfilled) == (
        Status.FILLED,
        12,
        0,
        True,
    )


def test_an_order_proven_absent_comes_back_to_life_when_the_broker_shows_it() -> None:
    order = folded(accepted(), UNKNOWN, REJECTED)
    for proof, status in ((ack(), Status.WORKING), (fill(4), Status.WORKING), (fill(10), Status.FILLED)):
        back = hear(order, proof)
        assert back.status is status
        assert back.reason is None
        assert (back.final_at is None) is (status is Status.WORKING)


def test_a_repeated_acknowledgement_does_not_revive_what_the_broker_refused() -> None:
    order = hear(
        working(),
        r.RejectedReport(cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1", reason="halted"),
    )
    assert hear(order, ack()).status is Status.REJECTED


def test_a_replacement_in_force_changes_terms_version_and_the_brokers_id() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(20, 101)), replaced())
    assert seen(order.terms.quantity, order.terms.limit_price) == (20, 101)
    assert seen(order.version, order.broker_order_id, order.replacement) == (2, "b-2", None)
    assert hear(order, replaced(), ack(2), ack(1)) == order


def test_an_acknowledgement_of_the_new_version_is_proof_of_the_replacement() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(20)), ack(2))
    assert seen(order.status, order.version, order.terms.quantity) == (Status.WORKING, 2, 20)


def test_a_fill_of_the_new_version_proves_the_replacement_and_then_itself() -> None:
    order = folded(accepted(), acknowledged(), replace_requested(20))
    events = proven(order, fill(12, version=2), AT)
    assert [type(event) for event in events] == [e.OrderReplaced, e.OrderPartiallyFilled]
    order = hear(order, fill(12, version=2))
    assert seen(order.status, order.cum_qty, order.leaves_qty) == (Status.WORKING, 12, 8)


def test_a_fill_of_the_old_version_can_complete_the_order_before_the_replace_is_refused() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(20)), fill(10))
    assert order.status is Status.FILLED
    refused = r.ReplaceRejectedReport(
        cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1", reason="already filled"
    )
    order = hear(order, refused, refused)
    assert seen(order.status, order.replacement) == (Status.FILLED, None)


def test_a_larger_replacement_that_was_alive_after_all_goes_on() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(20)), fill(10), replaced())
    assert seen(order.status, order.leaves_qty, order.final_at) == (Status.WORKING, 10, None)


def test_a_replacement_that_is_filled_already_changes_nothing() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(5)), fill(10))
    assert hear(order, replaced(), ack(2)) == order


def test_an_old_replaced_report_told_again_does_not_prove_the_next_replacement() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(20)), replaced())
    order = evolve(order, replace_requested(30, version=3))
    assert hear(order, replaced(1)) == order
    assert hear(order, replaced(2)).terms.quantity == 30


def test_a_replacement_thought_refused_and_alive_after_all_is_in_force() -> None:
    order = folded(
        accepted(),
        acknowledged(),
        replace_requested(20),
        e.ReplaceRejected(order_id=ids(), at=NOW, version=2, reason="never-arrived"),
    )
    shown = r.Successor(2, msgspec.structs.replace(order.terms, quantity=Decimal(20)))
    for proof in (ack(2), msgspec.structs.replace(replaced(), by=shown)):
        assert hear(order, proof).terms.quantity == 20


def test_what_replaced_an_order_after_a_refused_replacement_is_open_until_the_broker_shows_it() -> None:
    refused = e.ReplaceRejected(order_id=ids(), at=NOW, version=2, reason="no")
    order = folded(accepted(), acknowledged(), replace_requested(20), refused)
    assert absorb(order, replaced(), AT) is None
    elsewhere = r.Successor(0, msgspec.structs.replace(order.terms, quantity=Decimal(50)))
    over = hear(order, msgspec.structs.replace(replaced(), by=elsewhere))
    assert seen(over.status, over.terms.quantity) == (Status.CANCELED, order.terms.quantity)


def test_an_earlier_replacement_that_shows_is_in_force_by_the_terms_that_it_shows() -> None:
    refused = e.ReplaceRejected(order_id=ids(), at=NOW, version=2, reason="no")
    order = folded(
        accepted(), acknowledged(), replace_requested(20), refused, replace_requested(5, version=3)
    )
    shown = r.Successor(2, msgspec.structs.replace(order.terms, quantity=Decimal(20)))
    found = hear(order, msgspec.structs.replace(replaced(), by=shown))
    assert seen(found.version, found.broker_order_id, found.terms.quantity) == (2, "b-2", 20)
    assert found.replacement is not None  # what was asked for after it has no answer yet


def test_a_rejection_of_the_new_version_does_not_say_whether_the_old_one_is_still_there() -> None:
    order = folded(accepted(), acknowledged(), replace_requested(20))
    rejected = r.RejectedReport(cl_ord_id=cl_ord_id(ids(), 2), version=2, broker_order_id="b-2", reason="no")
    assert absorb(order, rejected, AT) is None
    order = hear(order, replaced(), rejected)
    assert seen(order.status, order.terms.quantity, order.reason) == (Status.REJECTED, 20, "no")


def test_a_rejection_names_the_order_that_it_is_of_where_the_broker_may_have_made_two() -> None:
    rejected = r.RejectedReport(cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-2", reason="no")
    order = hear(folded(accepted()), rejected)
    assert seen(order.status, order.broker_order_id) == (Status.REJECTED, "b-2")


def test_the_end_of_a_replaced_version_is_not_the_end_of_the_order() -> None:
    order = hear(folded(accepted(), acknowledged(), replace_requested(20)), replaced(), canceled(1))
    assert order.status is Status.WORKING
    assert hear(order, canceled(2)).status is Status.CANCELED


@pytest.mark.parametrize("asked", list(e.Asked), ids=str)
def test_an_unknown_outcome_that_the_stream_answered_first_raises_no_doubt(asked: e.Asked) -> None:
    order = working()
    late = e.OutcomeUnknown(order_id=ids(), at=AT, asked=asked, why="timeout")
    assert evolve(order, late).unknown_since is None


def test_an_unknown_cancel_or_replace_stays_in_doubt_until_it_is_answered() -> None:
    doubted = e.OutcomeUnknown(order_id=ids(), at=AT, asked=e.Asked.CANCEL, why="timeout")
    order = evolve(folded(accepted(), acknowledged(), CANCEL_REQUESTED), doubted)
    assert seen(order.status, order.unknown_since) == (Status.PENDING_CANCEL, AT)
    order = evolve(order, e.CancelRejected(order_id=ids(), at=AT, reason="too late"))
    assert seen(order.status, order.unknown_since) == (Status.WORKING, None)


def test_a_refused_cancel_does_not_prove_that_the_order_exists() -> None:
    order = folded(
        accepted(), CANCEL_REQUESTED, UNKNOWN, e.CancelRejected(order_id=ids(), at=AT, reason="not found")
    )
    assert order.unknown_since == NOW
    assert not order.is_proven


def test_a_cancel_that_nobody_asked_for_cannot_be_refused() -> None:
    refused = r.CancelRejectedReport(
        cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1", reason="no"
    )
    assert absorb(working(), refused, AT) is None
    order = hear(folded(accepted(), acknowledged(), CANCEL_REQUESTED), refused)
    assert seen(order.status, order.cancel_requested) == (Status.WORKING, False)


def test_a_cancel_and_an_expiry_say_what_proves_them() -> None:
    expired = r.ExpiredReport(cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1")
    ended = absorb(working(), expired, AT)
    assert isinstance(ended, e.OrderExpired)
    assert ended.evidence == "broker order b-1"
    assert isinstance(absorb(working(), canceled(), AT), e.OrderCanceled)


def test_an_adopted_order_is_known_by_the_brokers_words() -> None:
    order = folded(
        e.OrderAdopted(
            order_id=ids(), at=NOW, terms=terms(), broker_order_id="theirs", broker_client_order_id="by-hand"
        )
    )
    assert seen(order.status, order.external, order.broker_order_id) == (Status.WORKING, True, "theirs")
    order = evolve(order, replace_requested(20))
    theirs = r.ReplacedReport(cl_ord_id="by-hand", version=0, broker_order_id="theirs", replaced_by="b-2")
    assert hear(order, theirs).terms.quantity == 20


def test_a_completed_order_knows_its_average_and_what_its_client_order_id_is() -> None:
    order = folded(accepted(), acknowledged(), filled(5, 100), completed(5, 101, "x-2"))
    assert seen(order.avg_px, order.cl_ord_id) == (Decimal("100.5"), cl_ord_id(ids(), 1))


def test_a_denied_order_is_final_from_the_start_and_keeps_its_failures() -> None:
    no = e.FailedControl(control="R06", reason="order-quantity", detail="too much")
    denied = e.OrderDenied(
        order_id=ids(), at=NOW, terms=terms(), actor="trader", config_hash="none", failed=(no,)
    )
    order = folded(denied)
    assert seen(order.status, order.failed, order.reason) == (Status.DENIED, (no,), "risk-denied")
    assert seen(order.final_at, order.leaves_qty) == (NOW, 0)


def test_no_order_begins_in_the_middle_and_none_begins_twice() -> None:
    with pytest.raises(IllegalTransition, match="no order begins with OrderAcknowledged"):
        folded(acknowledged())
    with pytest.raises(IllegalTransition, match="working has no row for OrderAccepted"):
        evolve(working(), accepted())


def test_a_marker_before_speaking_and_a_denied_replacement_change_nothing_but_the_time() -> None:
    started = e.DispatchStarted(order_id=ids(), at=AT, cl_ord_id=cl_ord_id(ids(), 1))
    assert evolve(folded(accepted()), started).status is Status.ACCEPTED
    denied = e.ReplaceDenied(order_id=ids(), at=AT, actor="trader", config_hash="none", failed=())
    assert seen(evolve(working(), denied).terms, evolve(working(), denied).updated_at) == (terms(), AT)


def test_a_replacement_made_elsewhere_changes_version_and_the_brokers_id_and_leaves_the_terms() -> None:
    elsewhere = e.OrderReplaced(order_id=ids(), at=AT, version=2, broker_order_id="b-2")
    order = evolve(working(), elsewhere)
    assert seen(order.version, order.broker_order_id, order.terms) == (2, "b-2", terms())


def test_a_replacement_that_nobody_asked_for_cannot_be_refused() -> None:
    refused = r.ReplaceRejectedReport(
        cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1", reason="no"
    )
    assert absorb(working(), refused, AT) is None
