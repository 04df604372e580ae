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
from ordergate.core.orders.terms import Terms


class Asked(StrEnum):
    """Which question to the broker an outcome answers."""

    PLACE = "place"
    CANCEL = "cancel"
    REPLACE = "replace"


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every order event. `at` is when this gateway decided or learned it (UTC)."""

    order_id: OrderId
    at: datetime


class OrderAccepted(OrderEvent, frozen=True, kw_only=True, tag="order_accepted"):
    """Durable and approved by risk. `config_hash` names the limits that approved it.

    `reference_price` is the market's price that risk judged by; a market order's exposure stays
    reserved at it.
    """

    terms: Terms
    actor: str
    config_hash: str
    reference_price: Decimal | None = None


class FailedControl(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One risk control that said no, with the numbers that justify it, as decimal strings."""

    control: str
    reason: str
    detail: str
    limit: str | None = None
    value: str | None = None
    headroom: str | None = None
    inputs: dict[str, str] = {}


class OrderDenied(OrderEvent, frozen=True, kw_only=True, tag="order_denied"):
    """Refused by risk and never sent."""

    terms: Terms
    actor: str
    config_hash: str
    failed: tuple[FailedControl, ...]


class DispatchStarted(OrderEvent, frozen=True, kw_only=True, tag="dispatch_started"):
    """Written before speaking to a broker that neither dedups nor can be queried (class C)."""

    cl_ord_id: ClOrdId


class OrderAcknowledged(OrderEvent, frozen=True, kw_only=True, tag="order_acknowledged"):
    """The broker has it."""

    broker_order_id: str
    broker_at: datetime | None = None


class OutcomeUnknown(OrderEvent, frozen=True, kw_only=True, tag="outcome_unknown"):
    """Bytes may have left and no certain answer came. Leaves only on proof."""

    asked: Asked
    why: str


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
    """The broker took an execution back."""

    exec_id: str


class ExecutionCorrected(OrderEvent, frozen=True, kw_only=True, tag="execution_corrected"):
    """The broker replaced an execution's quantity and price."""

    exec_id: str
    revision: int
    quantity: Decimal
    price: Decimal


class CancelRequested(OrderEvent, frozen=True, kw_only=True, tag="cancel_requested"):
    actor: str


class CancelRejected(OrderEvent, frozen=True, kw_only=True, tag="cancel_rejected"):
    reason: str


class OrderCanceled(OrderEvent, frozen=True, kw_only=True, tag="order_canceled"):
    evidence: str


class OrderExpired(OrderEvent, frozen=True, kw_only=True, tag="order_expired"):
    evidence: str


class ReplaceRequested(OrderEvent, frozen=True, kw_only=True, tag="replace_requested"):
    """Approved by risk for the worst case of old and new. `version` makes the new ClOrdID."""

    version: int
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    actor: str
    config_hash: str


class ReplaceDenied(OrderEvent, frozen=True, kw_only=True, tag="replace_denied"):
    """Refused by risk and never sent; the order stands as it was."""

    actor: str
    config_hash: str
    failed: tuple[FailedControl, ...]


class OrderReplaced(OrderEvent, frozen=True, kw_only=True, tag="order_replaced"):
    version: int
    broker_order_id: str


class ReplaceRejected(OrderEvent, frozen=True, kw_only=True, tag="replace_rejected"):
    version: int
    reason: str


class BookedExecution(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that the figures an account was opened with contain already."""

    exec_id: str
    revision: int
    quantity: Decimal
    price: Decimal


class OrderAdopted(OrderEvent, frozen=True, kw_only=True, tag="order_adopted"):
    """Found at the broker and not placed by us: taken into the books, never dropped.

    `executions` are those from before the account was opened: the order's, and booked already.
    """

    terms: Terms
    broker_order_id: str
    broker_client_order_id: str
    executions: tuple[BookedExecution, ...] = ()


AnyOrderEvent = (
    OrderAccepted
    | OrderDenied
    | DispatchStarted
    | OrderAcknowledged
    | OutcomeUnknown
    | OrderRejected
    | OrderPartiallyFilled
    | OrderFilled
    | ExecutionBusted
    | ExecutionCorrected
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
