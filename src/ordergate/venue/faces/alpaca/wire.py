"""The shapes of Alpaca's wire, as this face speaks them: request bodies in, answer bodies out.

Amounts are decoded exactly, from a JSON string or from the digits of a JSON number, never through
a float, and leave as plain decimal strings. Shapes only: nothing here knows what an order means.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

Amount = Decimal | None


class PlaceBody(Struct):
    """The body of POST /v2/orders. Words stay text here; `requests` judges them."""

    symbol: str | None = None
    qty: Amount = None
    notional: Amount = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    limit_price: Amount = None
    stop_price: Amount = None
    trail_price: Amount = None
    trail_percent: Amount = None
    extended_hours: bool | None = None
    client_order_id: str | None = None
    order_class: str | None = None
    legs: list[Any] | None = None
    take_profit: dict[str, Any] | None = None
    stop_loss: dict[str, Any] | None = None
    position_intent: str | None = None
    advanced_instructions: dict[str, Any] | None = None


class PatchBody(Struct):
    """The body of PATCH /v2/orders/{id}."""

    qty: Amount = None
    time_in_force: str | None = None
    limit_price: Amount = None
    stop_price: Amount = None
    trail: Amount = None
    client_order_id: str | None = None
    notional: Amount = None
    advanced_instructions: dict[str, Any] | None = None


class ErrorBody(Struct, omit_defaults=True):
    """`code` is left out of a 401, as Alpaca does."""

    message: str
    code: int | None = None


class OrderBody(Struct, kw_only=True):
    """An order as Alpaca shows it. What this venue does not offer is null."""

    id: str
    client_order_id: str
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime
    filled_at: datetime | None
    expired_at: datetime | None
    canceled_at: datetime | None
    failed_at: datetime | None
    replaced_at: datetime | None
    replaced_by: str | None
    replaces: str | None
    asset_id: str
    symbol: str
    asset_class: str
    notional: None = None
    qty: str
    filled_qty: str
    filled_avg_price: str | None
    order_class: str = "simple"
    order_type: str
    type: str
    side: str
    time_in_force: str
    limit_price: str | None
    stop_price: str | None
    status: str
    extended_hours: bool
    legs: None = None
    trail_percent: None = None
    trail_price: None = None
    hwm: None = None
    ratio_qty: None = None


class CanceledBody(Struct):
    """One row of DELETE /v2/orders."""

    id: str
    status: int


class ClosedBody(Struct):
    """One row of DELETE /v2/positions."""

    symbol: str
    status: int
    body: OrderBody | ErrorBody


class AccountBody(Struct, kw_only=True):
    """The account as Alpaca shows it."""

    id: str
    account_number: str
    created_at: datetime
    balance_asof: str
    currency: str
    cash: str
    equity: str
    portfolio_value: str
    last_equity: str
    buying_power: str
    regt_buying_power: str
    daytrading_buying_power: str
    non_marginable_buying_power: str
    long_market_value: str
    short_market_value: str
    initial_margin: str
    maintenance_margin: str
    multiplier: str
    status: str = "ACTIVE"
    crypto_status: str = "ACTIVE"
    options_buying_power: str = "0"
    options_approved_level: int = 0
    options_trading_level: int = 0
    last_maintenance_margin: str = "0"
    sma: str = "0"
    accrued_fees: str = "0"
    pending_transfer_in: str = "0"
    pending_transfer_out: str = "0"
    pending_reg_taf_fees: str = "0"
    intraday_adjustments: str = "0"
    daytrade_count: int = 0
    pattern_day_trader: bool = False
    trading_blocked: bool = False
    transfers_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False
    shorting_enabled: bool = True


class PositionBody(Struct, kw_only=True):
    """An open position as Alpaca shows it; `qty` is negative when short."""

    asset_id: str
    symbol: str
    asset_class: str
    avg_entry_price: str
    qty: str
    qty_available: str
    side: str
    market_value: str
    cost_basis: str
    unrealized_pl: str
    unrealized_plpc: str
    unrealized_intraday_pl: str
    unrealized_intraday_plpc: str
    current_price: str
    lastday_price: str
    change_today: str
    exchange: str
    asset_marginable: bool


class FillBody(Struct, kw_only=True):
    """One fill in the account's activities."""

    activity_type: str = "FILL"
    id: str
    order_id: str
    symbol: str
    side: str
    type: str
    qty: str
    price: str
    cum_qty: str
    leaves_qty: str
    transaction_time: datetime
    order_status: str


class AssetBody(Struct, kw_only=True):
    """A listing as Alpaca shows it."""

    id: str
    asset_class: str = field(name="class")
    exchange: str
    symbol: str
    name: str
    min_order_size: str
    min_trade_increment: str
    price_increment: str
    status: str = "active"
    tradable: bool = True
    marginable: bool
    shortable: bool
    easy_to_borrow: bool
    borrow_status: str = "easy_to_borrow"
    fractionable: bool
    cusip: None = None
    attributes: list[str] = []


class ClockBody(Struct):
    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


class CalendarBody(Struct, kw_only=True):
    """One trading day. Session times are written without a colon, as Alpaca does."""

    date: str
    open: str = "09:30"
    close: str = "16:00"
    session_open: str = "0400"
    session_close: str = "2000"
    settlement_date: str


class UpdateData(Struct, kw_only=True):
    """What happened to an order; the four fields of a fill are absent otherwise."""

    event: str
    execution_id: str
    timestamp: datetime
    price: str | UnsetType = UNSET
    qty: str | UnsetType = UNSET
    position_qty: str | UnsetType = UNSET
    order: OrderBody


class UpdateFrame(Struct):
    """One frame of the trade updates stream."""

    data: UpdateData
    stream: str = "trade_updates"


class TradeFrame(Struct, kw_only=True, omit_defaults=True, rename={"kind": "T", "symbol": "S"}):
    """A print on a market data stream. Stocks carry x, c, z; crypto carries tks."""

    kind: str
    symbol: str
    i: int
    p: Decimal
    s: Decimal | int
    t: datetime
    x: str | UnsetType = UNSET
    c: list[str] | UnsetType = UNSET
    z: str | UnsetType = UNSET
    tks: str | UnsetType = UNSET


class QuoteFrame(Struct, kw_only=True, rename={"kind": "T", "symbol": "S", "as_": "as"}):
    """The top of the book on a market data stream."""

    kind: str
    symbol: str
    bp: Decimal
    bs: Decimal | int
    ap: Decimal
    as_: Decimal | int
    t: datetime
    bx: str | UnsetType = UNSET
    ax: str | UnsetType = UNSET
    c: list[str] | UnsetType = UNSET
    z: str | UnsetType = UNSET
