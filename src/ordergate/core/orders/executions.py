"""What a broker's news of an execution means for the order it belongs to. Pure.

An execution is known by its id and revision, and counts once. The same one may be told twice, late,
corrected before it was told, taken back, put back, or again under another id; none of it is booked
on trust, and none of it is dropped.
"""

from __future__ import annotations

from datetime import datetime

from ordergate.core.orders import events as e
from ordergate.core.orders.order import Execution, Order
from ordergate.core.orders.reports import AnyReport, BustedReport, CorrectedReport, ExecutedReport
from ordergate.core.orders.versions import goes_on, is_of_asked, replaced_by


def executed(order: Order, report: ExecutedReport, at: datetime) -> e.AnyOrderEvent | None:
    exec_id = order.stands_for(report.exec_id) if report.revision else order.first_id(report.exec_id)
    known = order.executions.get(exec_id)
    if known is not None and (known.revision >= report.revision or known.gone):
        return _dated(order, exec_id, known, report, at)  # told before, or taken back for good
    if is_of_asked(order, report) and goes_on(order):
        return replaced_by(order, report.broker_order_id, at)
    if known is not None:
        return e.ExecutionCorrected(
            order_id=order.id,
            at=at,
            exec_id=exec_id,
            revision=report.revision,
            quantity=report.quantity,
            price=report.price,
            broker_at=report.broker_at,
        )
    if (by_hand := _entered_by_hand(order)) is not None:
        return e.ExecutionBusted(order_id=order.id, at=at, exec_id=by_hand)
    completes = not order.unsized and order.cum_qty + report.quantity >= order.terms.quantity
    kind = e.OrderFilled if completes else e.OrderPartiallyFilled
    return kind(
        order_id=order.id,
        at=at,
        exec_id=exec_id,
        revision=report.revision,
        quantity=report.quantity,
        price=report.price,
        fee=report.fee,
        broker_at=report.broker_at,
        broker_order_id=report.broker_order_id,
    )


def _dated(
    order: Order, exec_id: str, known: Execution, report: ExecutedReport, at: datetime
) -> e.ExecutionCorrected | None:
    """The time of an execution that was known by its changes alone: by it the books find its place."""
    if not known.is_undated or report.broker_at is None:
        return None
    return e.ExecutionCorrected(
        order_id=order.id,
        at=at,
        exec_id=exec_id,
        revision=known.revision,
        quantity=known.quantity,
        price=known.price,
        broker_at=report.broker_at,
    )


def busted(order: Order, report: BustedReport, at: datetime) -> e.ExecutionBusted | None:
    """What was taken back for good stays so; a numbered bust counts when it is the latest word."""
    exec_id = order.stands_for(report.exec_id)
    known = order.executions.get(exec_id)
    if known is not None and known.gone:
        return None
    if known is not None and report.revision is not None and report.revision <= known.revision:
        return None
    if known is None and (by_hand := _entered_by_hand(order)) is not None:
        return e.ExecutionBusted(order_id=order.id, at=at, exec_id=by_hand)
    return e.ExecutionBusted(order_id=order.id, at=at, exec_id=exec_id, revision=report.revision)


def corrected(order: Order, report: CorrectedReport, at: datetime) -> e.AnyOrderEvent | None:
    """A correction that overtook its execution is the execution, unless it only says what to add."""
    if report.reference is not None and report.reference in order.references:
        return None
    if is_out_of_turn(order, report):
        return None
    exec_id = order.stands_for(report.exec_id)
    known = order.executions.get(exec_id)
    if known is None:
        return executed(order, _as_executed(report), at)
    revision = known.revision + 1 if report.revision is None else report.revision
    if known.gone or revision <= known.revision:
        return None
    if is_of_asked(order, report) and goes_on(order):
        return replaced_by(order, report.broker_order_id, at)
    return e.ExecutionCorrected(
        order_id=order.id,
        at=at,
        exec_id=exec_id,
        revision=revision,
        quantity=known.quantity + report.quantity if report.delta else report.quantity,
        price=report.price,
        reference=report.reference,
    )


