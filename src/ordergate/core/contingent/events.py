"""What has happened to a group of orders, besides what happened to its orders.

Journalled in the account's own stream, in the same unit as the order event that a step makes: a leg
that is said to have been released has its order, and no order of a group is unknown to it.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from ordergate.core.accounts.events import AccountEvent
from ordergate.core.contingent.terms import GroupId, GroupTerms, Role
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side


class End(StrEnum):
    """Why a group has nothing left to do."""

    COMPLETED = "completed"
    ENTRY_NOT_FILLED = "entry-not-filled"
    CANCELED = "canceled"
    LEG_CANCELED = "leg-canceled"
    LEG_EXPIRED = "leg-expired"
    LEG_REFUSED = "leg-refused"


class GroupEvent(AccountEvent, frozen=True, kw_only=True):
    """The base of every group event."""

    group_id: GroupId


class GroupAccepted(GroupEvent, frozen=True, kw_only=True, tag="group_accepted"):
    """Durable, and approved by risk for the worst that its legs can do."""

    terms: GroupTerms
    actor: str
    config_hash: str


class GroupDenied(GroupEvent, frozen=True, kw_only=True, tag="group_denied"):
    """Refused by risk; none of its orders was ever sent."""

    terms: GroupTerms
    actor: str
    config_hash: str
    failed: tuple[FailedControl, ...]


class LegReleased(GroupEvent, frozen=True, kw_only=True, tag="leg_released"):
    """An order of the group was put to risk; the next event of the unit says what came of it."""

    role: Role
    order_id: OrderId
    symbol: Symbol
    side: Side
    quantity: Decimal


class LegRecalled(GroupEvent, frozen=True, kw_only=True, tag="leg_recalled"):
    """The group itself asked for the cancel of an order, so its end does not end the group."""

    order_id: OrderId


class LegTriggered(GroupEvent, frozen=True, kw_only=True, tag="leg_triggered"):
    """The market reached the leg: from here on it is the one that belongs at the broker."""

    role: Role
    price: Decimal


class TrailMoved(GroupEvent, frozen=True, kw_only=True, tag="trail_moved"):
    """The best price so far, from which the trailing stop keeps its distance."""

    role: Role
    mark: Decimal


class GroupCancelRequested(GroupEvent, frozen=True, kw_only=True, tag="group_cancel_requested"):
    actor: str


class GroupEnded(GroupEvent, frozen=True, kw_only=True, tag="group_ended"):
    """None of its orders is open. Late news of one of them can bring the group back."""

    reason: End


AnyGroupEvent = (
    GroupAccepted
    | GroupDenied
    | LegReleased
    | LegRecalled
    | LegTriggered
    | TrailMoved
    | GroupCancelRequested
    | GroupEnded
)
