"""An order and an execution as the paper exchange holds them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from ordergate.core.money import ZERO, average
from ordergate.core.orders.reports import BrokerStatus
from ordergate.core.orders.terms import OrderType, Side, Terms

OPEN = frozenset({BrokerStatus.PENDING, BrokerStatus.WORKING})


class Kind(StrEnum):
    """What an order may be that somebody places elsewhere: all but the first are beyond our terms."""

    PLAIN = "as its terms say"
    TRAILING = "a trailing stop"
    BY_VALUE = "for a value, not for a quantity"
    LEGGED = "in no one symbol and side"


class PaperOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`terms.quantity` is what this order asked for when it came.

    Fills stay on the order they happened to: one that replaces a partly filled order asks for
    what was left, and `filled_before` says what the orders before it had, unless it is told as an order of
    its own. What is of another `kind` trades by `terms` all the same, and nobody is shown them whole.
    """

    id: str
    number: int
    cl_ord_id: str
    terms: Terms
    status: BrokerStatus
    placed_at: datetime
    updated_at: datetime
    cum_qty: Decimal = ZERO
    cum_notional: Decimal = ZERO
    filled_before: Decimal = ZERO
    counts_before: bool = True
    triggered: bool = False
    replaces: str | None = None
    replaced_by: str | None = None
    reason: str | None = None
    kind: Kind = Kind.PLAIN

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def avg_px(self) -> Decimal | None:
        """Of all that it counts as filled; None where another order has filled some of that."""
        return None if self.filled_before else average(self.cum_notional, self.cum_qty)

    @property
    def leaves_qty(self) -> Decimal:
        return self.terms.quantity - self.cum_qty if self.is_open else ZERO

    def is_triggered_at(self, price: Decimal) -> bool:
        """A stop sleeps until the market reaches it; everything else is awake."""
        stop = self.terms.stop_price
        if self.triggered or stop is None:
            return True
        return price >= stop if self.terms.side is Side.BUY else price <= stop

    def trades_at(self, price: Decimal) -> bool:
        """Whether an awake order would trade at this price."""
        limit = self.terms.limit_price
        if self.terms.type in (OrderType.MARKET, OrderType.STOP) or limit is None:
            return True
        return price <= limit if self.terms.side is Side.BUY else price >= limit


class PaperExecution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution; `quantity` is zero once it was taken back.

    `cursor` is its place in the list, the last one when it was changed; `changed_by` is what the
    latest revision added. A fee that was taken is not given back.
    """

    cursor: str
    exec_id: str
    order: PaperOrder
    quantity: Decimal
    price: Decimal
    at: datetime
    revision: int = 0
    changed_by: Decimal = ZERO
    fee: Decimal = ZERO
