"""Carries groups of orders on: asks the pure core what is next, and makes it an ordinary order.

Started by commits, prices and recoveries, and remembers nothing that matters: what a group does next is
derived from the journal's fold each time. A step is one unit: the group's event and the order's beside
it, so that a crash leaves both or neither. It speaks to no broker; the dispatcher follows the same
commits. An account without groups costs one look per event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, assert_never

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.accounts.breaks import Nature
from ordergate.core.accounts.events import AnyAccountEvent
from ordergate.core.contingent import events as g
from ordergate.core.contingent import flatten, steps
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.tally import (
    PAUSE_S_MAX,
    SETBACKS_MAX,
    Situation,
    ended_by_others,
    setbacks,
    tally,
    was_put_off,
)
from ordergate.core.contingent.terms import GroupId, GroupKind, Role
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import CancelOrder
from ordergate.core.orders.decide import decide_cancel
from ordergate.core.orders.order import Order
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.commands.judging import Judging
from ordergate.engine.stopping.kill_guard import KillGuard
from ordergate.engine.wire.dispatcher import Dispatcher
from ordergate.engine.worth.prices import PriceBoard
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("contingent")

STEPS_MAX: Final = 64
LOOK_AGAIN_S: Final = 1.0
_LATER_MAX: Final = timedelta(seconds=PAUSE_S_MAX)
"""Nothing waits for longer: what does was put off by a clock that has been set back since."""
PUT_OFF_S_MAX: Final = 120.0
"""As long as eight tries take, of which somebody is told where there are tries."""


class Place(NamedTuple):
    account: AccountId
    group: GroupId


class Contingent:
    """`follow`, `carry_on` and `advance` run without waiting; `keep` is the part that looks again."""

    def __init__(
        self,
        lanes: Lanes,
        *,
        judging: Judging,
        prices: PriceBoard,
        kill_guard: KillGuard,
        dispatcher: Dispatcher,
        alarms: Alarms,
        clock: Clock,
    ) -> None:
        self._lanes = lanes
        self._judging = judging
        self._prices = prices
        self._kill_guard = kill_guard
        self._dispatcher = dispatcher
        self._alarms = alarms
        self._clock = clock
        self._dirty: dict[Place, None] = {}
        self._later: dict[Place, datetime] = {}
        self._watching: dict[Symbol, dict[Place, None]] = {}
        self._fixed: set[OrderId] = set()
        self._put_off_since: dict[Place, float] = {}
        self._running: asyncio.Handle | None = None
        self._stopped = False
        prices.watch(self._watching, self._on_price)

    def follow(self, lane: Lane, event: e.AnyOrderEvent | AnyAccountEvent | g.AnyGroupEvent) -> None:
        """Called for every committed event: the group that it concerns is looked at."""
        groups = lane.books.groups
        if not groups.of_order and not groups.active:
            return  # as on most accounts, for every event of every order
        if isinstance(event, e.OrderEvent):
            if (group_id := groups.of_order.get(event.order_id)) is not None:
                self._look_at(Place(lane.account, group_id))
        elif isinstance(event, g.GroupEvent):
            self._look_at(Place(lane.account, event.group_id))
        for flattening in groups.flattening:
            self._look_at(Place(lane.account, flattening))

    def carry_on(self, seat: Seat) -> None:
        """The account was folded anew: every group goes on from where the journal left it.

        So does one that is over, and has exited more than there was, or less, or has an order that came back
        to life: that was still to be undone, to be guarded, or to be canceled.
        """
        groups = seat.lane.books.groups
        seen = Situation(now=self._clock.now(), orders=groups.orders)
        for group in groups.kept():
            sums = tally(group, groups.orders)
            if sums.need < ZERO or sums.live or steps.still_guards(group, seen):
                self._look_at(Place(seat.lane.account, group.id))

    async def keep(self) -> None:
        """Look again at what had to wait: for a pause, a kill switch, or a part that was not ready."""
        while True:
            await self._clock.sleep(LOOK_AGAIN_S)
            now = self._clock.now()
            for place, at in tuple(self._later.items()):
                if at <= now or at - now > _LATER_MAX:
                    self._look_at(place)

    def stop(self) -> None:
        """Take no further step."""
        self._stopped = True

    def advance(self, seat: Seat, group_id: GroupId) -> None:
        """Take every step that the group can take now."""
        place = Place(seat.lane.account, group_id)
        self._later.pop(place, None)
        for _ in range(STEPS_MAX):
            group = seat.lane.books.groups.get(group_id)
            if group is None:
                return
            if not self._take_all(seat, group, place):
                return
        log.error("group.restless", group=group_id, account=seat.lane.account)
        self._look_later(place)

    def _take_all(self, seat: Seat, group: Group, place: Place) -> bool:
        """True when something was done, so that the next question has another answer."""
        seen = self._situation(seat, group)
        guards = steps.still_guards(group, seen)
        self._watch(seat, place, group, guards=guards)
        ask = flatten.next_steps if group.terms.kind is GroupKind.FLATTEN else steps.next_steps
        done = False
        for step in ask(group, seen):
            if isinstance(step, steps.Wait):
                self._later[place] = min(step.until, self._later.get(place, step.until))
            else:
                done = self._take(seat, group, step) or done
        if not done and guards and (seen.in_doubt or not seen.may_place):
            self._look_later(place)  # no event of the account may say that it is over
        return done

    def _situation(self, seat: Seat, group: Group) -> Situation:
        books = seat.lane.books
        flattens = group.terms.kind is GroupKind.FLATTEN
        symbol = _symbol_of(seat, group)
        stopped = self._is_stopped(seat, group, symbol)
        blocked = stopped or self._dispatcher.is_full_for(seat.lane.account) or not seat.limits_known
        can = seat.broker.capabilities
        may_resize = can.replaces and not any(one.order_id in self._fixed for one in group.released)
        held = {} if books.account is None or not flattens else books.account.positions
        others = self._others(seat, group, symbol) if flattens else ()
        known_as = {order.terms.symbol for order in others} | {one.symbol for one in group.released}
        return Situation(
            now=self._clock.now(),
            orders=books.groups.orders,
            price=None if symbol is None or flattens else self._price(seat, symbol),
            may_place=not blocked and not (flattens and seat.freshness.stale_since is not None),
            may_replace=may_resize,
            order_types=can.order_types,
            others=tuple(others),
            held={one: its.quantity for one, its in held.items() if symbol in (None, one)},
            in_doubt=_in_doubt(books.account) | self._stopped_in(seat, group, held)
            if flattens
            else frozenset(),
            names={name: books.present_name(name) for name in known_as},
            unlisted=frozenset(one for one in held if not self._judging.lists(one)),
            lots={one: self._judging.lot(one) for one in held if self._judging.lists(one)},
        )

    def _is_stopped(self, seat: Seat, group: Group, symbol: Symbol | None) -> bool:
        """True when a stop holds the group's next order back; `reduce_only` none that closes what is held."""
        stop = self._kill_guard.stop(
            seat,
            symbol,
            user=group.actor,
            strategy=group.terms.strategy,
            closing=group.terms.kind is GroupKind.FLATTEN,
        )
        if stop is None or stop.grade is not Grade.REDUCE_ONLY:
            return stop is not None
        return group.terms.kind is not GroupKind.FLATTEN and not _only_reduces(seat, group)

    def _stopped_in(self, seat: Seat, group: Group, held: Iterable[Symbol]) -> frozenset[str]:
        """Symbols of which a flatten of the whole account may close nothing now."""
        if group.terms.symbol is not None:
            return frozenset()
        return frozenset(symbol for symbol in held if self._is_stopped(seat, group, symbol))

    def _others(self, seat: Seat, group: Group, symbol: Symbol | None) -> Sequence[Order]:
        own, books = {one.order_id for one in group.released}, seat.lane.books
        return [
            order
            for order in books.open_orders()
            if order.id not in own and symbol in (None, *books.names_of(order.terms.symbol))
        ]

    def _price(self, seat: Seat, symbol: Symbol) -> Decimal | None:
        """The market's price, if it is as fresh as risk wants it."""
        reference = self._prices.reference(symbol)
        if reference is None or seat.limits is None:
            return None
        if abs(self._clock.now() - reference.at) > seat.limits.reference_price_max_age:
            return None
        return reference.price

    def _take(self, seat: Seat, group: Group, step: steps.Step) -> bool:
        """Record one step. False when it cannot be taken now."""
        now, account = self._clock.now(), seat.lane.account
        events: Sequence[e.AnyOrderEvent | g.AnyGroupEvent]
        match step:
            case steps.Release():
                events = release(self._judging, seat, group, step, now)
            case steps.Recall():
                events = self._recall(seat, group, step, now)
            case steps.Resize():
                events = self._resize(seat, group, step)
            case steps.Trigger(role=role, price=price):
                events = [g.LegTriggered(account=account, at=now, group_id=group.id, role=role, price=price)]
            case steps.MoveMark(role=role, mark=mark):
                events = [g.TrailMoved(account=account, at=now, group_id=group.id, role=role, mark=mark)]
            case steps.Finish(reason=reason):
                events = [g.GroupEnded(account=account, at=now, group_id=group.id, reason=reason)]
            case steps.Wait():
                return False
            case _:
                assert_never(step)
        if not events:
            self._look_later(Place(account, group.id))
            return False
        seat.lane.record(events, correlation=f"group.{group.id}")
        self._tell_people(seat, group, step)
        return True

    def _tell_people(self, seat: Seat, group: Group, step: steps.Step) -> None:
        """What nobody may overlook: more was exited than there was, or nothing guards any more."""
        match step:
            case steps.Release(role=Role.EVENING, terms=terms):
                detail = f"{terms.side} {terms.quantity} {terms.symbol} to undo what was exited too much"
                self._alarms.sound(
                    seat, AlarmNature.GROUP_OVERRUN, group.id, detail, {"order_id": step.order_id}
                )
            case steps.Release(order_id=order_id):
                self._tell_of_wait(seat, group, order_id)
            case steps.Finish(reason=g.End.LEG_REFUSED):
                detail = "its orders were refused again and again: what is held is not looked after"
                self._alarms.sound(seat, AlarmNature.GROUP_GAVE_UP, group.id, detail, {})
            case steps.Finish(reason=g.End.LEG_CANCELED | g.End.LEG_EXPIRED):
                ended = ended_by_others(group, seat.lane.books.groups.orders)
                if ended is not None:
                    detail = f"{ended}: what is held is not looked after"
                    self._alarms.sound(seat, AlarmNature.GROUP_GAVE_UP, group.id, detail, {})
            case _:
                return

    def _tell_of_wait(self, seat: Seat, before: Group, order_id: OrderId) -> None:
        """Its orders are put off for longer than a moment: what is held may not be looked after.

        Our own risk has said so of this order by now; what kept one from leaving is known of those before.
        """
        groups = seat.lane.books.groups
        for group in (groups.get(before.id), before):
            if group is None or not group.released:
                continue
            order = groups.orders.get(group.released[-1].order_id)
            times, _ = setbacks(group, groups.orders, self._clock.now())
            if order is None or times < SETBACKS_MAX or not was_put_off(order):
                continue
            refused = _said(order.failed) or order.reason
            detail = f"put off {times} times in a row, by {refused}: it is tried once a minute"
            self._alarms.sound(seat, AlarmNature.GROUP_PUT_OFF, group.id, detail, {"order_id": order_id})
            return

    def _tell_of_rest(self, seat: Seat, group: Group, order: Order, by: Sequence[e.FailedControl]) -> None:
        """What is to take an order's place is put off for long, and nothing was placed that would say so."""
        place, now = Place(seat.lane.account, group.id), self._clock.monotonic()
        if not by:
            self._put_off_since.pop(place, None)
        elif now - self._put_off_since.setdefault(place, now) >= PUT_OFF_S_MAX:
            detail = f"put off for {PUT_OFF_S_MAX:g} s, by {_said(by)}: {order.id} rests until then"
            self._alarms.sound(seat, AlarmNature.GROUP_PUT_OFF, group.id, detail, {"order_id": order.id})

    def _recall(
        self, seat: Seat, group: Group, step: steps.Recall, now: datetime
    ) -> Sequence[e.AnyOrderEvent | g.AnyGroupEvent]:
        """Not while risk would put off what is to take its place: it guards what is held until then."""
        order = seat.lane.books.order(step.order_id)
        if order is None:
            return ()
        asked = decide_cancel(order, CancelOrder(order_id=order.id, actor=group.id, asked_at=now))
        if isinstance(asked, Refusal):
            return ()
        if step.instead is not None:
            kept_by = self._judging.puts_off(seat, order, step.instead, actor=group.actor)
            self._tell_of_rest(seat, group, order, kept_by)
            if kept_by:
                return ()
        seat.buckets.cancel_sent(now)
        told = g.LegRecalled(account=seat.lane.account, at=now, group_id=group.id, order_id=order.id)
        return [told, asked]

    def _resize(self, seat: Seat, group: Group, step: steps.Resize) -> Sequence[e.AnyOrderEvent]:
        """Where risk or the order itself refuses, the leg is made anew instead of changed."""
        event = self._judging.resize_leg(seat, step.order_id, step.quantity, actor=group.id)
        if not isinstance(event, e.ReplaceRequested):
            self._fixed.add(step.order_id)
        return () if isinstance(event, Refusal) else [event]

    def _on_price(self, symbol: Symbol) -> None:
        for place in self._watching.get(symbol, ()):
            self._look_at(place)

    def _watch(self, seat: Seat, place: Place, group: Group, *, guards: bool) -> None:
        symbol = _symbol_of(seat, group)
        if symbol is None or group.terms.kind is GroupKind.FLATTEN:
            return
        if guards:
            self._watching.setdefault(symbol, {})[place] = None
            return
        self._fixed.difference_update(one.order_id for one in group.released)
        self._put_off_since.pop(place, None)
        if symbol in self._watching:
            self._watching[symbol].pop(place, None)
            if not self._watching[symbol]:
                del self._watching[symbol]

    def _look_later(self, place: Place) -> None:
        again = self._clock.now() + timedelta(seconds=LOOK_AGAIN_S)
        self._later[place] = min(again, self._later.get(place, again))

    def _look_at(self, place: Place) -> None:
        """Once in this turn of the loop, however much happened in it."""
        self._dirty[place] = None
        if self._running is None and not self._stopped:
            self._running = asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        """One group, and another turn for the next: no one of them keeps the others from theirs."""
        self._running = None
        if not self._dirty or self._stopped:
            return
        place = next(iter(self._dirty))
        del self._dirty[place]
        if self._dirty:
            self._running = asyncio.get_running_loop().call_soon(self._run)
        seat = self._lanes.get(place.account)
        if seat is None or seat.trouble is not None:
            return  # it is carried on when the account has been folded anew
        try:
            self.advance(seat, place.group)
        except Fault as fault:
            log.error("group.unrecorded", group=place.group, why=str(fault))


