"""The promise of a brokerage: one question, one outcome, and unknown when it is not certain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeAlias

import msgspec

from ordergate.core.ids import ClOrdId, E, Live, Paper, Symbol
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reconcile import DedupClass as DedupClass  # noqa: PLC0414  # part of this promise
from ordergate.core.orders.reports import AnyReport, OrderSnapshot
from ordergate.core.orders.terms import Terms


class Corrections(StrEnum):
    """What the quantity of a correction is: the execution's, or what is added to it."""

    REPLACE = "replace"
    DELTA = "delta"


class Capabilities(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an adapter declares and the conformance suite tests.

    `resend_is_safe` stays False until the dedup claim was proven against the real host.
    `visibility_lag_s` is how long a placed order may be invisible to queries. Where
    `cancels_by_client_id`, an order can be canceled before the broker has told its own id.
    Where `cancels_all` it takes one cancel for everything that is open; where `dead_man` it cancels all of
    that by itself when it was not asked again in time.
    `venues` are those that an order may name; one that names another is rejected, and not sent elsewhere.
    A broker of class C holds no client order id: its reports, and `find`, have its own order id
    in that place.
    """

    name: str
    dedup: DedupClass
    resend_is_safe: bool
    visibility_lag_s: float
    order_types: frozenset[str]
    times_in_force: frozenset[str]
    replaces: bool
    cancels_by_client_id: bool = True
    corrections: Corrections = Corrections.REPLACE
    cancels_all: bool = False
    dead_man: bool = False
    venues: frozenset[str] = frozenset()


class Acknowledged(msgspec.Struct, frozen=True, gc=False):
    broker_order_id: str
    broker_at: datetime | None = None


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A definite no; the broker does not hold the order (or did not do what was asked)."""

    reason: str


class Unsent(msgspec.Struct, frozen=True, gc=False):
    """Certainly not a byte left: no connection, or our own rate limit. May be tried again."""

    why: str
    retry_after_s: float = 0.0


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Bytes may have left, and no certain answer came."""

    why: str


Outcome = Acknowledged | Rejected | Unsent | Unknown


class NotFound(msgspec.Struct, frozen=True, gc=False):
    """A definite answer: the broker knows no such order now."""


class BrokerAccount(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a session is really logged in to. `fingerprint` identifies the account there.

    `foreign_cash` is the cash in every other currency, one that is not named having none; None where the
    broker tells the one currency alone, and nothing follows for others.
    """

    fingerprint: str
    currency: str
    cash: Decimal
    foreign_cash: Mapping[str, Decimal] | None = None
    buying_power: Decimal | None
    blocked: str | None


class Holding(msgspec.Struct, frozen=True, gc=False):
    """A position as the broker shows it: signed quantity, and the average price it was had for."""

    quantity: Decimal
    avg_px: Decimal


class BrokerExecution(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An execution from the broker's history, with the report it amounts to.

    `snapshot` is there where the execution says what no question can: of an order in several symbols the
    executions in each are told as an order of their own, which is over.
    """

    cursor: str
    report: AnyReport
    symbol: Symbol
    snapshot: OrderSnapshot | None = None


class StreamUp(msgspec.Struct, frozen=True, gc=False):
    """The broker's stream is connected from now on; what came before may have been missed."""


class StreamDown(msgspec.Struct, frozen=True, gc=False):
    why: str


class News(msgspec.Struct, frozen=True, gc=False):
    """A report, with the order's terms where the broker gives them (for orders not ours)."""

    report: AnyReport
    snapshot: OrderSnapshot | None = None


BrokerNews = News | StreamUp | StreamDown


Veto = Callable[[], str | None]
"""Why a command must not leave, or None: asked after every wait, right before the first byte."""


def no_veto() -> None:
    """Nothing speaks against it."""


class OpenOrders(list[OrderSnapshot]):
    """What a broker shows open. `is_whole` says that nothing was left out: what is not on it is not there."""

    def __init__(self, shown: Iterable[OrderSnapshot] = (), *, is_whole: bool = True) -> None:
        super().__init__(shown)
        self.is_whole = is_whole


class Broker(Protocol[E]):
    """One brokerage account, of one environment.

    Orders that were placed elsewhere are shown whatever they are, at worst in no symbol: none may hide the
    others.

    Every call has a timeout of its own and never raises for the wire: a failure is Unsent,
    Rejected or Unknown. Queries raise BrokerUnavailable. What a veto speaks against is
    Unsent, with its words.
    """

    capabilities: Capabilities
    env: E

    async def place(self, cl_ord_id: ClOrdId, terms: Terms, veto: Veto) -> Outcome: ...

    async def cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None, veto: Veto = no_veto) -> Outcome:
        """Where `broker_order_id` is None the order is looked up by client order id first.

        Nothing speaks against a cancel: its veto is asked so that who gave it knows when it left.
        """
        ...

    async def cancel_all(self, veto: Veto = no_veto) -> Outcome:
        """One cancel for everything open at the broker; each order's end is told and found as any other.

        Rejected where the broker has no such thing. `Acknowledged` names no order.
        """
        ...

    async def dead_man(self, timeout_s: float) -> Outcome:
        """Cancel everything open in so many seconds, unless asked again before; 0 is never.

        Rejected where the broker has no such thing.
        """
        ...

    async def replace(
        self, broker_order_id: str, new_cl_ord_id: ClOrdId, terms: Terms, asked: Replacement, veto: Veto
    ) -> Outcome: ...

    async def find(self, cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound: ...

    async def open_orders(self) -> OpenOrders:
        """Every order that is open. One that cannot be read is left out, so that it hides no other."""
        ...

    async def recent_orders(self, since: datetime) -> list[OrderSnapshot]:
        """Every order placed since then, open or not, in one list and not one question for each.

        What is not on it counts as not there, so nothing is left out: raises OrderUnreadable.
        """
        ...

    def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        """Every execution after the cursor, oldest first."""
        ...

    async def positions(self) -> Mapping[Symbol, Holding]:
        """What is held now; symbols of which nothing is held are left out."""
        ...

    async def account(self) -> BrokerAccount: ...

    def news(self) -> AsyncIterator[BrokerNews]:
        """Reports as they come, for as long as it is iterated; reconnects by itself."""
        ...

    async def close(self) -> None: ...


AnyBroker: TypeAlias = Broker[Paper] | Broker[Live]
"""Within a node, which was put together for one of the two."""


class BrokerUnavailable(Exception):
    """A query could not be answered; nothing follows from it."""


class OrderUnreadable(BrokerUnavailable):
    """The broker answers, but what it shows of this one order cannot be; of the others nothing is wrong."""
