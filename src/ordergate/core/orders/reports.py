"""A broker's news, in our words: unproven until absorbed.

Adapters translate every wire word into one of these reports or fail; they never guess.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Terms


class Report(msgspec.Struct, frozen=True, gc=False, kw_only=True):
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
    """The execution was taken back. `revision` is None where the broker numbers none."""

    exec_id: str
    revision: int | None = None


class CorrectedReport(Report, frozen=True, kw_only=True):
    """The execution is changed. `revision` is None where the broker numbers none: then every

    correction has a `reference`, an id of its own. With `delta` the quantity is what is added to
    the execution (or taken from it, below zero); without, it is the whole as it is now. The price
    is the execution's either way.
    """

    exec_id: str
    revision: int | None
    quantity: Decimal
    price: Decimal
    reference: str | None = None
    delta: bool = False


class EndedReport(Report, frozen=True, kw_only=True):
    """The order works no more. At least `cum_qty` of it was filled, if the broker says.

    `own_qty` is what this broker order alone filled, where it replaced others that filled as well.
    """

    cum_qty: Decimal | None = None
    own_qty: Decimal | None = None


class CanceledReport(EndedReport, frozen=True, kw_only=True): ...


class ExpiredReport(EndedReport, frozen=True, kw_only=True): ...


class CompletedReport(EndedReport, frozen=True, kw_only=True):
    """The broker holds the order complete, whatever its terms ask for."""


class RejectedReport(EndedReport, frozen=True, kw_only=True):
    reason: str


class Successor(msgspec.Struct, frozen=True, gc=False):
    """What took an order's place, as the broker shows it: a version of ours, or 0 for none of ours."""

    version: int
    terms: Terms


class ReplacedReport(EndedReport, frozen=True, kw_only=True):
    """The order was replaced; `replaced_by` is the broker's id of the new one, `by` what that shows."""

    replaced_by: str
    by: Successor | None = None


class CancelRejectedReport(Report, frozen=True, kw_only=True):
    reason: str


class ReplaceRejectedReport(Report, frozen=True, kw_only=True):
    reason: str


AnyReport = (
    AcknowledgedReport
    | ExecutedReport
    | BustedReport
    | CorrectedReport
    | CompletedReport
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

    @property
    def is_alive(self) -> bool:
        """It may still trade there."""
        return self in (BrokerStatus.PENDING, BrokerStatus.WORKING)


NO_SYMBOL: Final = Symbol("")
"""Where an order trades that is in several symbols at once: it is named, and nothing is booked to it."""


class OrderSnapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order as a query answered it. `avg_px` is of all of `cum_qty`; None where that is not told.
    `created_at` is the same whenever it is told.

    An order that was placed elsewhere may be of a kind that our terms have no words for. `inexpressible` says
    what they leave out then, and `terms` are the nearest that could do no less than it can. One that is
    `unsized` was given no quantity: it has what is filled, and only the broker can say that it is complete.
    """

    cl_ord_id: str
    version: int
    broker_order_id: str
    status: BrokerStatus
    terms: Terms
    cum_qty: Decimal
    avg_px: Decimal | None = None
    replaced_by: str | None = None
    reason: str | None = None
    broker_at: datetime | None = None
    inexpressible: str | None = None
    unsized: bool = False
    created_at: datetime | None = None
