"""A broker's news, and what of it becomes an event.

A report is unproven until absorbed. `absorb` compares it with the order as folded and
returns at most one event: news that is already known, or that the order has outlived, is
nothing. One report can prove two things (a fill of the replacement proves the replacement),
so whoever folds asks again with the order as it then is: `proven` does.
Adapters translate every wire word into one of these reports or fail; they never guess.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never

import msgspec

from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from ordergate.core.orders.terms import Terms


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every report.

    `cl_ord_id` is the client order id as the broker holds it, `version` what our own ids carry
    (0 for an order that is not ours); `broker_at` is the broker's clock.
    """

    cl_ord_id: str
    version: int
    broker_order_id: str
    broker_at: datetime | None = None


class AcknowledgedReport(Report, frozen=True, kw_only=True): ...


class ExecutedReport(Report, frozen=True, kw_only=True):
    """One execution, of `quantity` at `price`. `cum_qty` is the broker's own sum, if it says."""

    exec_id: str
    revision: int = 0
    quantity: Decimal
    price: Decimal
    fee: Decimal = Decimal(0)
    cum_qty: Decimal | None = None


class BustedReport(Report, frozen=True, kw_only=True):
    exec_id: str


class CorrectedReport(Report, frozen=True, kw_only=True):
    exec_id: str
    revision: int
    quantity: Decimal
    price: Decimal


class CanceledReport(Report, frozen=True, kw_only=True): ...


class ExpiredReport(Report, frozen=True, kw_only=True): ...


class RejectedReport(Report, frozen=True, kw_only=True):
    reason: str


class ReplacedReport(Report, frozen=True, kw_only=True):
    """The order was replaced; `replaced_by` is the broker's id of the new one."""

    replaced_by: str


class CancelRejectedReport(Report, frozen=True, kw_only=True):
    reason: str


class ReplaceRejectedReport(Report, frozen=True, kw_only=True):
    reason: str


AnyReport = (
    AcknowledgedReport
    | ExecutedReport
    | BustedReport
    | CorrectedReport
    | CanceledReport
    | ExpiredReport
    | RejectedReport
    | ReplacedReport
    | CancelRejectedReport
    | ReplaceRejectedReport
)


class BrokerStatus(StrEnum):
    """Where a broker says an order stands, in the words that matter to us."""

    PENDING = "pending"
    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"


class OrderSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One order as a query answered it."""

    cl_ord_id: str
    version: int
    broker_order_id: str
    status: BrokerStatus
    terms: Terms
    cum_qty: Decimal
    replaced_by: str | None = None
    reason: str | None = None
    broker_at: datetime | None = None


def proven(order: Order, report: AnyReport, at: datetime) -> tuple[e.AnyOrderEvent, ...]:
    """Everything that `report` proves, in order, each event as of the one before."""
    events: list[e.AnyOrderEvent] = []
    while (event := absorb(order, report, at)) is not None:
        events.append(event)
        order = evolve(order, event)
    return tuple(events)


def absorb(order: Order, report: AnyReport, at: datetime) -> e.AnyOrderEvent | None:
    """The next event that `report` proves, or None when it proves nothing new."""
    match report:
        case ExecutedReport():
            return _executed(order, report, at)
        case AcknowledgedReport():
            return _acknowledged(order, report, at)
        case ReplacedReport():
            return _replaced(order, report, at)
        case BustedReport():
            known = order.executions.get(report.exec_id)
            if known is not None and known.quantity == 0:
                return None
            return e.ExecutionBusted(order_id=order.id, at=at, exec_id=report.exec_id)
        case CorrectedReport():
            return _corrected(order, report, at)
        case CanceledReport() | ExpiredReport():
            return _ended(order, report, at)
        case RejectedReport():
            return _rejected(order, report, at)
        case CancelRejectedReport():
            if order.status is not Status.PENDING_CANCEL and not order.cancel_requested:
                return None
            return e.CancelRejected(order_id=order.id, at=at, reason=report.reason)
        case ReplaceRejectedReport():
            if order.replacement is None:
                return None
            version = order.replacement.version
            return e.ReplaceRejected(
                order_id=order.id, at=at, version=version, reason=report.reason
            )
        case _:
            assert_never(report)


def _executed(order: Order, report: ExecutedReport, at: datetime) -> e.AnyOrderEvent | None:
    known = order.executions.get(report.exec_id)
    if known is not None and (known.revision >= report.revision or known.quantity == 0):
        return None  # told before, or taken back for good
    if _is_of_asked(order, report) and _goes_on(order):
        return _replaced_by(order, report.broker_order_id, at)
    if known is not None:
        return e.ExecutionCorrected(
            order_id=order.id,
            at=at,
            exec_id=report.exec_id,
            revision=report.revision,
            quantity=report.quantity,
            price=report.price,
        )
    completes = order.cum_qty + report.quantity >= order.terms.quantity
    kind = e.OrderFilled if completes else e.OrderPartiallyFilled
    return kind(
        order_id=order.id,
        at=at,
        exec_id=report.exec_id,
        revision=report.revision,
        quantity=report.quantity,
        price=report.price,
        fee=report.fee,
        broker_at=report.broker_at,
        broker_order_id=report.broker_order_id,
    )


def _acknowledged(order: Order, report: AcknowledgedReport, at: datetime) -> e.AnyOrderEvent | None:
    if _is_of_asked(order, report):
        return _replaced_by(order, report.broker_order_id, at) if _goes_on(order) else None
    if not _is_of_order_itself(order, report):
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
    """Only the version in force can have been replaced: a repeated old report proves nothing."""
    outstanding = order.versions_used > order.version
    if not (outstanding and _is_of_order_itself(order, report) and _goes_on(order)):
        return None
    return _replaced_by(order, report.replaced_by, at)


def _replaced_by(order: Order, broker_order_id: str, at: datetime) -> e.OrderReplaced:
    return e.OrderReplaced(
        order_id=order.id, at=at, version=order.versions_used, broker_order_id=broker_order_id
    )


def _is_of_asked(order: Order, report: Report) -> bool:
    """True when the report is about a replacement that we have not seen in force."""
    return report.version == order.versions_used > order.version


def _goes_on(order: Order) -> bool:
    """True when the last asked replacement can still be alive."""
    if order.status is Status.FILLED:
        return order.last_asked is not None and order.last_asked.quantity > order.cum_qty
    return order.status in _REPLACEABLE


_REPLACEABLE: Final = frozenset({Status.WORKING, Status.PENDING_CANCEL, Status.PENDING_REPLACE})


def _corrected(order: Order, report: CorrectedReport, at: datetime) -> e.AnyOrderEvent | None:
    """A correction that overtook its execution is the execution."""
    as_executed = ExecutedReport(
        cl_ord_id=report.cl_ord_id,
        version=report.version,
        broker_order_id=report.broker_order_id,
        broker_at=report.broker_at,
        exec_id=report.exec_id,
        revision=report.revision,
        quantity=report.quantity,
        price=report.price,
    )
    return _executed(order, as_executed, at)


def _ended(
    order: Order, report: CanceledReport | ExpiredReport, at: datetime
) -> e.AnyOrderEvent | None:
    of_asked = order.replacement is not None and report.version == order.replacement.version
    if order.is_final or not (of_asked or _is_of_order_itself(order, report)):
        return None
    evidence = f"broker order {report.broker_order_id}"
    if isinstance(report, ExpiredReport):
        return e.OrderExpired(order_id=order.id, at=at, evidence=evidence)
    return e.OrderCanceled(order_id=order.id, at=at, evidence=evidence)


def _rejected(order: Order, report: RejectedReport, at: datetime) -> e.AnyOrderEvent | None:
    asked = order.replacement
    if asked is not None and report.version == asked.version:
        return e.ReplaceRejected(order_id=order.id, at=at, version=asked.version, reason=report.reason)
    if order.is_final or not _is_of_order_itself(order, report):
        return None
    return e.OrderRejected(
        order_id=order.id,
        at=at,
        reason=report.reason,
        evidence=f"broker order {report.broker_order_id}",
    )


def _is_of_order_itself(order: Order, report: Report) -> bool:
    """True of the version in force; what ends another version does not end the order.

    An order that is not ours was version 1 before we first replaced it.
    """
    return (report.version or 1) == order.version
