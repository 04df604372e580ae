"""The shapes of groups of orders, for the OpenAPI document and for queries."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from ordergate.api.cursors import CURSOR_LENGTH_MAX
from ordergate.api.group_requests import GROUP_ID, PlacedKind, PlacedRole
from ordergate.api.schemas import (
    PAGE_MAX,
    AccountId,
    Amount,
    Asked,
    FailedControl,
    Figure,
    Label,
    OrderId,
    Symbol,
)
from ordergate.core.contingent.events import End
from ordergate.core.contingent.group import GroupStatus
from ordergate.core.contingent.terms import GroupKind, LegType
from ordergate.core.orders.terms import Side, TimeInForce

GroupId = Annotated[str, Field(pattern=f"^{GROUP_ID}$", examples=["PG-01HZX3K9QW5V7M2N4B"])]


class LegRequest(Asked):
    """One leg of a group; its symbol and quantity are the group's."""

    role: PlacedRole
    side: Side
    type: LegType
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    trail_amount: Amount | None = None
    trail_percent: Amount | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    extended_hours: bool = False


class GroupRequest(Asked):
    """The legs are exactly those that the type has, in any order."""

    account_id: AccountId
    type: PlacedKind
    symbol: Symbol
    quantity: Amount
    legs: list[LegRequest]
    strategy: Label | None = None
    strategy_version: Label | None = None
    user: Label | None = None


class FlattenRequest(Asked):
    """What to flatten: everything in the account, or in one symbol."""

    symbol: Symbol | None = None


class GroupLeg(BaseModel):
    """`stop_level` is where a trailing stop stands now; `live` that an order of the leg is open."""

    role: PlacedRole
    side: Side
    type: LegType
    limit_price: Figure | None
    stop_price: Figure | None
    trail_amount: Figure | None
    trail_percent: Figure | None
    time_in_force: TimeInForce
    extended_hours: bool
    triggered: bool
    live: bool
    stop_level: Figure | None


class GroupOrder(BaseModel):
    """`role` is a leg's, `evening`, `close`, or `other` for an order that a flatten cancels.

    `result` is the order's status, or `cancel-requested` while it is being canceled.
    """

    order_id: OrderId
    role: str
    symbol: str | None
    side: Side | None
    quantity: Figure | None
    cum_qty: Figure | None
    result: str


class Group(BaseModel):
    """A group as it stands. `to_exit` is what the exits may fill in all, `exited` what they have."""

    id: GroupId
    account_id: AccountId
    type: GroupKind
    status: GroupStatus
    symbol: str | None
    quantity: Figure | None
    to_exit: Figure | None
    exited: Figure | None
    legs: list[GroupLeg]
    orders: list[GroupOrder]
    mark: Figure | None
    strategy: str | None
    strategy_version: str | None
    user: str | None
    cancel_requested: bool
    reason: End | None
    failed_controls: list[FailedControl]
    accepted_at: AwareDatetime
    updated_at: AwareDatetime
    ended_at: AwareDatetime | None


class Groups(BaseModel):
    groups: list[Group]
    next: str | None


class GroupsQuery(Asked):
    """Newest first: every active group, and those that ended lately."""

    account_id: AccountId | None = None
    active: bool | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    cursor: Annotated[str | None, Field(max_length=CURSOR_LENGTH_MAX)] = None
