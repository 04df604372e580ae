"""The shapes of the API, for its OpenAPI document and for queries; bodies never pass here.

Bodies are decoded into the structs of `requests` and answered from the stored JSON of the core's
views. That these models say the same is not hoped but tested, field by field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ordergate.api.cursors import CURSOR_LENGTH_MAX
from ordergate.api.requests import ACCOUNT_ID, AMOUNT, LABEL, ORDER_ID, SYMBOL
from ordergate.core.access import Scope
from ordergate.core.instruments import AssetClass
from ordergate.core.orders.events import Resolution, Severity
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from ordergate.core.refusals import Code

PAGE_MAX = 500

AccountId = Annotated[str, Field(pattern=f"^{ACCOUNT_ID}$", examples=["P-DEMO"])]
OrderId = Annotated[str, Field(pattern=f"^{ORDER_ID}$", examples=["P-01HZX3K9QW5V7M2N4B"])]
Symbol = Annotated[str, Field(pattern=f"^{SYMBOL}$", examples=["ESM4"])]
Label = Annotated[str, Field(pattern=f"^{LABEL}$")]
Amount = Annotated[
    str, Field(pattern=f"^{AMOUNT}$", max_length=20, examples=["4800.25"], description="Exact, as a string.")
]
Figure = Annotated[str, Field(pattern=r"^-?[0-9]+(?:\.[0-9]+)?$", description="An exact decimal.")]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class Asked(BaseModel):
    """The base of everything a client sends: what is not in the shape is refused."""

    model_config = ConfigDict(extra="forbid")


class OrderRequest(Asked):
    """Limit and stop_limit orders have a limit price, stop and stop_limit orders a stop price."""

    account_id: AccountId
    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Amount
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    client_order_id: Label | None = None
    extended_hours: bool = False
    strategy: Label | None = None
    strategy_version: Label | None = None
    user: Label | None = None
    venue: Label | None = None


class ReplaceRequest(Asked):
    """What to change; at least one. `quantity` is the new total, what is filled included."""

    quantity: Amount | None = None
    limit_price: Amount | None = None
    stop_price: Amount | None = None


class OrderResolveRequest(Asked):
    """`cum_qty` and `avg_px` are what was filled of an order that has ended and that the broker no longer

    shows.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    resolution: Annotated[Resolution, Field(alias="as")]
    reason: Reason
    broker_order_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    cum_qty: Amount | None = None
    avg_px: Amount | None = None


class FailedControl(BaseModel):
    """One risk control that said no, with its numbers."""

    control: str
    reason: str
    detail: str
    limit: str | None = None
    value: str | None = None
    headroom: str | None = None
    inputs: dict[str, str] = {}
    severity: Severity = Severity.HARD


class Order(BaseModel):
    """An order as it stands. `leaves_qty` is what may still fill. `converted_from` is the type that was asked

    for, where the limits have made it another; the orders that it `waits_for` are canceled, and gone before
    it leaves. One that is `held` is kept until its market opens at `held_until`. `version` counts its
    replacements, `revision` everything that happened to it; its ETag is the latter.
    """

    id: OrderId
    account_id: AccountId
    client_order_id: str | None
    symbol: str
    side: Side
    type: OrderType
    converted_from: OrderType | None
    time_in_force: TimeInForce
    quantity: Figure
    limit_price: Figure | None
    stop_price: Figure | None
    extended_hours: bool
    strategy: str | None
    strategy_version: str | None
    user: str | None
    venue: str | None
    status: Status
    cum_qty: Figure
    leaves_qty: Figure
    avg_px: Figure | None
    version: int
    revision: int
    broker_order_id: str | None
    reason: str | None
    failed_controls: list[FailedControl]
    noted_controls: list[FailedControl]
    cancel_requested: bool
    waits_for: list[OrderId]
    held_until: AwareDatetime | None
    external: bool
    overfilled: bool
    quarantined: bool
    accepted_at: AwareDatetime
    acknowledged_at: AwareDatetime | None
    unknown_since: AwareDatetime | None
    updated_at: AwareDatetime
    final_at: AwareDatetime | None


class Execution(BaseModel):
    exec_id: str
    revision: int
    order_id: OrderId
    account_id: AccountId
    symbol: str
    side: Side
    quantity: Figure
    price: Figure
    fee: Figure
    status: Literal["live", "busted", "corrected"]
    broker_order_id: str | None
    broker_at: AwareDatetime | None
    at: AwareDatetime


class Position(BaseModel):
    """`quantity` is signed, long positive."""

    account_id: AccountId
    symbol: str
    quantity: Figure
    avg_px: Figure | None
    cost: Figure
    realised_pnl: Figure
    currency: str


class Balance(BaseModel):
    account_id: AccountId
    currency: str
    cash: Figure


