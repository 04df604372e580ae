"""What a broker's answer to an order, a cancel or a replacement comes to, and when that had left.

The acknowledgement of an order keeps when it was durable and sent; where the broker's stream was quicker
than its answer, or the answer is no acknowledgement, they are an event of their own. Decides nothing
about sending.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ordergate.core.ids import ClOrdId
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import absorb
from ordergate.core.orders.order import Order
from ordergate.ports.broker import Acknowledged, Outcome, Rejected, Unknown, Unsent
from ordergate.telemetry.log import logger

log = logger("dispatcher")


def sent_before(order: Order) -> Order:
    """As one that may have left before: a lost commit may have taken that doubt along."""
    since = order.unknown_since or order.updated_at
    return msgspec.structs.replace(order, unknown_since=since)


def answered(
    order: Order, cl_ord: ClOrdId, outcome: Outcome, sent: e.OrderSent | None, now: datetime
) -> tuple[e.AnyOrderEvent, ...]:
    """The events that the answer to a new order proves, with when it was sent."""
    event = _proven(order, cl_ord, outcome, now)
    if sent is None:
        return () if event is None else (event,)
    if isinstance(event, e.OrderAcknowledged):
        times = {"sent_at": sent.sent_at, "committed_at": sent.committed_at}
        return (msgspec.structs.replace(event, **times),)
    return (sent,) if event is None else (sent, event)


def _proven(order: Order, cl_ord: ClOrdId, outcome: Outcome, now: datetime) -> e.AnyOrderEvent | None:
    if isinstance(outcome, Acknowledged):
        report = r.AcknowledgedReport(
            cl_ord_id=cl_ord,
            version=order.version,
            broker_order_id=outcome.broker_order_id,
            broker_at=outcome.broker_at,
        )
        return absorb(order, report, now)
    if order.is_final or order.broker_order_id is not None:
        return None
    match outcome:
        case Rejected(reason=reason):
            evidence = f"the broker's answer to {cl_ord}"
            return e.OrderRejected(order_id=order.id, at=now, reason=reason, evidence=evidence)
        case Unsent(why=why):
            evidence = f"{cl_ord} was never sent"
            return e.OrderRejected(order_id=order.id, at=now, reason=why, evidence=evidence)
        case Unknown(why=why):
            return unknown(order, e.Asked.PLACE, why, now)


def of_cancel(order: Order, version: int, outcome: Outcome, now: datetime) -> tuple[e.AnyOrderEvent, ...]:
    """What the answer to a cancel of this version proves by itself."""
    match outcome:
        case Acknowledged():
            return ()  # received; the stream or a query will prove the cancel
        case Rejected(reason=reason):
            # "No such order" about one that the broker never showed says nothing yet: the
            # question for its place is still open, and is the reconciler's. Nor does it about one that
            # was replaced, or may have been: the cancel is asked again of what took its place.
            rejected = e.CancelRejected(order_id=order.id, at=now, reason=reason)
            is_of_it = order.version == version and order.replacement is None
            return (rejected,) if order.is_proven and is_of_it else ()
        case Unsent(why=why) | Unknown(why=why):
            return (unknown(order, e.Asked.CANCEL, why, now),)


def of_replacement(
    order: Order, version: int, outcome: Outcome, now: datetime
) -> tuple[e.AnyOrderEvent, ...]:
    """The same of a replacement."""
    match outcome:
        case Acknowledged():
            return ()  # a broker may take the request and lose it to a fill: wait for proof
        case Rejected(reason=reason):
            return (e.ReplaceRejected(order_id=order.id, at=now, version=version, reason=reason),)
        case Unsent(why=why):
            return (e.ReplaceRejected(order_id=order.id, at=now, version=version, reason=why, unsent=True),)
        case Unknown(why=why):
            return (unknown(order, e.Asked.REPLACE, why, now),)


def correlation_of(order: Order) -> str:
    """Under which the answers about it are in the journal."""
    return f"dispatch.{order.cl_ord_id}"


def unknown(order: Order, asked: e.Asked, why: str, now: datetime) -> e.OutcomeUnknown:
    log.warning("outcome.unknown", order=order.id, asked=asked, why=why)
    return e.OutcomeUnknown(order_id=order.id, at=now, asked=asked, why=why)
