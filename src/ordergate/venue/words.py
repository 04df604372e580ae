"""The words the venue speaks: listings, tickets, orders, executions, positions and its news.

Values only, exact and frozen: a listener may keep what it was given, it will never change under it.
Statuses and event names are the ones Alpaca publishes, so a face translates shapes and never meaning.
Never matches, books or stores anything.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

AssetClass = Literal["us_equity", "crypto", "future"]
SideName = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit"]
TimeInForce = Literal["day", "gtc", "ioc", "fok"]
OrderStatus = Literal[
    "new",
    "partially_filled",
    "filled",
    "canceled",
    "expired",
    "replaced",
    "rejected",
    "pending_cancel",
    "pending_replace",
    "accepted",
    "pending_new",
]
UpdateEvent = Literal["new", "partial_fill", "fill", "canceled", "expired", "replaced", "rejected"]
RefusalCode = Literal[
    "duplicate_client_order_id",
    "not_found",
    "not_cancelable",
    "not_replaceable",
    "insufficient_buying_power",
    "invalid",
]
FINAL: frozenset[OrderStatus] = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})


class Listing(Struct, frozen=True, kw_only=True):
    """What trades here. Prices are multiples of `tick`, quantities multiples of `lot`."""

    symbol: str
    name: str
    asset_class: AssetClass
    tick: Decimal
    lot: Decimal = Decimal(1)
    multiplier: Decimal = Decimal(1)
    currency: str = "USD"
    margin: Decimal = Decimal(0)  # futures only: flat initial margin of one contract

    def __post_init__(self) -> None:
        for name, value in (("tick", self.tick), ("lot", self.lot), ("multiplier", self.multiplier)):
            if not (value.is_finite() and value > 0):
                raise ValueError(f"the {name} of {self.symbol} must be more than 0, was {value}")
        if not (self.margin.is_finite() and self.margin >= 0):
            raise ValueError(f"the margin of {self.symbol} must not be negative, was {self.margin}")


class Ticket(Struct, frozen=True, kw_only=True):
    """What a participant asks for. `replaces` is set by the exchange alone."""

    client_order_id: str
    symbol: str
    side: SideName
    type: OrderType
    qty: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = "day"
    extended_hours: bool = False
    replaces: str | None = None


class Changes(Struct, frozen=True, kw_only=True):
    """What a replace changes; what is unset stays. The new order gets `client_order_id` or a fresh one.

    `qty` is the whole quantity of the order, what is already filled included.
    """

    qty: Decimal | UnsetType = UNSET
    limit_price: Decimal | UnsetType = UNSET
    stop_price: Decimal | UnsetType = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    client_order_id: str | UnsetType = UNSET


class VenueOrder(Struct, frozen=True, kw_only=True):
    """One order as it is now. `filled_notional` is the exact sum of qty x price (without multiplier).

    Fills stay on the order they happened to: the order that replaces a partly filled one starts
    at zero and asks for what was left, so quantities over a chain of replaces add up.
    """

    id: str
    account: str
    ticket: Ticket
    status: OrderStatus
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime
    filled_qty: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None
    replaced_at: datetime | None = None
    triggered_at: datetime | None = None  # when the stop price of a stop or stop_limit was reached
    replaced_by: str | None = None
    replaces: str | None = None

    @property
    def leaves_qty(self) -> Decimal:
        return Decimal(0) if self.status in FINAL else self.ticket.qty - self.filled_qty

    @property
    def filled_avg_price(self) -> Decimal | None:
        return self.filled_notional / self.filled_qty if self.filled_qty else None


class Execution(Struct, frozen=True, kw_only=True):
    """One fill of one participant's order. `seq` orders all executions of the venue."""

    id: str
    seq: int
    order_id: str
    account: str
    symbol: str
    side: SideName
    qty: Decimal
    price: Decimal
    at: datetime
    cum_qty: Decimal
    leaves_qty: Decimal
    position_qty: Decimal  # signed, after this fill


class Refusal(Struct, frozen=True):
    """An expected no, with a stable code."""

    code: RefusalCode
    message: str


class Position(Struct, frozen=True, kw_only=True):
    """`qty` is signed; `cost_basis` is the signed sum of open qty x entry price x multiplier."""

    symbol: str
    asset_class: AssetClass
    qty: Decimal
    avg_entry_price: Decimal
    cost_basis: Decimal
    multiplier: Decimal
    realized_pl: Decimal
    market_price: Decimal | None  # last trade, else the middle of the quote

    @property
    def market_value(self) -> Decimal | None:
        return None if self.market_price is None else self.qty * self.market_price * self.multiplier

    @property
    def unrealized_pl(self) -> Decimal | None:
        value = self.market_value
        return None if value is None else value - self.cost_basis


class AccountView(Struct, frozen=True, kw_only=True):
    """`equity` = cash + value of equity and crypto + open profit of futures, at the last prices."""

    id: str
    created_at: datetime
    currency: str
    cash: Decimal
    equity: Decimal
    long_market_value: Decimal
    short_market_value: Decimal
    initial_margin: Decimal
    buying_power: Decimal
    multiplier: Decimal


class Quote(Struct, frozen=True, kw_only=True):
    """Top of book. A side without orders has no price and size zero."""

    symbol: str
    bid: Decimal | None
    bid_size: Decimal
    ask: Decimal | None
    ask_size: Decimal
    at: datetime


class Trade(Struct, frozen=True, kw_only=True):
    """One print. `id` counts up per symbol; `taker_side` is None for an opening auction."""

    symbol: str
    id: int
    price: Decimal
    size: Decimal
    taker_side: SideName | None
    at: datetime


class OrderUpdated(Struct, frozen=True, kw_only=True):
    """Something happened to a participant's order; `execution` is there for fills."""

    event: UpdateEvent
    order: VenueOrder
    at: datetime
    execution: Execution | None = None


class QuoteChanged(Struct, frozen=True):
    quote: Quote


class TradePrinted(Struct, frozen=True):
    trade: Trade


VenueEvent = OrderUpdated | QuoteChanged | TradePrinted
