"""What a group does next: a pure function of the group, its orders, and the price.

One leg at a time belongs at the broker: the one that the market reached last, or else the one that
guards against a loss. Another leg is only placed once every order of the first is proven to have
ended, and only for what that one left, so that no two legs live together and the exits never add
up to more than there is to exit. Whatever news comes, in whatever order, the same question is asked
again: what is missing is placed, what is too much is taken back, and what was exited beyond that is
bought or sold back.

Nothing is remembered between two calls. A step that was taken shows in the group or its orders, and a
step that was not is the answer again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.contingent import prices
from ordergate.core.contingent.events import End
from ordergate.core.contingent.group import Group, GroupStatus
from ordergate.core.contingent.tally import (
    Situation,
    Tally,
    as_it_stands,
    gives_up,
    has_passed,
    pause,
    setbacks,
    tally,
    was_turned_away,
    worst_leaves,
)
from ordergate.core.contingent.terms import (
    EXITS,
    GroupKind,
    Leg,
    LegType,
    Role,
    closing_terms,
    order_terms,
)
from ordergate.core.ids import OrderId
from ordergate.core.money import ZERO
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side, Terms

MARK_EVERY: Final = timedelta(seconds=1)
SETTLE: Final = timedelta(seconds=5)
LOOK_AGAIN: Final = timedelta(seconds=1)

_CLOSING: Final = {End.CANCELED, End.LEG_CANCELED, End.LEG_EXPIRED, End.LEG_REFUSED}


class Release(msgspec.Struct, frozen=True):
    """Put this order to risk, and place it."""

    role: Role
    order_id: OrderId
    terms: Terms


class Recall(msgspec.Struct, frozen=True):
    """Ask for the order's cancel. `instead` is what is to guard or exit in its place, where something is."""

    order_id: OrderId
    instead: Terms | None = None


class Resize(msgspec.Struct, frozen=True):
    """Replace the order's quantity: the new total, what is filled included."""

    order_id: OrderId
    quantity: Decimal


class Trigger(msgspec.Struct, frozen=True):
    """The market has reached the leg."""

    role: Role
    price: Decimal


class MoveMark(msgspec.Struct, frozen=True):
    """The trailing stop follows the market to here."""

    role: Role
    mark: Decimal


class Finish(msgspec.Struct, frozen=True):
    reason: End


class Wait(msgspec.Struct, frozen=True):
    """Nothing before this time; the question is then to be asked again."""

    until: datetime


Step = Release | Recall | Resize | Trigger | MoveMark | Finish | Wait


def next_steps(group: Group, seen: Situation) -> tuple[Step, ...]:
    """What to do now. Empty when the next step is somebody else's: the broker's or the market's."""
    if group.status is GroupStatus.DENIED:
        return ()
    sums = tally(group, seen.orders)
    ending = _ending(group, sums, seen)
    if ending is not None:
        return _close(group, sums, seen, ending)
    if (undoing := sums.live_in(Role.EVENING)) and sums.need >= ZERO:
        return recall_all(group, undoing, seen)  # what it undoes was taken back by the broker
    if undoing:
        return ()
    if sums.need <= ZERO:
        return _settle(group, sums, seen)
    moved = _follow_market(group, sums, seen)
    return moved or _exit(group, sums, seen)


def still_guards(group: Group, seen: Situation) -> bool:
    """True while it is active; and of one that is over, while late news leave it something to exit."""
    if group.status is not GroupStatus.ENDED or group.terms.kind is GroupKind.FLATTEN:
        return group.is_active
    sums = tally(group, seen.orders)
    return sums.need > ZERO and _ending(group, sums, seen) is None


def _ending(group: Group, sums: Tally, seen: Situation) -> End | None:
    """Why the group shall end, whatever is left of it."""
    if group.cancel_requested:
        return End.CANCELED
    if group.reason in _CLOSING:
        return group.reason
    for one in group.released:
        order = seen.orders.get(one.order_id)
        if order is None or one.role not in EXITS or one.order_id in group.recalled:
            continue
        if order.status is Status.CANCELED and not was_turned_away(order):
            return End.LEG_CANCELED
        if order.status is Status.EXPIRED:
            return End.LEG_EXPIRED
    no_more = not sums.entry_open and gives_up(group, seen.orders, seen.now)
    return End.LEG_REFUSED if no_more else None


