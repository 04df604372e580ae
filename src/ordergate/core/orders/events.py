"""What has happened to an order. Past tense; journalled for ever, never changed.

Each kind's tag is what the journal stores, so a tag is never renamed; a kind whose fields
change gets an upcaster in the journal's codec and a golden file of the old form.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from ordergate.core.ids import ClOrdId, OrderId
from ordergate.core.orders.terms import OrderType, Terms


class Asked(StrEnum):
    """Which question to the broker an outcome answers."""

    PLACE = "place"
    CANCEL = "cancel"
    REPLACE = "replace"


class OrderEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every order event. `at` is when this gateway decided or learned it (UTC)."""

    order_id: OrderId
    at: datetime


class Severity(StrEnum):
    """A hard no is final. A soft one is as much of a no, and may be overridden for one order."""

    HARD = "hard"
    SOFT = "soft"


class FailedControl(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One risk control that said no, with the numbers that justify it, as decimal strings."""

    control: str
    reason: str
    detail: str
    limit: str | None = None
    value: str | None = None
    headroom: str | None = None
    inputs: dict[str, str] = {}
    severity: Severity = Severity.HARD


class Basis(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a decision of risk was made by, besides the limits and the price, and how long it took.

    What was held and open on each side is as it was before the order itself counted. `received_at` is when
    the gateway took the request, where that is earlier than the event's own time, which is that of the
    decision. `monotonic_us` is the process's own clock then, and `offset_us` how far the
    machine's was off when it was last measured, None where nothing can tell.
    """

    position: Decimal
    open_buys: Decimal
    open_sells: Decimal
    reference_at: datetime | None = None
    reference_source: str | None = None
    received_at: datetime | None = None
    took_us: int = 0
    monotonic_us: int = 0
    offset_us: int | None = None


class OrderAccepted(OrderEvent, frozen=True, kw_only=True, tag="order_accepted"):
    """Durable and approved by risk. `config_hash` names the limits that approved it.

    `reference_price` is the market's price that risk judged by; a market order's exposure stays
    reserved at it. `noted` is what controls in shadow would have refused. `content_hash` is of what
    risk approved, and nothing else may be sent. `converted_from` is the type that was asked for, where
    the limits made it another. The orders that it `waits_for` are canceled, and
    gone before it leaves. `fx` are the rates that risk converted by, with their age and source. `expires_at`
    is when the session ends that an order for the day is good for, where its hours are known.
    """

    terms: Terms
    actor: str
    config_hash: str
    reference_price: Decimal | None = None
    noted: tuple[FailedControl, ...] = ()
    content_hash: str = ""
    converted_from: OrderType | None = None
    waits_for: tuple[OrderId, ...] = ()
    fx: dict[str, str] = {}
    basis: Basis | None = None
    expires_at: datetime | None = None


class OrderHeld(OrderEvent, frozen=True, kw_only=True, tag="order_held"):
    """Durable, and kept until its market opens at `until`: every control but the hours let it pass then.

    It is not approved to be sent. Risk is asked anew when it is to leave: the `OrderAccepted` that follows
    is the approval, and an `OrderDenied` ends it. `reference_price` is what a market order is reserved at.
    """

    terms: Terms
    actor: str
    config_hash: str
    until: datetime
    reference_price: Decimal | None = None
    noted: tuple[FailedControl, ...] = ()
    basis: Basis | None = None


class HeldReplaced(OrderEvent, frozen=True, kw_only=True, tag="held_replaced"):
    """An order that is kept is another one from now on; no broker has to be asked."""

    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    actor: str
    config_hash: str
    noted: tuple[FailedControl, ...] = ()
    basis: Basis | None = None


class OrderDenied(OrderEvent, frozen=True, kw_only=True, tag="order_denied"):
    """Refused by risk and never sent; of an order that was kept, at the moment it was to leave."""

    terms: Terms
    actor: str
    config_hash: str
    failed: tuple[FailedControl, ...]
    noted: tuple[FailedControl, ...] = ()
    reference_price: Decimal | None = None
    basis: Basis | None = None


class DispatchStarted(OrderEvent, frozen=True, kw_only=True, tag="dispatch_started"):
    """Written before a broker of class C is told it, and before an unanswered order is sent again to any."""

    cl_ord_id: ClOrdId


class OrderAcknowledged(OrderEvent, frozen=True, kw_only=True, tag="order_acknowledged"):
    """The broker has it. Both times of ours are as in `OrderSent`, where its answer was heard of it first."""

    broker_order_id: str
    broker_at: datetime | None = None
    committed_at: datetime | None = None
    sent_at: datetime | None = None


class OrderSent(OrderEvent, frozen=True, kw_only=True, tag="order_sent"):
    """It left at `sent_at`, as far as this process knows, `committed_at` having become durable here.

    Written when the broker's answer came, where that made no `OrderAcknowledged` to say it in. `asked` is
    what left: the order, also when it was sent again, a cancel of it, or its replacement by `version`. What
    proves a cancel or a replacement says it in itself, if it was the order's next event.
    """

    sent_at: datetime
    committed_at: datetime | None = None
    asked: Asked = Asked.PLACE
    version: int | None = None


class OutcomeUnknown(OrderEvent, frozen=True, kw_only=True, tag="outcome_unknown"):
    """Bytes may have left and no certain answer came. Leaves only on proof."""

    asked: Asked
    why: str


class Candidate(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An order at the broker that may be the one in question: what the broker shows of it."""

    broker_order_id: str
    status: str
    symbol: str
    side: str
    quantity: Decimal
    cum_qty: Decimal
    avg_px: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    broker_at: datetime | None = None


class OrderQuarantined(OrderEvent, frozen=True, kw_only=True, tag="order_quarantined"):
    """No question to the broker can prove this order's fate: a person decides.

    `candidates` are the broker's orders that it may be. Written again when they change.
    """

    why: str
    candidates: tuple[Candidate, ...] = ()


class Resolution(StrEnum):
    """What a person may say became of an order whose outcome no proof shows."""

    NEVER_ARRIVED = "never-arrived"
    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class OrderResolved(OrderEvent, frozen=True, kw_only=True, tag="order_resolved"):
    """A person's word on an order in question: the evidence for the event that comes with it.

    `cum_qty` and `avg_px` are what was filled, where it ended with something filled.
    """

    resolution: Resolution
    actor: str
    reason: str
    broker_order_id: str | None = None
    cum_qty: Decimal | None = None
    avg_px: Decimal | None = None


class OrderRejected(OrderEvent, frozen=True, kw_only=True, tag="order_rejected"):
    """Refused by the broker, or proven never to have reached it; `evidence` says how."""

    reason: str
    evidence: str


class Fill(OrderEvent, frozen=True, kw_only=True):
    """One execution. Identity is the broker's execution id and revision.

    `quantity` and `price` are of this execution alone; `fee` is in the account's currency.
    """

    exec_id: str
    revision: int = 0
    quantity: Decimal
    price: Decimal
    fee: Decimal = Decimal(0)
    broker_at: datetime | None = None
    broker_order_id: str | None = None


class OrderPartiallyFilled(Fill, frozen=True, kw_only=True, tag="order_partially_filled"):
    """An execution that leaves something open."""


class OrderFilled(Fill, frozen=True, kw_only=True, tag="order_filled"):
    """The execution that completes the order (or overfills it)."""


class ExecutionBusted(OrderEvent, frozen=True, kw_only=True, tag="execution_busted"):
    """The broker took an execution back.

    With a `revision` a later one may put it back; without one it is gone for good.
    """

    exec_id: str
    revision: int | None = None


class ExecutionCorrected(OrderEvent, frozen=True, kw_only=True, tag="execution_corrected"):
    """The broker replaced an execution's quantity and price; both are as they are now, whole.

    `exec_id` is the id that the execution was first known by. `reference` is the id that the
    broker gave the correction itself, if it did: later news may name the execution by it.
    `broker_at` is when the execution itself was, where the news says so: it puts one that was known by
    its changes alone into its place.
    """

    exec_id: str
    revision: int
    quantity: Decimal
    price: Decimal
    reference: str | None = None
    broker_at: datetime | None = None


class ExecutionDuplicated(OrderEvent, frozen=True, kw_only=True, tag="execution_duplicated"):
    """The broker told the execution `same_as` again under a new id. Evidence: nothing is booked."""

    exec_id: str
    same_as: str
    quantity: Decimal
    price: Decimal
    broker_at: datetime | None = None


class OrderCompleted(OrderEvent, frozen=True, kw_only=True, tag="order_completed"):
    """Complete without a further execution: by a correction, or because the broker says so."""

    evidence: str


class OrderReopened(OrderEvent, frozen=True, kw_only=True, tag="order_reopened"):
    """Its live executions no longer say that it has ended; the broker may work it on."""

    evidence: str


class CancelRequested(OrderEvent, frozen=True, kw_only=True, tag="cancel_requested"):
    actor: str


class OfRequest(OrderEvent, frozen=True, kw_only=True):
    """What may answer a cancel or a replacement. Both times are of what was asked, as in `OrderSent`."""

    committed_at: datetime | None = None
    sent_at: datetime | None = None


class CancelRejected(OfRequest, frozen=True, kw_only=True, tag="cancel_rejected"):
    reason: str


class OrderCanceled(OfRequest, frozen=True, kw_only=True, tag="order_canceled"):
    evidence: str


class OrderExpired(OrderEvent, frozen=True, kw_only=True, tag="order_expired"):
    evidence: str


class ReplaceRequested(OrderEvent, frozen=True, kw_only=True, tag="replace_requested"):
    """Approved by risk for the worst case of old and new. `version` makes the new ClOrdID.

    `content_hash` is of the terms as they become.
    """

    version: int
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    actor: str
    config_hash: str
    noted: tuple[FailedControl, ...] = ()
    content_hash: str = ""
    reference_price: Decimal | None = None
    basis: Basis | None = None


class ReplaceDenied(OrderEvent, frozen=True, kw_only=True, tag="replace_denied"):
    """Refused by risk and never sent; the order stands as it was."""

    actor: str
    config_hash: str
    failed: tuple[FailedControl, ...]
    noted: tuple[FailedControl, ...] = ()
    reference_price: Decimal | None = None
    basis: Basis | None = None


class OrderReplaced(OfRequest, frozen=True, kw_only=True, tag="order_replaced"):
    version: int
    broker_order_id: str
    shown: Terms | None = None  # by which it is in force, if it is not the last one that was asked for


class ReplaceRejected(OfRequest, frozen=True, kw_only=True, tag="replace_rejected"):
    version: int
    reason: str
    unsent: bool = False  # it certainly never left


class BookedExecution(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An execution that the figures an account was opened with contain already."""

    exec_id: str
    revision: int
    quantity: Decimal
    price: Decimal


class OrderAdopted(OrderEvent, frozen=True, kw_only=True, tag="order_adopted"):
    """Found at the broker and not placed by us: taken into the books, never dropped.

    `executions` are those from before the account was opened: the order's, and booked already. Where it is
    of a kind that our terms have no words for, `inexpressible` says what they leave out; one that is
    `unsized` was given no quantity, and has what is filled.
    """

    terms: Terms
    broker_order_id: str
    broker_client_order_id: str
    executions: tuple[BookedExecution, ...] = ()
    inexpressible: str | None = None
    unsized: bool = False


AnyOrderEvent = (
    OrderAccepted
    | OrderHeld
    | HeldReplaced
    | OrderDenied
    | DispatchStarted
    | OrderAcknowledged
    | OrderSent
    | OutcomeUnknown
    | OrderQuarantined
    | OrderResolved
    | OrderRejected
    | OrderPartiallyFilled
    | OrderFilled
    | ExecutionBusted
    | ExecutionCorrected
    | ExecutionDuplicated
    | OrderCompleted
    | OrderReopened
    | CancelRequested
    | CancelRejected
    | OrderCanceled
    | OrderExpired
    | ReplaceRequested
    | ReplaceDenied
    | OrderReplaced
    | ReplaceRejected
    | OrderAdopted
)