class Instrument(BaseModel):
    symbol: str
    name: str
    asset_class: AssetClass
    currency: str
    tick: Figure
    lot: Figure
    multiplier: Figure
    calendar: str
    aliases: list[str]


class ControlResult(BaseModel):
    """One in `shadow` refuses nothing, whatever it says."""

    control: str
    passed: bool
    reason: str | None = None
    detail: str | None = None
    limit: str | None = None
    value: str | None = None
    headroom: str | None = None
    inputs: dict[str, str] = {}
    severity: Severity = Severity.HARD
    shadow: bool = False


class LimitUse(BaseModel):
    """One limit. `used` is null for a limit on one order, and where the use is not known; `value` is, where

    the limit itself is a part of something that is not. `severity` is what a no of it would be. With a `user`
    or a `strategy` it is theirs alone, and tighter than the account's.
    """

    limit: str
    control: str
    symbol: str | None
    window_s: int | None
    value: str | None
    used: Figure | None
    headroom: Figure | None
    percent: Figure | None
    rule: str
    severity: Severity
    user: str | None
    strategy: str | None


class RefusalOfOrder(BaseModel):
    """A no that is none of risk's, in the code and the words in which placing would be refused."""

    code: Code
    detail: str


class Preview(BaseModel):
    """What would be said to the order now, and how much of the limits is used.

    `refusals` are why it would not even come before risk. It promises nothing about later.
    """

    would_be_accepted: bool
    controls: list[ControlResult]
    limits: list[LimitUse] = []
    refusals: list[RefusalOfOrder] = []


class CancelResult(BaseModel):
    """`code` is cancel-requested, or the code of a refusal."""

    order_id: OrderId
    code: str


class Orders(BaseModel):
    orders: list[Order]
    next: str | None


class Executions(BaseModel):
    executions: list[Execution]
    next: str | None


class Positions(BaseModel):
    positions: list[Position]


class Balances(BaseModel):
    balances: list[Balance]


class AccountSummary(BaseModel):
    id: AccountId
    env: Literal["paper", "live"]
    balances: list[Balance]


class Accounts(BaseModel):
    accounts: list[AccountSummary]


class Instruments(BaseModel):
    instruments: list[Instrument]


class Event(BaseModel):
    """A journalled event as the stream shows it."""

    model_config = ConfigDict(extra="allow")

    type: Literal["event"]
    account_id: AccountId
    seq: int
    kind: str
    at: AwareDatetime


class Events(BaseModel):
    events: list[Event]


class CancelResults(BaseModel):
    results: list[CancelResult]


class Ready(BaseModel):
    """`reasons` names every part that is not ready, and why."""

    status: Literal["ready", "not-ready"]
    reasons: dict[str, str]


class Alive(BaseModel):
    status: Literal["alive"]


class FieldError(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `code` is the stable part: programs act on it, people read `detail`."""

    type: str
    title: str
    status: int
    code: Code
    detail: str
    correlation_id: str
    errors: list[FieldError] = []
    failed_controls: list[FailedControl] = []
    order_id: OrderId | None = None
    order: Order | None = None
    group_id: str | None = None
    group: dict[str, Any] | None = None
    link: str | None = None
    retry_after_s: Annotated[
        int | None, Field(ge=1, description="In how many seconds the very same request may succeed.")
    ] = None


class OrdersQuery(Asked):
    """Newest first."""

    account_id: AccountId | None = None
    status: Status | None = None
    open: bool | None = None
    symbol: Symbol | None = None
    client_order_id: Label | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None


class PageQuery(Asked):
    """Newest first."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None


class NoQuery(Asked):
    """Takes no parameters."""


SCOPE_WORDS = {
    Scope.ORDERS_READ: "see orders and their events",
    Scope.ORDERS_WRITE: "place, change and cancel orders",
    Scope.ACCOUNTS_READ: "see accounts, positions, balances, executions, alarms, breaks and reconciliations",
    Scope.ACCOUNTS_WRITE: "assign and resolve breaks, and ask for a reconciliation",
    Scope.MARKET_DATA_READ: "see quotes and trades",
    Scope.RISK_READ: "see limits, their use, and the kill switch",
    Scope.SURVEILLANCE_READ: "see the drop copy: executions, busts, stops, overrides and changes of limits",
    Scope.RISK_WRITE: "change and approve limits; includes operations:write",
    Scope.OPERATIONS_WRITE: "turn the kill switch, resolve orders in question",
    Scope.ACCESS_READ: "see who may do what within the tenant",
    Scope.ACCESS_WRITE: "give and take roles, keys of programs and strategies within the tenant",
    Scope.CREDENTIALS_WRITE: "see, store and rotate what lets the gateway in at brokers",
}