def _close(group: Group, sums: Tally, seen: Situation, reason: End) -> tuple[Step, ...]:
    """Take everything back; what was exited too much is undone first."""
    undoing = sums.live_in(Role.EVENING)
    others = tuple(order for role, order in sums.live if role is not Role.EVENING)
    if others:
        return recall_all(group, others, seen)
    if undoing:
        return recall_all(group, undoing, seen) if sums.need >= ZERO else ()
    if sums.need < ZERO:
        if not gives_up(group, seen.orders, seen.now):
            return _even_out(group, -sums.need, seen)
        reason = End.LEG_REFUSED  # whatever ended it: what was too much stays, and a person has to look
    return (Finish(reason),) if group.is_active else ()


def _settle(group: Group, sums: Tally, seen: Situation) -> tuple[Step, ...]:
    """Nothing is left to exit."""
    exits = tuple(order for role, order in sums.live if role is not Role.ENTRY)
    if exits:
        return recall_all(group, exits, seen)
    if sums.need < ZERO:
        return _even_out(group, -sums.need, seen)
    if sums.entry_open or not group.is_active:
        return ()
    return (Finish(End.COMPLETED if sums.allowance > ZERO else End.ENTRY_NOT_FILLED),)


def _follow_market(group: Group, sums: Tally, seen: Situation) -> tuple[Step, ...]:
    """A mark to move, or a leg that the market has reached. A stop that was reached stays reached."""
    reached = None if group.triggered is None else group.terms.leg(group.triggered)
    if seen.price is None or (reached is not None and reached.type.stops):
        return ()
    for leg in group.terms.exits:
        if leg.type is LegType.TRAILING_STOP and prices.is_better(leg, seen.price, group.mark):
            if group.marked_at is None or has_passed(group.marked_at, MARK_EVERY, seen.now):
                return (MoveMark(leg.role, seen.price),)
            return (*_exit(group, sums, seen), Wait(group.marked_at + MARK_EVERY))
        standing = as_it_stands(group, leg, seen.orders)
        if leg.role is group.triggered or not prices.is_touched(standing, seen.price, group.mark):
            continue
        if leg is _wanted(group, seen) and (not leg.type.stops or sums.live_in(leg.role)):
            continue  # it is where it belongs, and its broker sees the market too
        return (Trigger(leg.role, seen.price),)
    return ()


def _wanted(group: Group, seen: Situation) -> Leg | None:
    """The leg that belongs at the broker; None while nothing that its broker can hold is left."""
    if group.triggered is not None:
        return group.terms.leg(group.triggered)
    return next((leg for leg in group.terms.exits if leg.type in seen.order_types), None)


def _exit(group: Group, sums: Tally, seen: Situation) -> tuple[Step, ...]:
    """Make what lives at the broker the wanted leg, for exactly what is left to exit.

    While nothing may be placed, what rests there stays: it would leave what is held unguarded. So it does
    while risk would put off what takes its place, which is known where the steps are taken.
    """
    leg = _wanted(group, seen)
    if leg is None:
        return ()
    wrong = tuple(order for role, order in sums.live if role not in (leg.role, Role.ENTRY))
    if wrong and seen.may_place:
        return _make_room(group, leg, wrong, sums.need, seen)
    standing = (*sums.live_in(leg.role), *wrong)
    surplus = sum(map(worst_leaves, standing), ZERO) - sums.need
    if surplus > ZERO:
        return _shrink(group, standing[-1], surplus, seen)
    return _grow(group, leg, standing, -surplus, seen) if surplus < ZERO else ()


