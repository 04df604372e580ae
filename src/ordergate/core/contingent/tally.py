"""Where a group stands: what its orders have filled, and what they may still fill at worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.contingent.group import Group
from ordergate.core.contingent.terms import EXITS, Leg, Role
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.content import EGRESS_PARITY
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType
from ordergate.core.risk.keeping import not_yet

SETBACKS_MAX: Final = 8
PUT_OFF_MAX: Final = 24 * 60
"""A day of tries, once a minute, at what the gateway's own risk only puts off."""
PAUSE_S_MAX: Final = 60


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a group's next steps depend on.

    `orders` has the group's own. `order_types` are what the broker can hold. `price` is the market's,
    None where none is fresh. All from `others` on are for a flatten alone: the open orders that are not its
    own, the positions, symbols of which the broker says another position, those in which nothing can be
    placed here, the steps of quantity in the others, and what the symbol of an order that was placed under
    another name is called now.
    """

    now: datetime
    orders: Mapping[OrderId, Order]
    price: Decimal | None = None
    may_place: bool = True
    may_replace: bool = True
    order_types: frozenset[str] = frozenset(OrderType)
    others: tuple[Order, ...] = ()
    held: Mapping[str, Decimal] = {}
    in_doubt: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    lots: Mapping[str, Decimal] = {}
    names: Mapping[Symbol, Symbol] = {}

    def name_of(self, symbol: Symbol) -> Symbol:
        return self.names.get(symbol, symbol)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """`allowance` is what exits may fill in all; `done` what they have, less what was undone."""

    allowance: Decimal
    done: Decimal
    entry_open: bool
    live: tuple[tuple[Role, Order], ...]

    @property
    def need(self) -> Decimal:
        """What is left to exit; below zero when more was exited than there was."""
        return self.allowance - self.done

    def live_in(self, role: Role) -> tuple[Order, ...]:
        return tuple(order for one, order in self.live if one is role)


def tally(group: Group, orders: Mapping[OrderId, Order]) -> Tally:
    done = entered = ZERO
    live: list[tuple[Role, Order]] = []
    for one in group.released:
        order = orders.get(one.order_id)
        if order is None:
            continue
        if one.role is Role.ENTRY:
            entered += order.cum_qty
        elif one.role in EXITS:
            done += order.cum_qty
        elif one.role is Role.EVENING:
            done -= order.cum_qty
        if not order.is_final:
            live.append((one.role, order))
    return Tally(
        allowance=entered if group.terms.kind.has_entry else group.terms.quantity,
        done=done,
        entry_open=any(role is Role.ENTRY for role, _ in live),
        live=tuple(live),
    )


def worst_leaves(order: Order) -> Decimal:
    """What an order may still fill, whichever of it and its replacement is the one that lives."""
    if order.is_final:
        return ZERO
    asked = order.replacement
    if asked is None:
        return order.leaves_qty
    return max(order.leaves_qty, asked.quantity - order.cum_qty)


def as_it_stands(group: Group, leg: Leg, orders: Mapping[OrderId, Order]) -> Leg:
    """The leg at the prices of its latest order: where a person moved them they are the leg's own."""
    for one in reversed(group.released):
        order = orders.get(one.order_id)
        if one.role is leg.role and order is not None:
            return msgspec.structs.replace(
                leg,
                limit_price=order.terms.limit_price or leg.limit_price,
                stop_price=order.terms.stop_price or leg.stop_price,
            )
    return leg


def wrong_quantity(group: Group, order: Order, quantity: Decimal) -> str | None:
    """Why a person may not make an order of the group one for so much; None where that is theirs to say."""
    role = next((one.role for one in group.released if one.order_id == order.id), None)
    if role is Role.ENTRY:
        too_much = quantity > max(group.terms.quantity, order.terms.quantity)
        return f"the entry of {group.id} is for {group.terms.quantity} at most" if too_much else None
    return None if quantity == order.terms.quantity else f"how much it is for {group.id} decides"


def setbacks(group: Group, orders: Mapping[OrderId, Order], now: datetime) -> tuple[int, datetime | None]:
    """How many orders in a row were refused with nothing filled, and when the last of them was."""
    row = _refused_in_a_row(group, orders, now)
    return len(row), row[0].updated_at if row else None


def gives_up(group: Group, orders: Mapping[OrderId, Order], now: datetime) -> bool:
    """True when so many in a row were refused that nobody need try again."""
    return are_enough(_refused_in_a_row(group, orders, now))


def are_enough(refused: Sequence[Order]) -> bool:
    """What was refused for good counts soon, what was only put off counts late."""
    return sum(not was_put_off(order) for order in refused) >= SETBACKS_MAX or len(refused) >= PUT_OFF_MAX


def _refused_in_a_row(group: Group, orders: Mapping[OrderId, Order], now: datetime) -> list[Order]:
    """The last ones, latest first.

    What was refused while the entry was open is forgiven when it ends: there are brokers that take
    no order against one that is open. An end in the future was before the clock was set back, and says
    nothing of what was refused since; nor does a refusal that is later than the one after it.
    """
    row: list[Order] = []
    ends = (one.final_at for one in _entries(group, orders) if one.final_at and one.final_at <= now)
    entered = max(ends, default=None)
    for one in reversed(group.released):
        if one.role is Role.ENTRY:
            continue
        order = orders.get(one.order_id)
        if order is None or order.cum_qty or order.id in group.recalled or not was_turned_away(order):
            break
        if entered is not None and order.updated_at < entered:
            break
        if row and order.updated_at > row[-1].updated_at:
            break
        row.append(order)
    return row


def _entries(group: Group, orders: Mapping[OrderId, Order]) -> list[Order]:
    own = (orders.get(one.order_id) for one in group.released if one.role is Role.ENTRY)
    return [order for order in own if order is not None]


def was_turned_away(order: Order) -> bool:
    """Refused by risk or by the broker, who may also cancel at once what finds no market."""
    if order.status is Status.CANCELED:
        return order.terms.type is OrderType.MARKET and not order.cancel_requested
    return order.status in (Status.DENIED, Status.REJECTED)


def ended_by_others(group: Group, orders: Mapping[OrderId, Order]) -> str | None:
    """Which exit nobody here had asked to end, while there is something left to exit; None where none."""
    if tally(group, orders).need <= ZERO:
        return None
    for one in reversed(group.released):
        order = orders.get(one.order_id)
        if order is None or one.role not in EXITS or order.cancel_requested or was_turned_away(order):
            continue
        if order.status in (Status.CANCELED, Status.EXPIRED):
            return f"its {one.role} {order.id} is {order.status}, which nobody asked for here"
    return None


def was_put_off(order: Order) -> bool:
    """Denied by risk for what passes by itself: a full window of messages, a stop, a price that is old.

    Or it certainly never left, as while the broker is out of reach; what was not as approved stays refused.
    """
    if order.status is Status.REJECTED:
        return order.unsent and order.reason != EGRESS_PARITY
    return order.status is Status.DENIED and bool(order.failed) and not_yet(order.failed)


def has_passed(since: datetime, wait: timedelta, now: datetime) -> bool:
    """True after so long; and when the clock was set back meanwhile, so that nobody knows how long it was."""
    return not timedelta(0) <= now - since < wait


def pause(times: int) -> timedelta:
    """How long to wait after so many failures in a row: 1 s, 2 s, 4 s, up to a minute."""
    return timedelta(seconds=min(2 ** max(times - 1, 0), PAUSE_S_MAX))
