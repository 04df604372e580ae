"""What of a broker's news becomes an event.

`absorb` compares a report with the order as folded and returns at most one event: news that is
already known, or that the order has outlived, is nothing. One report can prove two things (a fill
of the replacement proves the replacement), so whoever folds asks again with the order as it then
is: `proven` does.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, assert_never

from ordergate.core.money import ZERO
from ordergate.core.orders import events as e
from ordergate.core.orders.executions import busted, corrected, executed
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from ordergate.core.orders.reports import (
    AcknowledgedReport,
    AnyReport,
    BustedReport,
    CanceledReport,
    CancelRejectedReport,
    CompletedReport,
    CorrectedReport,
    EndedReport,
    ExecutedReport,
    ExpiredReport,
    RejectedReport,
    ReplacedReport,
    ReplaceRejectedReport,
    Report,
)
from ordergate.core.orders.versions import (
    REPLACEABLE,
    goes_on,
    is_asked_alone,
    is_of_asked,
    is_of_order_itself,
    is_of_some_replacement,
    replaced_by,
)


def proven(order: Order, report: AnyReport, at: datetime) -> tuple[e.AnyOrderEvent, ...]:
    """Everything that `report` proves, in order, each event as of the one before."""
    if type(report) is AcknowledgedReport and order.last_asked is None:
        only = absorb(order, report, at)  # nothing else can follow from it, and nearly all are this
        return () if only is None else (only,)
    events: list[e.AnyOrderEvent] = []
    while (event := absorb(order, report, at)) is not None:
        events.append(event)
        order = evolve(order, event)
    if any(type(event) in _CHANGE_THE_SUM for event in events):
        events.extend(_settled(order, at))
    return tuple(events)


def _settled(order: Order, at: datetime) -> tuple[e.AnyOrderEvent, ...]:
    """What follows for the whole order once an execution, or its quantity, is another one."""
    if order.unsized:
        return ()  # it has what is filled, and neither completes nor reopens it
    complete = order.cum_qty >= order.terms.quantity
    evidence = f"executions add up to {order.cum_qty} of {order.terms.quantity}"
    if complete and order.status in REPLACEABLE:
        return (e.OrderCompleted(order_id=order.id, at=at, evidence=evidence),)
    back = not complete if order.status is Status.FILLED else order.cum_qty > 0
    if back and order.status in (Status.FILLED, Status.REJECTED):
        return (e.OrderReopened(order_id=order.id, at=at, evidence=evidence),)
    return ()


_CHANGE_THE_SUM: Final = (e.ExecutionBusted, e.ExecutionCorrected, e.OrderReplaced)


def absorb(order: Order, report: AnyReport, at: datetime) -> e.AnyOrderEvent | None:
    """The next event that `report` proves, or None when it proves nothing new."""
    match report:
        case ExecutedReport():
            return executed(order, report, at)
        case AcknowledgedReport():
            return _acknowledged(order, report, at)
        case ReplacedReport():
            return _replaced(order, report, at)
        case BustedReport():
            return busted(order, report, at)
        case CorrectedReport():
            return corrected(order, report, at)
        case CanceledReport() | ExpiredReport() | CompletedReport():
            return _ended(order, report, at)
        case RejectedReport():
            return _rejected(order, report, at)
        case CancelRejectedReport():
            if order.status is not Status.PENDING_CANCEL and not order.cancel_requested:
                return None
            if order.replacement is not None or not is_of_order_itself(order, report):
                return None  # what was replaced, or may have been, cannot be canceled: what follows it can
            return e.CancelRejected(order_id=order.id, at=at, reason=report.reason)
        case ReplaceRejectedReport():
            if order.replacement is None or is_of_some_replacement(order):
                return None
            version = order.replacement.version
            return e.ReplaceRejected(order_id=order.id, at=at, version=version, reason=report.reason)
        case _:
            assert_never(report)


def _acknowledged(order: Order, report: AcknowledgedReport, at: datetime) -> e.AnyOrderEvent | None:
    if is_of_asked(order, report):
        return replaced_by(order, report.broker_order_id, at) if goes_on(order) else None
    if not is_of_order_itself(order, report):
        return None
    revived = order.status is Status.REJECTED
    if order.is_final and not revived:
        return None
    if order.acknowledged_at is not None and order.status is not Status.UNKNOWN:
        return None
    return e.OrderAcknowledged(
        order_id=order.id,
        at=at,
        broker_order_id=report.broker_order_id,
        broker_at=report.broker_at,
    )


def _replaced(order: Order, report: ReplacedReport, at: datetime) -> e.AnyOrderEvent | None:
    """Only the version in force can have been replaced: a repeated old report proves nothing.

    Where we have asked for no replacement somebody else did, at the broker's: what works there from now on is
    another order, which is adopted, and this one is over. Where one that we asked for was refused or never
    found it may be that one or another: who has asked the broker knows, and until then it proves nothing.
    """
    if not (is_of_order_itself(order, report) and goes_on(order)):
        return None
    by = report.by
    if by is None and order.versions_used > order.version:
        return replaced_by(order, report.replaced_by, at) if is_asked_alone(order) else None
    if by is not None and by.version > order.version:
        return replaced_by(order, report.replaced_by, at, by)
    if comes_before_executions(order, report):
        return None
    evidence = f"broker order {report.broker_order_id} was replaced elsewhere by {report.replaced_by}"
    return e.OrderCanceled(order_id=order.id, at=at, evidence=evidence)


def _ended(
    order: Order, report: CanceledReport | ExpiredReport | CompletedReport, at: datetime
) -> e.AnyOrderEvent | None:
    of_asked = order.replacement is not None and report.version == order.replacement.version
    if order.is_final or not (of_asked or is_of_order_itself(order, report)):
        return None
    if order.broker_order_id is None:
        return _shown_by_its_end(order, report, at)
    evidence = f"broker order {report.broker_order_id}"
    if comes_before_executions(order, report):
        return None  # what is filled and not booked would be free to be ordered again
    if isinstance(report, CompletedReport):
        return e.OrderCompleted(order_id=order.id, at=at, evidence=evidence)
    if order.replacement is not None and not of_asked:
        return None  # a venue that replaces by canceling tells this too: the replacement decides
    if isinstance(report, ExpiredReport):
        return e.OrderExpired(order_id=order.id, at=at, evidence=evidence)
    return e.OrderCanceled(order_id=order.id, at=at, evidence=evidence)


def _shown_by_its_end(order: Order, report: Report, at: datetime) -> e.OrderAcknowledged:
    """The broker had the order; by its id it can be told from another that was made of the same call."""
    return e.OrderAcknowledged(
        order_id=order.id, at=at, broker_order_id=report.broker_order_id, broker_at=report.broker_at
    )


def comes_before_executions(order: Order, report: EndedReport) -> bool:
    """Whether the broker had filled more, as the order ended, than our executions add up to."""
    if report.cum_qty is not None and report.cum_qty > order.cum_qty:
        return True
    return report.own_qty is not None and report.own_qty > _filled_by(order, report.broker_order_id)


def _filled_by(order: Order, broker_order_id: str) -> Decimal:
    """What one of the broker's orders, of those that this one has been, has filled of it."""
    own = (it.quantity for it in order.executions.values() if it.broker_order_id == broker_order_id)
    return sum(own, ZERO)


def _rejected(order: Order, report: RejectedReport, at: datetime) -> e.AnyOrderEvent | None:
    """That a replacement is dead does not say whether it was in force before: what it replaced does."""
    if order.is_final or not is_of_order_itself(order, report):
        return None
    if order.broker_order_id is None:
        return _shown_by_its_end(order, report, at)
    if comes_before_executions(order, report):
        return None
    return e.OrderRejected(
        order_id=order.id,
        at=at,
        reason=report.reason,
        evidence=f"broker order {report.broker_order_id}",
    )
