"""An order as folded from its events. Changes state and judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, assert_never

import msgspec

from ordergate.core.faults import IllegalTransition
from ordergate.core.ids import ClOrdId, OrderId, cl_ord_id
from ordergate.core.money import ZERO, average
from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import FINAL, NEVER_SENT, Status, begin, step
from ordergate.core.orders.terms import OrderType, Terms, asked_as

_replace = msgspec.structs.replace


class Execution(msgspec.Struct, frozen=True, gc=False):
    """An execution of the order, as its latest revision says. Zero quantity once busted.

    `at`, `broker_order_id` and `fee` are as it was first told; `at` is None as long as only changes of it
    were told. What is `gone` never comes back: the broker that took it back numbers no revisions.
    What is `opening` is in the figures that the account was opened with.
    """

    revision: int
    quantity: Decimal
    price: Decimal
    at: datetime | None = None
    broker_order_id: str | None = None
    gone: bool = False
    opening: bool = False
    fee: Decimal = ZERO

    @property
    def is_undated(self) -> bool:
        """It is in the books, and when it was is not known."""
        return self.at is None and not self.opening and self.quantity != ZERO


class Replacement(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A replace that was asked and not yet answered; `version` names its ClOrdID."""

    version: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


class Order(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order. `terms` are the ones in force; `replacement` the ones asked for, if any.

    `last_asked` is the latest replacement ever asked for, answered or not: its version is used up, and a
    refused one may turn out to be alive. `unknown_since` says that an answer is outstanding which must be
    found, whatever the status; `doubted_at` is when bytes may last have left, and `quarantined_at` says that
    only a person can tell. `references` are later ids of executions, by which the broker's corrections named
    them, and `repeated` the ids of those told twice. `actor` is who asked for it, None where it was placed
    elsewhere. `converted_from` is the type that they asked for, where it has become another; the orders that
    it `waits_for` have to be gone before it leaves. `held_until` is when the market opens that it is, or was,
    kept for. One that is `unsized` was placed elsewhere without a quantity: its own is what is filled, and
    only the broker's word completes it. `cancels_asked` counts the cancels, of which the last may be without
    an answer. One that was rejected and is `unsent` never left. `revision` is how many events it has come to:
    two of the same are the same order, as it was at one moment.
    """

    id: OrderId
    terms: Terms
    status: Status
    version: int = 1
    revision: int = 1
    broker_order_id: str | None = None
    cum_qty: Decimal = ZERO
    cum_notional: Decimal = ZERO
    executions: Mapping[str, Execution] = {}
    references: Mapping[str, str] = {}
    repeated: Mapping[str, str] = {}
    replacement: Replacement | None = None
    last_asked: Replacement | None = None
    cancel_requested: bool = False
    cancels_asked: int = 0
    unknown_since: datetime | None = None
    dispatched_at: datetime | None = None
    doubted_at: datetime | None = None
    quarantined_at: datetime | None = None
    candidates: tuple[e.Candidate, ...] = ()
    reason: str | None = None
    failed: tuple[e.FailedControl, ...] = ()
    noted: tuple[e.FailedControl, ...] = ()
    external: bool = False
    unsized: bool = False
    adopted_as: str | None = None
    actor: str | None = None
    reference_price: Decimal | None = None
    converted_from: OrderType | None = None
    waits_for: tuple[OrderId, ...] = ()
    held_until: datetime | None = None
    unsent: bool = False
    accepted_at: datetime
    acknowledged_at: datetime | None = None
    updated_at: datetime
    final_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def said(self) -> Terms:
        """The terms in the client's own words."""
        return asked_as(self.terms, self.converted_from)

    @property
    def leaves_qty(self) -> Decimal:
        """What may still fill: nothing once final."""
        if self.status in FINAL:
            return ZERO
        return max(self.terms.quantity - self.cum_qty, ZERO) if self.cum_qty else self.terms.quantity

    @property
    def avg_px(self) -> Decimal | None:
        return average(self.cum_notional, self.cum_qty) if self.cum_qty else None

    @property
    def cl_ord_id(self) -> ClOrdId:
        """What the broker knows the order in force by."""
        return cl_ord_id(self.id, self.version)

    @property
    def is_asked(self) -> bool:
        """A cancel or a replace was asked and has no answer yet."""
        return self.cancel_requested or self.replacement is not None

    def known_as(self, version: int) -> ClOrdId:
        """What the broker knows this version by: an order placed elsewhere has its own name."""
        if self.adopted_as is not None and version == 1:
            return ClOrdId(self.adopted_as)
        return cl_ord_id(self.id, version)

    @property
    def is_proven(self) -> bool:
        """The broker has shown that it has, or had, the order."""
        return self.acknowledged_at is not None or bool(self.executions)

    @property
    def versions_used(self) -> int:
        """The highest version that any broker may have been told."""
        return self.version if self.last_asked is None else max(self.version, self.last_asked.version)

    @property
    def is_in_question(self) -> bool:
        """Whether the broker has the order is not known: bytes may have left and nothing is proven."""
        return self.unknown_since is not None and not self.is_final and not self.is_proven

    def first_id(self, exec_id: str) -> str:
        """The id that an execution is known by here, given any that the broker's corrections used for it."""
        return self.references.get(exec_id, exec_id)

    def stands_for(self, exec_id: str) -> str:
        """The same for what changes an execution: it may have been told again under another id, too."""
        first = self.first_id(exec_id)
        return first if first in self.executions else self.repeated.get(first, first)

    @property
    def is_overfilled(self) -> bool:
        return self.cum_qty > self.terms.quantity


def first(event: e.AnyOrderEvent) -> Order:
    """The order that its first event makes."""
    match event:
        case e.OrderAccepted() | e.OrderHeld() | e.OrderDenied() | e.OrderAdopted():
            return _begun(event)
        case _:
            raise IllegalTransition(f"no order begins with {type(event).__name__}")


def _begun(event: e.OrderAccepted | e.OrderHeld | e.OrderDenied | e.OrderAdopted) -> Order:
    order = Order(
        id=event.order_id,
        terms=event.terms,
        status=begin(type(event)),
        accepted_at=event.at,
        updated_at=event.at,
    )
    match event:
        case e.OrderAccepted():
            return _replace(
                order,
                reference_price=event.reference_price,
                noted=event.noted,
                actor=event.actor,
                converted_from=event.converted_from,
                waits_for=event.waits_for,
            )
        case e.OrderHeld():
            return _replace(
                order,
                reference_price=event.reference_price,
                noted=event.noted,
                actor=event.actor,
                held_until=event.until,
            )
        case e.OrderDenied():
            return _replace(_refused(order, event), final_at=event.at, actor=event.actor)
        case e.OrderAdopted():
            cum_qty = sum((one.quantity for one in event.executions), ZERO)
            return _replace(
                order,
                terms=_replace(event.terms, quantity=cum_qty) if event.unsized else event.terms,
                external=True,
                unsized=event.unsized,
                adopted_as=event.broker_client_order_id,
                broker_order_id=event.broker_order_id,
                acknowledged_at=event.at,
                executions={
                    one.exec_id: Execution(one.revision, one.quantity, one.price, opening=True)
                    for one in event.executions
                },
                cum_qty=cum_qty,
                cum_notional=sum((one.quantity * one.price for one in event.executions), ZERO),
            )


def evolve(order: Order, event: e.AnyOrderEvent) -> Order:
    """The order after `event`. A pair that the lifecycle table does not have is a fault."""
    status = step(order.status, type(event))
    moved = _replace(order, status=status, revision=order.revision + 1, updated_at=event.at)
    if status is not order.status:
        reason = None if order.is_final else order.reason  # what ended it was not so
        final_at = event.at if status in FINAL else None
        moved = _replace(moved, reason=reason, final_at=final_at)
    return _kept(moved, event) if order.status is Status.HELD else _changed(moved, event)


def _kept(order: Order, event: e.AnyOrderEvent) -> Order:
    """The same of an order that no broker has heard of. Approved, it is as old as its approval."""
    match event:
        case e.OrderAccepted():
            reference = event.reference_price
            return _replace(order, reference_price=reference, noted=event.noted, accepted_at=event.at)
        case e.OrderDenied():
            return _refused(order, event)
        case e.HeldReplaced():
            terms = _replace(
                order.terms,
                quantity=event.quantity,
                limit_price=event.limit_price,
                stop_price=event.stop_price,
            )
            return _replace(order, terms=terms, noted=event.noted)
        case _:
            return _changed(order, event)


def _changed(order: Order, event: e.AnyOrderEvent) -> Order:
    """What the event says besides the status."""
    match event:
        case e.OrderPartiallyFilled() | e.OrderFilled():
            found = order.broker_order_id or event.broker_order_id
            return _with_execution(_replace(order, broker_order_id=found), event.exec_id, _executed(event))
        case e.OrderAcknowledged():
            return _replace(
                order,
                broker_order_id=event.broker_order_id,
                acknowledged_at=order.acknowledged_at or event.at,
                unknown_since=None,
                quarantined_at=None,
                candidates=(),
                reason=None,
            )
        case e.ExecutionBusted():
            return _with_execution(order, event.exec_id, _busted(order, event))
        case e.ExecutionCorrected():
            return _corrected(order, event)
        case e.ExecutionDuplicated():
            return _replace(order, repeated={**order.repeated, event.exec_id: event.same_as})
        case e.ReplaceRequested():
            asked = asked_by(event)
            return _replace(order, replacement=asked, last_asked=asked, doubted_at=event.at)
        case e.OrderReplaced():
            return _replaced(order, event)
        case e.ReplaceRejected():
            return _answered(_replace(order, replacement=None, reason=event.reason))
        case e.CancelRequested():
            return _replace(order, cancel_requested=True, cancels_asked=order.cancels_asked + 1)
        case e.CancelRejected():
            return _answered(_replace(order, cancel_requested=False, reason=event.reason))
        case e.OutcomeUnknown():
            if not _is_unanswered(order, event.asked):
                return order
            return _replace(order, unknown_since=order.unknown_since or event.at, doubted_at=event.at)
        case e.OrderQuarantined():
            since = order.quarantined_at or event.at
            return _replace(order, quarantined_at=since, candidates=event.candidates)
        case e.OrderRejected():
            unsent = NEVER_SENT in event.evidence
            return _settled(_replace(order, reason=event.reason, replacement=None, unsent=unsent))
        case e.OrderCanceled() | e.OrderExpired() | e.OrderCompleted():
            return _settled(_replace(order, replacement=None))
        case e.DispatchStarted():
            return _replace(order, dispatched_at=event.at, doubted_at=event.at)
        case e.ReplaceDenied() | e.OrderResolved() | e.OrderReopened() | e.OrderSent():
            return order
        case e.OrderAccepted() | e.OrderHeld() | e.HeldReplaced() | e.OrderDenied() | e.OrderAdopted():
            raise IllegalTransition(f"{order.id} began already")
        case _:
            assert_never(event)


def _refused(order: Order, event: e.OrderDenied) -> Order:
    return _replace(order, failed=event.failed, noted=event.noted, reason="risk-denied")


def _is_unanswered(order: Order, asked: e.Asked) -> bool:
    """False when the stream told the answer before the call gave up on it."""
    if order.is_final:
        return False
    match asked:
        case e.Asked.PLACE:
            return not order.is_proven
        case e.Asked.CANCEL:
            return order.cancel_requested
        case e.Asked.REPLACE:
            return order.replacement is not None
        case _:
            assert_never(asked)


def _answered(order: Order) -> Order:
    """A refused cancel or replace settles what was unknown, but not whether the order exists."""
    return _replace(order, unknown_since=_still_unknown(order)) if order.is_proven else order


def _still_unknown(order: Order) -> datetime | None:
    """That the order is there, or another answer, does not tell what became of a cancel or a replacement."""
    return order.unknown_since if order.is_proven and order.is_asked else None


def _settled(order: Order) -> Order:
    """Nothing is in question any more, and nobody has to decide anything."""
    return _replace(order, unknown_since=None, quarantined_at=None, candidates=())


def _executed(event: e.Fill) -> Execution:
    return Execution(
        event.revision, event.quantity, event.price, event.broker_at, event.broker_order_id, fee=event.fee
    )


def _busted(order: Order, event: e.ExecutionBusted) -> Execution:
    known = order.executions.get(event.exec_id, _NOTHING)
    revision = known.revision if event.revision is None else event.revision
    gone = known.gone or event.revision is None
    return _replace(known, revision=revision, quantity=ZERO, price=ZERO, gone=gone)


def _corrected(order: Order, event: e.ExecutionCorrected) -> Order:
    known = order.executions.get(event.exec_id, _NOTHING)
    at = known.at or event.broker_at
    after = _replace(known, revision=event.revision, quantity=event.quantity, price=event.price, at=at)
    if event.reference is not None:
        order = _replace(order, references={**order.references, event.reference: event.exec_id})
    return _with_execution(order, event.exec_id, after)


def _with_execution(order: Order, exec_id: str, execution: Execution) -> Order:
    """Cumulative figures are always the sum of the live executions."""
    before = order.executions.get(exec_id, _NOTHING)
    cum_qty = order.cum_qty - before.quantity + execution.quantity
    return _replace(
        order,
        terms=_replace(order.terms, quantity=cum_qty) if order.unsized else order.terms,
        executions={**order.executions, exec_id: execution},
        cum_qty=cum_qty,
        cum_notional=order.cum_notional
        - before.quantity * before.price
        + execution.quantity * execution.price,
        unknown_since=_still_unknown(order),
        quarantined_at=None,
        candidates=(),
    )


_NOTHING: Final = Execution(0, ZERO, ZERO)


def as_replaced(terms: Terms, asked: Replacement | Terms) -> Terms:
    """The terms as a replacement makes them."""
    return _replace(
        terms, quantity=asked.quantity, limit_price=asked.limit_price, stop_price=asked.stop_price
    )


def asked_by(event: e.ReplaceRequested) -> Replacement:
    """The replacement that an approval is of."""
    return Replacement(
        version=event.version,
        quantity=event.quantity,
        limit_price=event.limit_price,
        stop_price=event.stop_price,
    )


def _replaced(order: Order, event: e.OrderReplaced) -> Order:
    asked = order.last_asked
    if asked is None or asked.version != event.version:
        terms = order.terms if event.shown is None else as_replaced(order.terms, event.shown)
        return _replace(order, terms=terms, broker_order_id=event.broker_order_id, version=event.version)
    return _replace(
        order,
        terms=as_replaced(order.terms, asked),
        version=event.version,
        broker_order_id=event.broker_order_id,
        replacement=None,
        unknown_since=None,
    )
