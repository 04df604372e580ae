"""What a broker's answer about one of our orders proves.

Pure: the answer, the order and how often it was not found are given. A proof is a report to
absorb; what is not proven is asked again later, and an order is never sent again from here
unless the broker's dedup makes that harmless.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from ordergate.core.orders import reports as r
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order


class DedupClass(StrEnum):
    """A: refuses a reused client order id. B: can be queried by it. C: neither."""

    A = "A"
    B = "B"
    C = "C"


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

    `settle_s` runs from the last time that bytes may have left, and exceeds the time in which a
    broker could still take them; `lag_s` is the adapter's visibility lag. An order older
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
                cum_qty=seen.cum_qty,
            )
        case r.BrokerStatus.EXPIRED:
            return r.ExpiredReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
                cum_qty=seen.cum_qty,
            )
        case r.BrokerStatus.REJECTED:
            return r.RejectedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
                cum_qty=seen.cum_qty,
                reason=seen.reason or "rejected by the broker",
            )
        case r.BrokerStatus.REPLACED if seen.replaced_by is not None:
            return r.ReplacedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
                cum_qty=seen.cum_qty,
                replaced_by=seen.replaced_by,
            )
        case r.BrokerStatus.FILLED:
            return r.CompletedReport(
                cl_ord_id=seen.cl_ord_id,
                version=seen.version,
                broker_order_id=seen.broker_order_id,
                broker_at=seen.broker_at,
                cum_qty=seen.cum_qty,
            )
        case _:
            return None


def lacks_executions(order: Order, seen: r.OrderSnapshot) -> bool:
    """True when the broker has filled more of the order than our executions add up to."""
    return seen.cum_qty > order.cum_qty


def counted(known: Absence | None, order: Order, patience: Patience, now: datetime) -> Absence:
    """The absences that count, one more with them: an answer from before the settle window's end

    says only that the bytes had not arrived yet, and sending again opens the window anew.
    """
    if known is None or known.first_at < settled_at(order, patience):
        return Absence(now, now)
    return known.again(now)


def judge_absence(
    order: Order,
    absence: Absence,
    *,
    dedup: DedupClass,
    resend_is_safe: bool,
    patience: Patience,
    now: datetime,
    watched_s: float = 0.0,
) -> Next:
    """What "no such order" allows for an order whose sending was never answered.

    It is `watched_s` old at least, whatever its date says: the clock may have been ahead when it was made.

    A: the same id may be sent again at once, where that is proven harmless. B: not before two
    answers that count, further apart than the visibility lag. C: the answer says nothing, ever.
    """
    if order.is_proven or order.broker_order_id is not None or order.status not in _UNANSWERED:
        return Next.WAIT
    if dedup is DedupClass.C:
        return Next.WAIT
    age_s = max((now - order.accepted_at).total_seconds(), watched_s)
    may_resend = resend_is_safe and not order.cancel_requested and age_s <= patience.resend_s_max
    if may_resend and dedup is DedupClass.A:
        return Next.RESEND
    if not is_absent(absence, settled_at(order, patience), patience):
        return Next.WAIT
    return Next.RESEND if may_resend else Next.GIVE_UP


def is_absent(absence: Absence, settled_at: datetime, patience: Patience) -> bool:
    """True when "no such order" was said twice after everything sent would have arrived."""
    apart = (absence.last_at - absence.first_at).total_seconds() >= patience.lag_s
    return absence.answers >= 2 and absence.first_at >= settled_at and apart


def settled_at(order: Order, patience: Patience) -> datetime:
    """From when on an absence counts: everything that may have been sent has arrived by then."""
    doubt = order.doubted_at or order.unknown_since or order.accepted_at
    return doubt + timedelta(seconds=patience.settle_s)


_UNANSWERED = frozenset({Status.UNKNOWN, Status.ACCEPTED, Status.PENDING_CANCEL})
