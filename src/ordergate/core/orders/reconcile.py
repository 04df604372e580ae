"""What a broker's answer about one of our orders proves.

Pure: the answer, the order and how often it was not found are given. A proof is a report to
absorb; what is not proven is asked again later, and an order is never sent again from here
unless the broker's dedup makes that harmless.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from ordergate.core.orders import reports as r
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order


class Next(StrEnum):
    """What to do about an order that the broker says it does not know."""

    WAIT = "wait"
    RESEND = "resend"
    GIVE_UP = "give_up"


class Absence(msgspec.Struct, frozen=True):
    """When the broker first and last answered "no such order"."""

    first_at: datetime
    last_at: datetime
    answers: int = 1

    def again(self, at: datetime) -> Absence:
        return Absence(self.first_at, at, self.answers + 1)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long not to believe an absence. Seconds.

    `settle_s` runs from the question whose answer was lost, and exceeds the time in which a
    broker could still take the bytes; `lag_s` is the adapter's visibility lag. An order older
    than `resend_s_max` is not sent again: its trader has moved on.
    """

    settle_s: float
    lag_s: float
    resend_s_max: float


def proofs(order: Order, seen: r.OrderSnapshot) -> list[r.AnyReport]:
    """The reports that a snapshot of the order amounts to, executions excepted.

    An ending counts only once our executions reach the broker's cum_qty: until then the
    missing executions have to be fetched first.
    """
    found: list[r.AnyReport] = []
    asked = order.replacement
    # A replacement that is still pending may lose to a fill of the order it replaces.
    undecided = asked is not None and seen.version == asked.version and seen.status is r.BrokerStatus.PENDING
    if seen.status is not r.BrokerStatus.REJECTED and not undecided:
        found.append(
            r.AcknowledgedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
            )
        )
    if order.cum_qty >= seen.cum_qty and (ending := _ending(seen)) is not None:
        found.append(ending)
    return found


def _ending(seen: r.OrderSnapshot) -> r.AnyReport | None:
    match seen.status:
        case r.BrokerStatus.CANCELED:
            return r.CanceledReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
            )
        case r.BrokerStatus.EXPIRED:
            return r.ExpiredReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
            )
        case r.BrokerStatus.REJECTED:
            return r.RejectedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
                reason=seen.reason or "rejected by the broker",
            )
        case r.BrokerStatus.REPLACED if seen.replaced_by is not None:
            return r.ReplacedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
                replaced_by=seen.replaced_by,
            )
        case r.BrokerStatus.FILLED:
            return r.CompletedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
            )
        case _:
            return None


def lacks_executions(order: Order, seen: r.OrderSnapshot) -> bool:
    """True when the broker has filled more of the order than our executions add up to."""
    return seen.cum_qty > order.cum_qty


def judge_absence(
    order: Order, absence: Absence, *, resend_is_safe: bool, patience: Patience, now: datetime
) -> Next:
    """What "no such order" allows for an order whose sending was never answered."""
    if order.is_proven or order.broker_order_id is not None or order.status not in _UNANSWERED:
        return Next.WAIT
    age_s = (now - order.accepted_at).total_seconds()
    if resend_is_safe and not order.cancel_requested and age_s <= patience.resend_s_max:
        return Next.RESEND
    doubt_since = order.unknown_since or order.accepted_at
    settled = (absence.last_at - doubt_since).total_seconds() >= patience.settle_s
    apart = (absence.last_at - absence.first_at).total_seconds() >= patience.lag_s
    if absence.answers >= 2 and settled and apart:
        return Next.GIVE_UP
    return Next.WAIT


_UNANSWERED = frozenset({Status.UNKNOWN, Status.ACCEPTED, Status.PENDING_CANCEL})
