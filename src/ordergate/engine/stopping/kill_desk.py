"""Where stops are engaged, released and carried out: permission, the switch, and what follows from it.

Engaging is in force before it is durable, releasing only after: doubt is decided for standing still.
Whoever engaged a stop last does not release it, and a flatten takes two. It never decides about an order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

import msgspec

from ordergate.core import two_persons
from ordergate.core.access import Principal
from ordergate.core.contingent.events import End
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.terms import GroupId, GroupKind
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.order import Order
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import (
    EVERYWHERE,
    SWITCH,
    AnyControlEvent,
    Grade,
    Kill,
    KillEngaged,
    KillEvent,
    KillFlattenAsked,
    KillFlattenConfirmed,
    KillReleased,
    KillSwept,
    Level,
    Place,
)
from ordergate.core.two_persons import FLATTEN, KILL_RELEASE, may_not
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.answering.answers import KillView, StopView
from ordergate.engine.stopping.kill_guard import closes, is_account_of, is_group_of, is_order_of
from ordergate.engine.stopping.kill_rights import KillRights
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.engine.stopping.sweeps import Sweeps, Wanted
from ordergate.ports.clock import Clock
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger

log = logger("kill_desk")

ACTOR: Final = SWITCH
LOOK_S: Final = 0.5
KILLS_MAX: Final = 1_000
UNNOTED_MAX: Final = 1_000

Decision = tuple[Place, datetime | None]

_FLATTENED: Final = frozenset(
    {Level.ACCOUNT, Level.INSTRUMENT, Level.BROKER, Level.TENANT, Level.ENVIRONMENT, Level.GLOBAL}
)


class Flattens(Protocol):
    def flatten_now(
        self, seat: Seat, symbol: Symbol | None, *, actor: str, correlation: str
    ) -> GroupId | None: ...


class KillDesk:
    """`two_persons` is False only where one person runs everything, in paper."""

    def __init__(
        self,
        env: Env,
        *,
        lanes: Lanes,
        kill_switch: KillSwitch,
        sweeps: Sweeps,
        flattens: Flattens,
        instruments: Mapping[Symbol, Instrument],
        clock: Clock,
        two_persons: bool = True,
    ) -> None:
        self._env = env
        self._lanes = lanes
        self._kill_switch = kill_switch
        self._sweeps = sweeps
        self._flattens = flattens
        self._rights = KillRights(env, lanes, instruments)
        self._clock = clock
        self._two_persons = two_persons
        self._unnoted: deque[KillSwept] = deque(maxlen=UNNOTED_MAX)
        self._past: frozenset[Decision] | None = None
        self._flattened: dict[Decision, dict[AccountId, GroupId]] = {}

    async def engage(
        self, principal: Principal, place: Place, grade: Grade, reason: str, correlation: str
    ) -> KillView | Refusal:
        """In force at once on this node; the hard grades then cancel every open order that it is about."""
        if (no := may_not(KILL_RELEASE.asks, KILL_RELEASE, principal, self._clock.now())) is not None:
            return no
        refusal = self._cannot_engage(place, grade) or self._rights.may_not_engage(principal, place)
        if refusal is not None:
            return refusal
        level, target = place
        engaged = KillEngaged(
            at=self._clock.now(),
            level=level,
            target=target,
            grade=grade,
            actor=principal.subject,
            reason=reason,
        )
        if not await self.stop(engaged, correlation):
            return Refusal(Code.UNAVAILABLE, "engaged on this node, but not yet written down")
        return self.view_for(principal)

    async def stop(self, event: KillEngaged, correlation: str) -> bool:
        """Engage whatever decided so. False when it is in force here, and not durable yet."""
        try:
            await self._kill_switch.engage(event, correlation)
        except Fault as fault:
            log.error("kill_switch.not_durable", why=str(fault))
            return False
        finally:
            if event.grade.cancels:
                failpoints.reach("C13")
            self.look()
        return True

    async def release(
        self, principal: Principal, place: Place, reason: str, correlation: str
    ) -> KillView | Refusal:
        """In force once it is durable. What is not engaged needs no release."""
        if (no := may_not(KILL_RELEASE.approves, KILL_RELEASE, principal, self._clock.now())) is not None:
            return no
        kill = self._kill_switch.state.kills.get(place)
        if kill is None or self._rights.hides(principal, place):
            return self.view_for(principal)
        if (no := self._rights.may_not_turn(principal, place)) is not None:
            return no
        if (refusal := self._cannot_release(principal, kill)) is not None:
            return refusal
        if not await self.lift(place, principal.subject, reason, correlation):
            return Refusal(Code.UNAVAILABLE, "still engaged: the release could not be written")
        return self.view_for(principal)

    async def lift(self, place: Place, actor: str, reason: str, correlation: str) -> bool:
        """Release whoever decided so. False when it could not be written, and nothing is released."""
        level, target = place
        released = KillReleased(at=self._clock.now(), level=level, target=target, actor=actor, reason=reason)
        try:
            await self._kill_switch.release(released, correlation)
        except Fault as fault:
            log.error("kill_switch.not_durable", why=str(fault))
            return False
        return True

    async def flatten(
        self, principal: Principal, place: Place, reason: str, correlation: str
    ) -> KillView | Refusal:
        """The first person asks; another one, asking the same, makes it so."""
        if (no := may_not(FLATTEN.asks, FLATTEN, principal, self._clock.now())) is not None:
            return no
        kill = None if self._rights.hides(principal, place) else self._kill_switch.state.kills.get(place)
        if kill is None or kill.grade is not Grade.CANCEL_ALL or kill.level not in _FLATTENED:
            return Refusal(Code.ACTION_NOT_ALLOWED, "only under a cancel_all of a level that holds positions")
        if (no := self._rights.may_not_turn(principal, place)) is not None:
            return no
        event = self._next_of_flatten(principal, kill, reason)
        if isinstance(event, Refusal):
            return event
        try:
            await self._kill_switch.note(event, correlation)
        except Fault as fault:
            log.error("kill_switch.not_durable", why=str(fault))
            return Refusal(Code.UNAVAILABLE, "not written down: nothing is flattened")
        self.look()
        return self.view_for(principal)

    def follow(self, event: AnyControlEvent) -> None:
        """Called for every event of the control stream."""
        if isinstance(event, KillEvent):
            self._sweep(event.place)

    async def keep(self) -> None:
        """Look again, and write down what was swept."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()
            while self._unnoted:
                await self._kill_switch.note(self._unnoted[0], ACTOR)
                self._unnoted.popleft()

    def look(self) -> None:
        """Carry out what is in force: every cancel and every flatten that is due now."""
        self._sweeps.look()
        flattens = [kill for kill in self._kill_switch.state.kills.values() if kill.grade is Grade.FLATTEN]
        if self._past is None:
            self._past = frozenset(map(_decision, flattens))
        self._flattened = {one: self._flattened.get(one, {}) for one in map(_decision, flattens)}
        for kill in flattens:
            self._flatten_all(kill)

    def view_for(self, principal: Principal) -> KillView:
        """What is stopped, as far as it is this principal's to know."""
        return self._rights.shown(principal, self.view())

    def view(self) -> KillView:
        """What is stopped, for whoever runs the gateway."""
        switch = self._kill_switch
        widest, deaf = switch.state.kill, switch.deaf
        stops = tuple(self._stop_view(one) for one in switch.state.widest_first())
        if widest is None:
            return KillView(engaged=deaf is not None, level=Level.GLOBAL, reason=deaf, deaf=deaf)
        return KillView(
            engaged=True,
            level=widest.level,
            target=widest.target or None,
            grade=widest.grade,
            reason=widest.reason,
            actor=widest.actor,
            since=stops[0].since,
            deaf=deaf,
            stops=stops,
        )

    def _stop_view(self, kill: Kill) -> StopView:
        name = sweep_name(kill.place)
        asked = kill.flatten_asked
        return StopView(
            level=kill.level,
            target=kill.target or None,
            grade=kill.grade,
            reason=kill.reason,
            actor=kill.actor,
            since=msgspec.to_builtins(kill.since),
            trip=kill.trip,
            lift=None if kill.trip is None else kill.trip.lift,
            flatten_asked_by=None if asked is None else asked.actor,
            durable=kill.place not in self._kill_switch.unwritten,
            orders_left=self._sweeps.left(name),
            failing=self._sweeps.failing(name),
        )

    def _cannot_engage(self, place: Place, grade: Grade) -> Refusal | None:
        if grade is Grade.FLATTEN:
            return Refusal(Code.ACTION_NOT_ALLOWED, "engage cancel_all, and ask for the flatten of it")
        kills = self._kill_switch.state.kills
        engaged = sum(kill.trip is None for kill in kills.values())  # what tripped is in nobody's way
        if engaged >= KILLS_MAX and place not in kills and place != EVERYWHERE:
            return Refusal(Code.TOO_LARGE, f"{KILLS_MAX} stops are engaged: engage a wider one")
        return None

    def _cannot_release(self, principal: Principal, kill: Kill) -> Refusal | None:
        about = kill.concerns
        if about is not None:
            no = two_persons.same_person(principal, about, f"it is about {about}: another releases it")
            if no is not None:
                return no
        if not self._two_persons:
            return None
        return two_persons.same_person(principal, kill.actor, f"{kill.actor} engaged it: another releases it")

    def _next_of_flatten(
        self, principal: Principal, kill: Kill, reason: str
    ) -> KillFlattenAsked | KillFlattenConfirmed | Refusal:
        now, first = self._clock.now(), kill.flatten_asked
        actor = principal.subject
        if first is None or not timedelta(0) <= now - first.at <= FLATTEN.waits:
            return KillFlattenAsked(at=now, level=kill.level, target=kill.target, actor=actor, reason=reason)
        words = f"{first.actor} asked for it: another confirms it"
        if self._two_persons and (no := two_persons.same_person(principal, first.actor, words)) is not None:
            return no
        return KillFlattenConfirmed(at=now, level=kill.level, target=kill.target, actor=actor, reason=reason)

    def _sweep(self, place: Place) -> None:
        name, kill = sweep_name(place), self._kill_switch.state.kills.get(place)
        if kill is None or not kill.grade.cancels:
            self._sweeps.end(name)
            return
        wanted = Wanted(
            actor=ACTOR,
            orders=partial(self._wants, place),
            groups=lambda seat, group: is_group_of(place, self._env, seat, group),
            whole=partial(self._wants_all, place),
        )
        self._sweeps.begin(name, wanted, partial(self._swept, place))

    def _wants(self, place: Place, seat: Seat, order: Order) -> bool:
        kill = self._kill_switch.state.kills.get(place)
        if kill is None or not is_order_of(place, self._env, seat, order):
            return False
        return kill.grade is not Grade.FLATTEN or not closes(seat, order.id)

    def _wants_all(self, place: Place, seat: Seat) -> bool:
        """Never before the stop is durable, nor where a flatten's own orders have to live."""
        kill = self._kill_switch.state.kills.get(place)
        return (
            kill is not None
            and kill.grade is Grade.CANCEL_ALL
            and place not in self._kill_switch.unwritten
            and is_account_of(place, self._env, seat)
        )

    def _swept(self, place: Place, asked: int, took_s: float) -> None:
        level, target = place
        self._unnoted.append(
            KillSwept(
                at=self._clock.now(), level=level, target=target, cancels=asked, took_ms=int(took_s * 1000)
            )
        )

    def _flatten_all(self, kill: Kill) -> None:
        target = Symbol(kill.target) if kill.level is Level.INSTRUMENT else None
        for seat in self._lanes:
            symbol = None if target is None else seat.lane.books.present_name(target)
            if symbol is None and not is_account_of(kill.place, self._env, seat):
                continue
            if seat.trouble is not None or self._is_flattened(seat, symbol, kill):
                continue
            try:
                placed = self._flattens.flatten_now(seat, symbol, actor=ACTOR, correlation=ACTOR)
                if placed is not None:
                    self._flattened[_decision(kill)][seat.lane.account] = placed
            except Fault as fault:
                log.error("kill_switch.flatten_unrecorded", account=seat.lane.account, why=str(fault))

    def _is_flattened(self, seat: Seat, symbol: Symbol | None, kill: Kill) -> bool:
        """True once a flatten of it has been placed since two persons wanted it, and closed what there is.

        A fill may be told after that, of an order that was refused, or canceled: it takes another flatten.
        What one could not close in all its tries is not tried without end.
        """
        last = self._last_flatten(seat, symbol, kill)
        return last is not None and (last.reason is not End.COMPLETED or not _holds(seat, symbol))

    def _last_flatten(self, seat: Seat, symbol: Symbol | None, kill: Kill) -> Group | None:
        """Known of what was placed in this process's time; of what was decided before, by times."""
        groups = seat.lane.books.groups
        placed = self._flattened[_decision(kill)].get(seat.lane.account)
        found = None if placed is None else groups.get(placed)  # a commit may have been lost
        if found is None and self._past is not None and _decision(kill) in self._past:
            return next((group for group in groups.all() if _is_of(seat, group, symbol, kill)), None)
        return found


def sweep_name(place: Place) -> str:
    return f"{place[0]} {place[1]}".rstrip()


def _decision(kill: Kill) -> Decision:
    """What two persons decided: two flattens of one place are two."""
    return kill.place, kill.flattened_at


def _holds(seat: Seat, symbol: Symbol | None) -> bool:
    account = seat.lane.books.account
    held = {} if account is None else account.positions
    return any(one.quantity and symbol in (None, one.symbol) for one in held.values())


def _is_of(seat: Seat, group: Group, symbol: Symbol | None, kill: Kill) -> bool:
    closes = group.terms.symbol
    return (
        group.actor == ACTOR
        and group.terms.kind is GroupKind.FLATTEN
        and (closes is None or seat.lane.books.present_name(closes) == symbol)
        and kill.flattened_at is not None
        and group.accepted_at >= kill.flattened_at
    )
