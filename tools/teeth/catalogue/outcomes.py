"""Mistakes in concluding what became of an order: guessed, believed too early, or never asked."""

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_DISPATCHER: Final = "engine/wire/dispatcher.py"
_SENDINGS: Final = "engine/wire/sendings.py"
_ABSENCES: Final = "engine/reconciling/absences.py"
_MATCHING: Final = "engine/reconciling/order_matching.py"
_ABSORB: Final = "core/orders/absorb.py"
_RECONCILE: Final = "core/orders/reconcile.py"
_AGES: Final = "engine/accounts/ages.py"
_UNKNOWNS: Final = "engine/reconciling/unknowns.py"

MUTATIONS: Final = (
    Mutation(
        id="unknown-is-rejected",
        p0=True,
        what="an unclear answer to a new order counts as a refusal",
        file=_SENDINGS,
        find="            return unknown(order, e.Asked.PLACE, why, now)",
        put='            return e.OrderRejected(order_id=order.id, at=now, reason=why, evidence="unclear")',
    ),
    Mutation(
        id="timeout-is-rejected",
        p0=True,
        what="an answer that did not come in time counts as a refusal",
        file=_SENDINGS,
        find="        case Unknown(why=why):\n            return unknown(order, e.Asked.PLACE",
        put=(
            '        case Unknown(why=why) if why == "no answer in time":\n'
            '            return e.OrderRejected(order_id=order.id, at=now, reason=why, evidence="late")\n'
            "        case Unknown(why=why):\n            return unknown(order, e.Asked.PLACE"
        ),
    ),
    Mutation(
        id="unknown-is-acknowledged",
        p0=True,
        what="an unclear answer to a new order counts as a yes",
        file=_SENDINGS,
        find="            return unknown(order, e.Asked.PLACE, why, now)",
        put="            return e.OrderAcknowledged(order_id=order.id, at=now, broker_order_id=cl_ord)",
    ),
    Mutation(
        id="unknown-replace-is-rejected",
        p0=True,
        what="an unclear answer to a replace counts as a refusal",
        file=_SENDINGS,
        find="            return (unknown(order, e.Asked.REPLACE, why, now),)",
        put="            return (e.ReplaceRejected(order_id=order.id, at=now, version=version, reason=why),)",
    ),
    Mutation(
        id="unknown-cancel-is-canceled",
        p0=True,
        what="an unclear answer to a cancel counts as a yes",
        file=_SENDINGS,
        find="            return (unknown(order, e.Asked.CANCEL, why, now),)",
        put="            return (e.OrderCanceled(order_id=order.id, at=now, evidence=why),)",
    ),
    Mutation(
        id="refused-repeat-believed",
        p0=True,
        what="the refusal of a repeated order ends the order, though the first may be alive",
        file=_DISPATCHER,
        find="order.unknown_since is not None and isinstance(outcome, Rejected | Unsent):",
        put="order.is_final and isinstance(outcome, Rejected | Unsent):",
    ),
    Mutation(
        id="never-sent-though-doubtful",
        p0=True,
        what="an order that may have left before is ended as never sent",
        file=_DISPATCHER,
        find="        if order.unknown_since is not None:\n            return  # it may have left before",
        put="        if order.is_proven:\n            return  # it may have left before",
    ),
    Mutation(
        id="unanswered-counts-as-unsent",
        p0=True,
        what="at recovery an unanswered order counts as never sent",
        file=_MATCHING,
        find="if seat.broker.capabilities.dedup is DedupClass.C and order.dispatched_at is None:",
        put="if order.dispatched_at is None:",
    ),
    Mutation(
        id="refused-cancel-is-canceled",
        p0=True,
        what="a cancel that the broker refuses ends the order",
        file=_SENDINGS,
        find="            rejected = e.CancelRejected(order_id=order.id, at=now, reason=reason)",
        put="            rejected = e.OrderCanceled(order_id=order.id, at=now, evidence=reason)",
    ),
    Mutation(
        id="not-found-believed-at-once",
        p0=True,
        what="the first `no such order` ends the order",
        file=_RECONCILE,
        find="    return absence.answers >= 2 and absence.first_at >= settled_at and apart",
        put="    return absence.answers >= 1 or apart",
    ),
    Mutation(
        id="no-settle-window",
        p0=True,
        what="an absence counts while bytes may still be on their way",
        file=_RECONCILE,
        find="    return doubt + timedelta(seconds=patience.settle_s)",
        put="    return doubt + timedelta(seconds=0 * patience.settle_s)",
    ),
    Mutation(
        id="settle-window-by-the-wall-clock",
        p0=True,
        what="the settle window ends when the wall clock says so, which may jump",
        file=_ABSENCES,
        find="        return self._steady_zero + timedelta(seconds=self._clock.monotonic())",
        put="        return self._clock.now()",
    ),
    Mutation(
        id="replacement-absence-at-once",
        p0=True,
        what="the first `no such version` refuses the replacement",
        file=_ABSENCES,
        find="        if not is_absent(absence, settled_at(order, patience), patience):",
        put="        if absence.answers < 1:",
    ),
    Mutation(
        id="unanswered-never-asked",
        p0=True,
        what="orders without an answer are not asked about",
        file=_MATCHING,
        find="        self._absences.of_order(seat, order.id)\n        return self._denied(seat, order.id)",
        put="        return self._denied(seat, order.id)",
    ),
    Mutation(
        id="old-version-ends-the-order",
        p0=True,
        what="the end of a version that was replaced ends the order",
        file="core/orders/versions.py",
        find="    return (report.version or 1) == order.version",
        put="    return report.version <= order.version",
    ),
    Mutation(
        id="cancel-of-the-replaced-ends-the-order",
        p0=True,
        what="the cancel by which a venue replaces ends the order",
        file="core/orders/absorb.py",
        find="    if order.replacement is not None and not of_asked:\n        return None  # a venue",
        put="    if order.is_final:\n        return None  # a venue",
    ),
    Mutation(
        id="end-before-its-executions",
        p0=True,
        what="an end is believed before its executions are known",
        file=_ABSORB,
        find="    if report.cum_qty is not None and report.cum_qty > order.cum_qty:\n        return True",
        put="    if report.cum_qty is not None and report.own_qty is None:\n        return False",
    ),
    Mutation(
        id="revived-order-ignored",
        p0=True,
        what="a refused order that turns out to be alive stays refused",
        file="core/orders/absorb.py",
        find="    revived = order.status is Status.REJECTED",
        put="    revived = False",
    ),
    Mutation(
        id="expired-is-canceled",
        what="an expired order is written down as canceled",
        file="core/orders/absorb.py",
        find="    if isinstance(report, ExpiredReport):",
        put="    if isinstance(report, CanceledReport):",
    ),
    Mutation(
        id="rejection-on-the-stream-ignored",
        p0=True,
        what="an order that the market refuses after its acknowledgement stays open",
        file="core/orders/absorb.py",
        find="            return _rejected(order, report, at)",
        put="            return None if order.is_proven else _rejected(order, report, at)",
    ),
    Mutation(
        id="doubt-not-alarmed",
        what="nobody is told of an order that stays unknown",
        file=_UNKNOWNS,
        find="            for order in due:\n                self._tell_unknown(seat, order)",
        put="            for order in due:\n                _facts(order)",
    ),
    Mutation(
        id="doubt-aged-by-the-wall-clock",
        what="an order in question gets younger when the wall clock is set back, and is not alarmed",
        file=_AGES,
        find="        return max((clock.now() - since).total_seconds(), watched)",
        put="        return (clock.now() - since).total_seconds() + 0 * watched",
    ),
)
