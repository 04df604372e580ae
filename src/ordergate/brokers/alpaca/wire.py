"""The shapes of Alpaca's documents, as far as we act on them.

An amount that is no plain decimal, a time without a zone or a missing field does not decode, and neither
does a word that is not in these lists. Only what kind of order it is may be said in other words, because
anybody may place anything in the account: one strange order must not hide all others. Nothing here
means anything yet: translation gives meaning.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

Amount = Annotated[str, Meta(pattern=r"\A-?[0-9]{1,18}(?:\.[0-9]{1,18})?\Z", max_length=38)]
Moment = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Word = Annotated[str, Meta(max_length=64)]

OrderStatus = Literal[
    "new",
    "partially_filled",
    "filled",
    "done_for_day",
    "canceled",
    "expired",
    "replaced",
    "pending_cancel",
    "pending_replace",
    "accepted",
    "pending_new",
    "accepted_for_bidding",
    "stopped",
    "rejected",
    "suspended",
    "calculated",
    "held",
]
UpdateEvent = Literal[
    "accepted",
    "pending_new",
    "new",
    "partial_fill",
    "fill",
    "canceled",
    "expired",
    "done_for_day",
    "replaced",
    "rejected",
    "stopped",
    "suspended",
    "calculated",
    "pending_cancel",
    "pending_replace",
    "order_cancel_rejected",
    "order_replace_rejected",
    "restated",
    "held",
    "trade_bust",
    "trade_correct",
]
OrderKind = Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
Force = Literal["day", "gtc", "opg", "cls", "ioc", "fok"]
OrderClass = Literal["", "simple", "bracket", "oco", "oto", "mleg"]
AccountStatus = Literal[
    "INACTIVE",
    "PAPER_ONLY",
    "ONBOARDING",
    "SUBMISSION_FAILED",
    "SUBMITTED",
    "ACCOUNT_UPDATED",
    "APPROVAL_PENDING",
    "ACTIVE",
    "REJECTED",
    "ACCOUNT_CLOSED",
    "APPROVED",
    "ACCOUNT_CLOSED_PENDING",
    "ACTION_REQUIRED",
    "LIMITED",
]


class PlaceBody(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The body of POST /v2/orders."""

    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    client_order_id: str
    limit_price: str | None = None
    stop_price: str | None = None
    extended_hours: bool = False


class ReplaceBody(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The body of PATCH /v2/orders/{id}: only what changes."""

    client_order_id: str
    qty: str | None = None
    limit_price: str | None = None
    stop_price: str | None = None


class Order(Struct, frozen=True, gc=False, kw_only=True):
    """An order. `qty` is null where it was placed by value; the parent of legs has no `symbol` and no `side`.

    Translation knows the words of `OrderStatus`, `OrderKind`, `Force` and `OrderClass`.
    """

    id: Name
    client_order_id: Name
    status: Word
    type: Word
    time_in_force: Word
    symbol: Annotated[str, Meta(max_length=128)] | None = None
    side: Word | None = None
    order_class: Word | None = ""
    qty: Amount | None = None
    notional: Amount | None = None
    filled_qty: Amount
    filled_avg_price: Amount | None = None
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    extended_hours: bool = False
    replaced_by: Name | None = None
    replaces: Name | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None


class Update(Struct, frozen=True, gc=False, kw_only=True):
    """What the stream says about an order. `price` and `qty` are of this execution alone."""

    event: UpdateEvent
    order: Order
    execution_id: Name | None = None
    previous_execution_id: Name | None = None
    price: Amount | None = None
    qty: Amount | None = None
    timestamp: Moment | None = None


class UpdateFrame(Struct, frozen=True, gc=False, tag_field="stream", tag="trade_updates"):
    data: Update


class Authorization(Struct, frozen=True, gc=False):
    status: Literal["authorized", "unauthorized"]


class AuthorizationFrame(Struct, frozen=True, gc=False, tag_field="stream", tag="authorization"):
    data: Authorization


class Listening(Struct, frozen=True, gc=False):
    streams: tuple[str, ...] = ()
    error: str | None = None


class ListeningFrame(Struct, frozen=True, gc=False, tag_field="stream", tag="listening"):
    data: Listening


TradingFrame = UpdateFrame | AuthorizationFrame | ListeningFrame


class FillActivity(Struct, frozen=True, gc=False, kw_only=True):
    """One fill of the account's history. `id` is a time and the execution's id, `::` between."""

    activity_type: Literal["FILL"]
    id: Annotated[str, Meta(pattern=r"\A[0-9]{1,20}::[0-9A-Za-z-]{1,64}\Z")]
    order_id: Name
    symbol: Name
    side: Literal["buy", "sell", "sell_short"]
    type: Literal["fill", "partial_fill"]
    qty: Amount
    price: Amount
    cum_qty: Amount
    transaction_time: Moment


class Position(Struct, frozen=True, gc=False, kw_only=True):
    symbol: Name
    qty: Amount
    side: Literal["long", "short"]
    avg_entry_price: Amount
    asset_class: str


class Account(Struct, frozen=True, gc=False, kw_only=True):
    id: Name
    account_number: Name
    status: AccountStatus
    currency: Name
    cash: Amount
    buying_power: Amount | None = None
    trading_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool


class Error(Struct, frozen=True, gc=False):
    """The body of every refusal; a 401 has no code."""

    message: str
    code: int | None = None


# -- market data: prices and sizes are JSON numbers, decoded from their digits and never through a float


class QuoteTick(Struct, frozen=True, gc=False, tag_field="T", tag="q", rename={"ask_size": "as"}):
    S: Name
    bp: Decimal
    bs: Decimal
    ap: Decimal
    ask_size: Decimal


class TradeTick(Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    S: Name
    p: Decimal
    s: Decimal


class CorrectionTick(Struct, frozen=True, gc=False, tag_field="T", tag="c"):
    """A print was corrected: comes with every subscription to trades, and changes no price now."""


class CancelTick(Struct, frozen=True, gc=False, tag_field="T", tag="x"):
    """A print was taken back: comes with every subscription to trades, and changes no price now."""


class DataSuccess(Struct, frozen=True, gc=False, tag_field="T", tag="success"):
    msg: str


class DataError(Struct, frozen=True, gc=False, tag_field="T", tag="error"):
    code: int
    msg: str


class DataSubscription(Struct, frozen=True, gc=False, tag_field="T", tag="subscription"):
    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


DataMessage = QuoteTick | TradeTick | CorrectionTick | CancelTick | DataSuccess | DataError | DataSubscription

ORDER: Final = msgspec.json.Decoder(Order)
ORDERS: Final = msgspec.json.Decoder(list[Order])
FILLS: Final = msgspec.json.Decoder(list[FillActivity])
POSITIONS: Final = msgspec.json.Decoder(list[Position])
ACCOUNT: Final = msgspec.json.Decoder(Account)
ERROR: Final = msgspec.json.Decoder(Error)
TRADING_FRAME: Final = msgspec.json.Decoder(TradingFrame)
DATA_FRAME: Final = msgspec.json.Decoder(list[DataMessage])
ENCODER: Final = msgspec.json.Encoder()
