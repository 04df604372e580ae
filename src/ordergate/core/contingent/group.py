"""A group as folded from its events. Holds nothing of its orders but their ids."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

import msgspec

from ordergate.core.contingent import events as g
from ordergate.core.contingent.terms import GroupId, GroupTerms, Role, leg_order_id
from ordergate.core.faults import IllegalTransition
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side

_replace = msgspec.structs.replace


class GroupStatus(StrEnum):
    ACTIVE = "active"
    DENIED = "denied"
    ENDED = "ended"


class Released(msgspec.Struct, frozen=True):
    """One order of the group."""

    order_id: OrderId
    role: Role
    symbol: Symbol
    side: Side


class Recalled(msgspec.Struct, frozen=True):
    """How often the group asked for an order's cancel, and when it last did."""

    times: int
    at: datetime


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One group. `released` are its orders, oldest first.

    `triggered` is the leg that the market reached last, `mark` the best price since a trailing leg
    began to trail.
    """

    id: GroupId
    terms: GroupTerms
    status: GroupStatus
    actor: str
    released: tuple[Released, ...] = ()
    recalled: Mapping[OrderId, Recalled] = {}
    triggered: Role | None = None
    mark: Decimal | None = None
    marked_at: datetime | None = None
    cancel_requested: bool = False
    reason: g.End | None = None
    failed: tuple[FailedControl, ...] = ()
    accepted_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        return self.status is GroupStatus.ACTIVE

    def next_order_id(self, role: Role, symbol: Symbol) -> OrderId:
        """The id of the next attempt at a leg."""
        before = sum(one.role is role and one.symbol == symbol for one in self.released)
        return leg_order_id(self.id, self.accepted_at, role, symbol, before + 1)


def first(event: g.AnyGroupEvent) -> Group:
    """The group that its first event makes."""
    match event:
        case g.GroupAccepted():
            return _begun(event, GroupStatus.ACTIVE)
        case g.GroupDenied():
            begun = _begun(event, GroupStatus.DENIED)
            return _replace(begun, failed=event.failed, ended_at=event.at)
        case _:
            raise IllegalTransition(f"no group begins with {type(event).__name__}")


def _begun(event: g.GroupAccepted | g.GroupDenied, status: GroupStatus) -> Group:
    return Group(
        id=event.group_id,
        terms=event.terms,
        status=status,
        actor=event.actor,
        accepted_at=event.at,
        updated_at=event.at,
    )


def evolve(group: Group, event: g.AnyGroupEvent) -> Group:
    """The group after an event of its own."""
    if group.status is GroupStatus.DENIED:
        raise IllegalTransition(f"{group.id} was denied, and nothing follows that")
    moved = _replace(group, updated_at=event.at)
    match event:
        case g.LegReleased():
            made = Released(event.order_id, event.role, event.symbol, event.side)
            return _replace(moved, status=GroupStatus.ACTIVE, ended_at=None, released=(*group.released, made))
        case g.LegRecalled():
            before = group.recalled.get(event.order_id)
            asked = Recalled(1 if before is None else before.times + 1, event.at)
            return _replace(moved, recalled={**group.recalled, event.order_id: asked})
        case g.LegTriggered():
            return _replace(moved, triggered=event.role)
        case g.TrailMoved():
            return _replace(moved, mark=event.mark, marked_at=event.at)
        case g.GroupCancelRequested():
            return _replace(moved, cancel_requested=True)
        case g.GroupEnded():
            return _replace(moved, status=GroupStatus.ENDED, reason=event.reason, ended_at=event.at)
        case g.GroupAccepted() | g.GroupDenied():
            raise IllegalTransition(f"{group.id} began already")
        case _:
            assert_never(event)
