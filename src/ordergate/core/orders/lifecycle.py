"""The one table that moves an order.

`TRANSITIONS[status, kind of event]` is the next status; a missing row is a fault. Partial
fill is a quantity, not a status. Nothing else in the system may decide a status, and the
diagram in the documentation is drawn from this table.

Rows marked "real world" look wrong and happen: a fill beats our cancel to the book, an
acknowledgement is overtaken by its fill, a refused order turns out to be alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ordergate.core.faults import IllegalTransition
from ordergate.core.orders import events as e


class Status(StrEnum):
    """What is true of an order now."""

    HELD = "held"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    WORKING = "working"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    DENIED = "denied"
    REJECTED = "rejected"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


FINAL: Final = frozenset({Status.DENIED, Status.REJECTED, Status.FILLED, Status.CANCELED, Status.EXPIRED})
OPEN: Final = frozenset(Status) - FINAL

NEVER_SENT: Final = "was never sent"
"""In the evidence of an order that was rejected and had certainly not left."""

Kind = type[e.OrderEvent]

S = Status

BEGINNINGS: Final[Mapping[Kind, Status]] = {
    e.OrderAccepted: S.ACCEPTED,
    e.OrderHeld: S.HELD,
    e.OrderDenied: S.DENIED,
    e.OrderAdopted: S.WORKING,
}

_ENDS: Final[Mapping[Kind, Status]] = {
    e.OrderFilled: S.FILLED,
    e.OrderCompleted: S.FILLED,
    e.OrderCanceled: S.CANCELED,
    e.OrderExpired: S.EXPIRED,
    e.OrderRejected: S.REJECTED,
}


def _from(status: Status, rows: Mapping[Kind, Status]) -> dict[tuple[Status, Kind], Status]:
    return {(status, kind): after for kind, after in rows.items()}


def _late(status: Status) -> dict[tuple[Status, Kind], Status]:
    """Real world: executions and answers still arrive after the end, and the end stays the end."""
    kinds: tuple[Kind, ...] = (
        e.OrderPartiallyFilled,
        e.OrderFilled,
        e.ExecutionBusted,
        e.ExecutionCorrected,
        e.ExecutionDuplicated,
        e.CancelRejected,
        e.ReplaceRejected,
        e.OutcomeUnknown,
        e.OrderSent,
    )
    return dict.fromkeys(((status, kind) for kind in kinds), status)


TRANSITIONS: Final[Mapping[tuple[Status, Kind], Status]] = {
    **_from(
        S.HELD,  # no broker has heard of it
        {
            e.OrderAccepted: S.ACCEPTED,  # its market is open, and risk was asked anew
            e.OrderDenied: S.DENIED,
            e.HeldReplaced: S.HELD,
            e.ReplaceDenied: S.HELD,
            e.CancelRequested: S.HELD,  # the end follows at once
            e.OrderCanceled: S.CANCELED,
            e.OrderExpired: S.EXPIRED,
        },
    ),
    **_from(
        S.ACCEPTED,
        {
            e.OrderSent: S.ACCEPTED,
            e.DispatchStarted: S.ACCEPTED,
            e.OrderAcknowledged: S.WORKING,
            e.OutcomeUnknown: S.UNKNOWN,
            e.CancelRequested: S.PENDING_CANCEL,  # asked before the broker answered
            e.OrderPartiallyFilled: S.WORKING,  # real world: the fill overtook the answer
            e.ExecutionBusted: S.WORKING,  # real world: taken back before it was told
            **_ENDS,
        },
    ),
    **_from(
        S.UNKNOWN,
        {
            e.OrderSent: S.UNKNOWN,
            e.OrderAcknowledged: S.WORKING,  # found by the reconciler, or a late answer
            e.OutcomeUnknown: S.UNKNOWN,
            e.DispatchStarted: S.UNKNOWN,  # sent again, where that is harmless
            e.OrderQuarantined: S.UNKNOWN,
            e.OrderResolved: S.UNKNOWN,  # the evidence; the event beside it moves the order
            e.CancelRequested: S.UNKNOWN,  # remembered; sent once the order is found
            e.CancelRejected: S.UNKNOWN,
            e.OrderPartiallyFilled: S.WORKING,  # a fill is proof
            e.ExecutionBusted: S.WORKING,  # and so is one that was taken back
            **_ENDS,
        },
    ),
    **_from(
        S.WORKING,
        {
            e.OrderSent: S.WORKING,
            e.OrderAcknowledged: S.WORKING,  # a broker may restate its own order id
            e.OutcomeUnknown: S.WORKING,  # real world: the stream answered before the call gave up
            e.OrderPartiallyFilled: S.WORKING,
            e.ExecutionBusted: S.WORKING,
            e.ExecutionCorrected: S.WORKING,
            e.ExecutionDuplicated: S.WORKING,
            e.CancelRequested: S.PENDING_CANCEL,
            e.CancelRejected: S.WORKING,
            e.ReplaceRequested: S.PENDING_REPLACE,
            e.ReplaceDenied: S.WORKING,
            e.ReplaceRejected: S.WORKING,
            e.OrderReplaced: S.WORKING,  # real world: the answer came after the reconciler's
            **_ENDS,
        },
    ),
    **_from(
        S.PENDING_CANCEL,
        {
            e.OrderSent: S.PENDING_CANCEL,
            e.DispatchStarted: S.PENDING_CANCEL,
            e.OrderAcknowledged: S.PENDING_CANCEL,
            e.OutcomeUnknown: S.PENDING_CANCEL,  # still asked, still unanswered
            e.OrderQuarantined: S.PENDING_CANCEL,
            e.OrderResolved: S.PENDING_CANCEL,
            e.OrderPartiallyFilled: S.PENDING_CANCEL,
            e.ExecutionBusted: S.PENDING_CANCEL,
            e.ExecutionCorrected: S.PENDING_CANCEL,
            e.ExecutionDuplicated: S.PENDING_CANCEL,
            e.CancelRejected: S.WORKING,
            e.OrderReplaced: S.PENDING_CANCEL,
            e.ReplaceRejected: S.PENDING_CANCEL,
            **_ENDS,
        },
    ),
    **_from(
        S.PENDING_REPLACE,
        {
            e.OrderSent: S.PENDING_REPLACE,
            e.DispatchStarted: S.PENDING_REPLACE,
            e.OrderAcknowledged: S.PENDING_REPLACE,
            e.OutcomeUnknown: S.PENDING_REPLACE,
            e.OrderPartiallyFilled: S.PENDING_REPLACE,
            e.ExecutionBusted: S.PENDING_REPLACE,
            e.ExecutionCorrected: S.PENDING_REPLACE,
            e.ExecutionDuplicated: S.PENDING_REPLACE,
            e.CancelRequested: S.PENDING_CANCEL,
            e.CancelRejected: S.PENDING_REPLACE,
            e.OrderReplaced: S.WORKING,
            e.ReplaceRejected: S.WORKING,
            **_ENDS,
        },
    ),
    **_late(S.FILLED),
    **_late(S.CANCELED),
    **_late(S.EXPIRED),
    **_late(S.REJECTED),
    # Real world: refused, or proven absent by two queries, and there after all.
    (S.REJECTED, e.OrderAcknowledged): S.WORKING,
    (S.REJECTED, e.OrderPartiallyFilled): S.WORKING,
    (S.REJECTED, e.OrderFilled): S.FILLED,
    # Real world: an execution was taken back that had completed it, or put back that had been refused.
    (S.FILLED, e.OrderReopened): S.WORKING,
    (S.REJECTED, e.OrderReopened): S.WORKING,
    # Real world: a larger replacement was alive before the fill that seemed to complete the order.
    (S.FILLED, e.OrderReplaced): S.WORKING,
}


def begin(kind: Kind) -> Status:
    """The status of an order whose first event is of this kind."""
    status = BEGINNINGS.get(kind)
    if status is None:
        raise IllegalTransition(f"no order begins with {kind.__name__}")
    return status


def step(status: Status, kind: Kind) -> Status:
    """The next status, or IllegalTransition when the table has no row."""
    after = TRANSITIONS.get((status, kind))
    if after is None:
        raise IllegalTransition(f"{status} has no row for {kind.__name__}")
    return after