def _make_room(
    group: Group, leg: Leg, wrong: Sequence[Order], need: Decimal, seen: Situation
) -> tuple[Step, ...]:
    """Each for as much as it leaves itself: the whole of it beside the others would be more than there is."""
    found: list[Step] = []
    for order in wrong:
        leaves = min(worst_leaves(order), need)
        terms = _terms_of(group, leg, leaves if leaves > ZERO else need, seen)
        found += recall_all(group, (order,), seen, terms)
    return tuple(found)


def _shrink(group: Group, order: Order, surplus: Decimal, seen: Situation) -> tuple[Step, ...]:
    if order.status is Status.PENDING_REPLACE:
        return ()  # its answer may be just that
    if _can_resize(order, seen) and order.leaves_qty > surplus:
        return (Resize(order.id, order.terms.quantity - surplus),)
    return recall_all(group, (order,), seen)


def _grow(
    group: Group, leg: Leg, standing: tuple[Order, ...], lacking: Decimal, seen: Situation
) -> tuple[Step, ...]:
    if not seen.may_place:
        return ()
    last = standing[-1] if standing else None
    if last is not None and last.status in (Status.ACCEPTED, Status.PENDING_REPLACE):
        return ()
    if last is not None and _can_resize(last, seen):
        return (Resize(last.id, last.terms.quantity + lacking),)
    if (unsettled := _unsettled(group, seen)) is not None:
        return (Wait(unsettled),)
    return _release(group, leg.role, _terms_of(group, leg, lacking, seen), seen)


def _terms_of(group: Group, leg: Leg, quantity: Decimal, seen: Situation) -> Terms:
    as_it_is = as_it_stands(group, leg, seen.orders)
    return order_terms(group.terms, as_it_is, quantity, triggered=group.triggered is leg.role)


def _even_out(group: Group, overrun: Decimal, seen: Situation) -> tuple[Step, ...]:
    """Undo what the exits traded beyond what there was to exit."""
    symbol = group.terms.symbol
    if symbol is None:
        return ()
    if not seen.may_place:
        return (Wait(seen.now + LOOK_AGAIN),)  # also of a group that is over
    side = Side.BUY if group.terms.exits[0].side is Side.SELL else Side.SELL
    return _release(group, Role.EVENING, closing_terms(group.terms, symbol, side, overrun), seen)


def _release(group: Group, role: Role, terms: Terms, seen: Situation) -> tuple[Step, ...]:
    failed, last = setbacks(group, seen.orders, seen.now)
    if last is not None and not has_passed(last, pause(failed), seen.now):
        return (Wait(last + pause(failed)),)
    return (Release(role, group.next_order_id(role, terms.symbol), terms),)


def recall_all(
    group: Group, orders: Sequence[Order], seen: Situation, instead: Terms | None = None
) -> tuple[Step, ...]:
    """Ask for cancels; again, after a pause, where the broker refused; not where one is under way."""
    steps: list[Step] = []
    for order in orders:
        if order.cancel_requested:
            continue
        before = group.recalled.get(order.id)
        if before is None or has_passed(before.at, pause(before.times), seen.now):
            steps.append(Recall(order.id, instead))
        else:
            steps.append(Wait(before.at + pause(before.times)))
    return tuple(steps)


def _can_resize(order: Order, seen: Situation) -> bool:
    """A replacement that the broker refused once is not asked for again."""
    was_refused = order.replacement is None and order.versions_used > order.version
    return (
        seen.may_replace
        and seen.may_place
        and order.status is Status.WORKING
        and not order.cancel_requested
        and order.replacement is None
        and order.unknown_since is None
        and order.terms.type is not OrderType.MARKET
        and not was_refused
    )


def _unsettled(group: Group, seen: Situation) -> datetime | None:
    """An order that filled while a larger one was asked for: which of them lived is known shortly."""
    for one in group.released:
        order = seen.orders.get(one.order_id)
        if order is None or not order.is_final or order.replacement is None or order.final_at is None:
            continue
        if order.replacement.quantity > order.cum_qty and not has_passed(order.final_at, SETTLE, seen.now):
            return order.final_at + SETTLE
    return None