def _said(failed: Iterable[e.FailedControl]) -> str:
    return ", ".join(f"{no.control} {no.reason}" for no in failed)


def _symbol_of(seat: Seat, group: Group) -> Symbol | None:
    """What it is called now; prices and positions are of that name."""
    symbol = group.terms.symbol
    return None if symbol is None else seat.lane.books.present_name(symbol)


def _only_reduces(seat: Seat, group: Group) -> bool:
    """Whether what is left to exit, or was exited too much, is at most what is held on the other side."""
    account, symbol = seat.lane.books.account, _symbol_of(seat, group)
    if account is None or symbol is None:
        return False
    held = account.position(symbol).quantity
    left = group.terms.exits[0].side.sign * tally(group, seat.lane.books.groups.orders).need
    return held * left < ZERO and abs(left) <= abs(held)


def _in_doubt(account: Account | None) -> frozenset[str]:
    """Symbols of which the broker shows another position than our books."""
    breaks = () if account is None else account.breaks.values()
    return frozenset(one.subject for one in breaks if one.nature is Nature.POSITION)


def release(
    judging: Judging, seat: Seat, group: Group, step: steps.Release, now: datetime
) -> list[e.AnyOrderEvent | g.AnyGroupEvent]:
    """The order of a leg, and the group's word that it is one of its own."""
    terms = step.terms
    told = g.LegReleased(
        account=seat.lane.account,
        at=now,
        group_id=group.id,
        role=step.role,
        order_id=step.order_id,
        symbol=terms.symbol,
        side=terms.side,
        quantity=terms.quantity,
    )
    closing = group.terms.kind is GroupKind.FLATTEN
    return [told, judging.leg(seat, step.order_id, terms, actor=group.actor, closing=closing)]
