"""Alpaca's news as reports: from the stream, and the same executions from the history."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypedDict, assert_never

import msgspec

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import Contradiction
from ordergate.brokers.alpaca.translate.orders import REJECTED, version
from ordergate.core.ids import Env
from ordergate.core.money import ZERO
from ordergate.core.orders import reports as r
from ordergate.core.orders.reports import OrderSnapshot


class _Head(TypedDict):
    """What every report begins with."""

    cl_ord_id: str
    version: int
    broker_order_id: str
    broker_at: datetime | None


class _Sums(TypedDict):
    """What the end of an order says of its executions."""

    cum_qty: Decimal
    own_qty: Decimal | None


def report(update: wire.Update, env: Env) -> r.AnyReport | None:
    """What the news proves; None for steps on the way that prove nothing yet."""
    order, event = update.order, update.event
    head = _Head(
        cl_ord_id=order.client_order_id,
        version=version(env, order.client_order_id),
        broker_order_id=order.id,
        broker_at=update.timestamp or order.updated_at,
    )
    match event:
        case "new":
            return r.AcknowledgedReport(**head)
        case "accepted" | "pending_new" | "held":
            # A replacement that is only accepted may still lose to a fill of what it replaces.
            return None if order.replaces is not None else r.AcknowledgedReport(**head)
        case "partial_fill" | "fill":
            return _executed(update, head)
        case "canceled":
            return r.CanceledReport(**head, **_sums(order, head))
        case "expired":
            return r.ExpiredReport(**head, **_sums(order, head))
        case "rejected":
            return r.RejectedReport(**head, **_sums(order, head), reason=REJECTED)
        case "replaced":
            by = _given(order.replaced_by, update, "replaced_by")
            return r.ReplacedReport(**head, **_sums(order, head), replaced_by=by)
        case "order_cancel_rejected":
            return r.CancelRejectedReport(**head, reason="the broker refused the cancel")
        case "order_replace_rejected":
            return r.ReplaceRejectedReport(**head, reason="the broker refused the replacement")
        case "trade_bust":
            gone = _given(update.previous_execution_id, update, "previous_execution_id")
            return r.BustedReport(**head, exec_id=gone)
        case "trade_correct":
            return _corrected(update, head)
        case "pending_cancel" | "pending_replace":
            return None
        case "done_for_day" | "stopped" | "suspended" | "calculated" | "restated":
            return None
        case _:
            assert_never(event)


def _sums(order: wire.Order, head: _Head) -> _Sums:
    """One that replaces another counts its own alone. Of those, one from elsewhere is an order of its own."""
    filled = Decimal(order.filled_qty)
    is_part = order.replaces is not None and head["version"] > 0
    return _Sums(cum_qty=filled, own_qty=filled if is_part else None)


def _executed(update: wire.Update, head: _Head) -> r.ExecutedReport:
    order = update.order
    return r.ExecutedReport(
        **head,
        exec_id=_given(update.execution_id, update, "execution_id"),
        quantity=_positive(_given(update.qty, update, "qty"), "qty"),
        price=Decimal(_given(update.price, update, "price")),
        # The sum of this broker order; over a replacement it is not the sum of ours.
        cum_qty=Decimal(order.filled_qty) if order.replaces is None else None,
    )


def _corrected(update: wire.Update, head: _Head) -> r.CorrectedReport:
    """The correction has an id of its own, and no number; the execution keeps its first id."""
    corrected = _given(update.previous_execution_id, update, "previous_execution_id")
    own = None if update.execution_id == corrected else update.execution_id
    return r.CorrectedReport(
        **head,
        exec_id=corrected,
        revision=1 if own is None else None,
        quantity=_positive(_given(update.qty, update, "qty"), "qty"),
        price=Decimal(_given(update.price, update, "price")),
        reference=own,
    )


def executed(fill: wire.FillActivity, client_order_id: str, env: Env) -> r.ExecutedReport:
    """A fill of the history, with the same execution id that the stream gave it."""
    return r.ExecutedReport(
        cl_ord_id=client_order_id,
        version=version(env, client_order_id),
        broker_order_id=fill.order_id,
        broker_at=fill.transaction_time,
        exec_id=fill.id.partition("::")[2],
        quantity=_positive(fill.qty, "qty"),
        price=Decimal(fill.price),
    )


def of_leg(report: r.ExecutedReport, leg: OrderSnapshot) -> r.ExecutedReport:
    """The same, of the order that one symbol's part of an order in several is here."""
    return msgspec.structs.replace(
        report, cl_ord_id=leg.cl_ord_id, version=leg.version, broker_order_id=leg.broker_order_id
    )


def _given(value: str | None, update: wire.Update, name: str) -> str:
    if value is None:
        raise Contradiction(f"{update.event} of order {update.order.id} without {name}")
    return value


def _positive(amount: str, name: str) -> Decimal:
    value = Decimal(amount)
    if value <= ZERO:
        raise Contradiction(f"{name} of an execution must be positive, was {amount}")
    return value