def is_out_of_turn(order: Order, report: AnyReport) -> bool:
    """True of a change by so much whose starting point is not in the books: the broker's list tells it."""
    if not isinstance(report, CorrectedReport) or not report.delta:
        return False
    known = order.executions.get(order.stands_for(report.exec_id))
    if known is None:
        return True
    if known.gone or (report.revision is not None and report.revision <= known.revision):
        return False
    in_turn = report.revision is None or report.revision == known.revision + 1
    return not in_turn or known.quantity + report.quantity < 0


def as_told(order: Order, report: AnyReport) -> AnyReport:
    """A correction that overtook its execution, as that execution; everything else as it is."""
    if not isinstance(report, CorrectedReport) or report.delta:
        return report
    if report.reference in order.references or order.stands_for(report.exec_id) in order.executions:
        return report
    return _as_executed(report)


def _as_executed(report: CorrectedReport) -> ExecutedReport:
    """The execution that a correction overtook. One that names itself is booked as what follows.

    When it was corrected is known, and not when it was.
    """
    revision = report.revision or 0
    return ExecutedReport(
        cl_ord_id=report.cl_ord_id,
        version=report.version,
        broker_order_id=report.broker_order_id,
        exec_id=report.exec_id,
        revision=revision if report.reference is None else max(revision - 1, 0),
        quantity=report.quantity,
        price=report.price,
    )


def looks_like(order: Order, report: ExecutedReport) -> list[str]:
    """The executions that an unknown one may be under another id, the likeliest first.

    One that was changed is known by its time alone, if that is known: the change may have been missed. Two
    executions may be equal, and a broker that was restarted may tell one twice. No broker
    told what a person entered, and it is none of them.
    """
    if order.first_id(report.exec_id) in order.executions:
        return []
    if report.revision and order.stands_for(report.exec_id) in order.executions:
        return []  # a change of one that both its names lead to
    untimed = report.revision > 0 and report.broker_at is None  # news of a change need not say when
    found: list[tuple[bool, bool, str]] = []
    for exec_id, known in order.executions.items():
        if known.gone or exec_id == by_hand(order.id):
            continue
        if known.broker_order_id not in (None, report.broker_order_id):
            continue
        if known.at not in (None, report.broker_at) and not untimed:
            continue
        is_equal = (known.quantity, known.price) == (report.quantity, report.price)
        if is_equal or known.revision or report.revision:
            found.append((known.at is None, not is_equal, exec_id))
    return [exec_id for *_, exec_id in sorted(found, key=lambda one: one[:2])]


def of_the_same_moment(order: Order, report: BustedReport, moment: datetime | None) -> str | None:
    """The one execution that an unknown one may be that was taken back; None where there is none, or several.

    `moment` is when it was: nothing else that is said of it can tell it.
    """
    alike = [
        exec_id
        for exec_id, known in order.executions.items()
        if not known.gone
        and moment is not None
        and known.at == moment
        and known.broker_order_id in (None, report.broker_order_id)
    ]
    return alike[0] if len(alike) == 1 else None


def told_again(
    order: Order, report: ExecutedReport | BustedReport, same_as: str, at: datetime
) -> e.ExecutionDuplicated | None:
    """The evidence that an execution was told under a second id; None when it is written already.

    A report with a revision may change the execution, too, once both its names lead to it.
    """
    if report.exec_id in order.repeated:
        return None
    what = report if isinstance(report, ExecutedReport) else order.executions[same_as]
    return e.ExecutionDuplicated(
        order_id=order.id,
        at=at,
        exec_id=report.exec_id,
        same_as=same_as,
        quantity=what.quantity,
        price=what.price,
        broker_at=report.broker_at,
    )


def by_hand(order_id: str) -> str:
    """The id of the execution that a person enters for an order that the broker no longer shows."""
    return f"by-hand:{order_id}"


def _entered_by_hand(order: Order) -> str | None:
    """What was entered by hand gives way to the broker's own word."""
    known = order.executions.get(by_hand(order.id))
    return by_hand(order.id) if known is not None and not known.gone else None


def split_revision(exec_id: str) -> tuple[str, int]:
    """Base id and revision of an execution id whose last part counts, such as `0000e0d5.6553abcd.01.02`.

    A correction comes under the same base with the last number one higher. An id without such a
    part is its own base, of revision 0.
    """
    base, dot, last = exec_id.rpartition(".")
    if not dot or not base or not (last.isascii() and last.isdigit()):
        return exec_id, 0
    return base, int(last)
