"""How a group is shown: on the API and in a command's answer. Amounts are plain decimal strings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core.contingent.group import Group
from ordergate.core.contingent.prices import stop_level
from ordergate.core.contingent.tally import Tally, as_it_stands, tally
from ordergate.core.contingent.terms import Leg, LegType
from ordergate.core.ids import OrderId
from ordergate.core.money import text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order

Find = Callable[[OrderId], Order | None]


class LegView(msgspec.Struct, frozen=True, kw_only=True):
    """`stop_level` is where a trailing stop stands now; `live` that an order of the leg is open."""

    role: str
    side: str
    type: str
    limit_price: str | None
    stop_price: str | None
    trail_amount: str | None
    trail_percent: str | None
    time_in_force: str
    extended_hours: bool
    triggered: bool
    live: bool
    stop_level: str | None


class GroupOrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the group, or, with the role `other`, one that a flatten asked to be canceled.

    `result` is what became of it so far: its status, and `cancel-requested` while it is being canceled.
    """

    order_id: str
    role: str
    symbol: str | None
    side: str | None
    quantity: str | None
    cum_qty: str | None
    result: str


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """`to_exit` is what the exits may fill in all, `exited` what they have."""

    id: str
    account_id: str
    type: str
    status: str
    symbol: str | None
    quantity: str | None
    to_exit: str | None
    exited: str | None
    legs: tuple[LegView, ...]
    orders: tuple[GroupOrderView, ...]
    mark: str | None
    strategy: str | None
    strategy_version: str | None
    user: str | None
    cancel_requested: bool
    reason: str | None
    failed_controls: tuple[FailedControl, ...]
    accepted_at: datetime
    updated_at: datetime
    ended_at: datetime | None


def group_view(group: Group, find: Find) -> GroupView:
    """`find` gives an order of the account, None where memory has let it go."""
    own = {one.order_id: order for one in group.released if (order := find(one.order_id)) is not None}
    sums = tally(group, own)
    terms = group.terms
    has_legs = bool(terms.legs)
    return GroupView(
        id=group.id,
        account_id=terms.account,
        type=terms.kind,
        status=group.status,
        symbol=terms.symbol,
        quantity=text(terms.quantity) if has_legs else None,
        to_exit=text(sums.allowance) if has_legs else None,
        exited=text(sums.done) if has_legs else None,
        legs=tuple(_leg_view(group, as_it_stands(group, leg, own), sums) for leg in terms.legs),
        orders=_order_views(group, find),
        mark=_text(group.mark),
        strategy=terms.strategy,
        strategy_version=terms.strategy_version,
        user=terms.user,
        cancel_requested=group.cancel_requested,
        reason=group.reason if group.ended_at is not None else None,
        failed_controls=group.failed,
        accepted_at=group.accepted_at,
        updated_at=group.updated_at,
        ended_at=group.ended_at,
    )


def _leg_view(group: Group, leg: Leg, sums: Tally) -> LegView:
    trails = leg.type is LegType.TRAILING_STOP
    return LegView(
        role=leg.role,
        side=leg.side,
        type=leg.type,
        limit_price=_text(leg.limit_price),
        stop_price=_text(leg.stop_price),
        trail_amount=_text(leg.trail_amount),
        trail_percent=_text(leg.trail_percent),
        time_in_force=leg.time_in_force,
        extended_hours=leg.extended_hours,
        triggered=group.triggered is leg.role,
        live=bool(sums.live_in(leg.role)),
        stop_level=_text(stop_level(leg, group.mark)) if trails else None,
    )


def _order_views(group: Group, find: Find) -> tuple[GroupOrderView, ...]:
    roles = {one.order_id: str(one.role) for one in group.released}
    others = [order_id for order_id in group.recalled if order_id not in roles]
    return tuple(_order_view(one, roles.get(one, "other"), find(one)) for one in (*others, *roles))


def _order_view(order_id: OrderId, role: str, order: Order | None) -> GroupOrderView:
    if order is None:
        return GroupOrderView(
            order_id=order_id, role=role, symbol=None, side=None, quantity=None, cum_qty=None, result="ended"
        )
    asked = order.cancel_requested and not order.is_final
    return GroupOrderView(
        order_id=order_id,
        role=role,
        symbol=order.terms.symbol,
        side=order.terms.side,
        quantity=text(order.terms.quantity),
        cum_qty=text(order.cum_qty),
        result="cancel-requested" if asked else order.status,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
