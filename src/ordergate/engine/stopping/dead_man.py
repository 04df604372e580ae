"""Dead man's switches: a client that armed one and goes away has its open orders canceled.

One for each session that a client names, by REST or on the stream. Arming is journalled, refreshing is not;
after a restart an armed one gets its whole time again, and one that had expired is carried on. What it
cancels is every order that the client's user placed until then; whether orders that outlive the broker's
own sessions (GTC) are among them, the client has to say. It never keeps a client from placing anything.
An expiry is of one arming: a client that is back armed anew, behind it, and that one stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.terms import GroupId
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import (
    AnyControlEvent,
    DeadManArmed,
    DeadManDisarmed,
    DeadManEvent,
    DeadManExpired,
    Remaining,
)
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.answering.answers import DeadManView
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.engine.stopping.sweeps import Sweeps, Wanted
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("dead_man")

ACTOR: Final = "dead-man"
LOOK_S: Final = 0.5
SESSIONS_MAX: Final = 64
ARMED_MAX: Final = 10_000
REFRESHES: Final = 3
"""A client does well to refresh this often within the time."""
LINGERS_S: Final = 60.0
"""How long after the last cancel an order that comes back to life is canceled too.

A broker that refuses an order and has it all the same shows that by then: in doubt it is asked sooner.
"""
LATELY_FINAL_MAX: Final = 1_000


class Key(NamedTuple):
    """Several people may use one program, and name their sessions alike: each has a switch of their own."""

    tenant: str
    client: str
    session: str
    user: str


class Armed(msgspec.Struct):
    """`expires` is a monotonic second; `expired_at` is set once it has come.

    `there` are the orders and groups that they had just then, of each account whose books could be asked;
    those that had just ended are among them, for a refusal may turn out to be none. `connection` is the
    one on which the client armed or refreshed it last; None where it did so by requests alone. `disarmings`
    are being written down: what is armed meanwhile comes behind them. `left_over` is an earlier one that
    canceled more than this one does, and was not done when this one expired.
    """

    armed: DeadManArmed
    expires: float
    connection: object = None
    expired_at: datetime | None = None
    disarmings: int = 0
    there: dict[AccountId, frozenset[OrderId | GroupId]] = {}
    left_over: Armed | None = None


class DeadMan:
    def __init__(self, *, lanes: Lanes, kill_switch: KillSwitch, sweeps: Sweeps, clock: Clock) -> None:
        self._lanes = lanes
        self._kill_switch = kill_switch
        self._sweeps = sweeps
        self._clock = clock
        self._armed: dict[Key, Armed] = {}
        self._unnoted: deque[DeadManExpired] = deque(maxlen=ARMED_MAX)
        self._sweeping: dict[str, Armed] = {}
        self._lingering: dict[str, float] = {}
        self._armings = 0
        self._arming: set[Key] = set()  # those that are being written down
        self._noting = asyncio.Lock()  # an expiry is written once, and before what is armed after it

    async def arm(
        self,
        principal: Principal,
        session: str,
        *,
        timeout_s: int,
        gtc: Remaining,
        correlation: str,
        connection: object = None,
    ) -> DeadManView | Refusal:
        """Arm it, or refresh it when it is armed so already. In force once durable.

        What had expired is written down before: nothing that comes later ends what is armed here.
        """
        if not principal.may(Scope.ORDERS_WRITE):
            return _FORBIDDEN
        key = _key(principal, session)
        found = self._armed.get(key)
        if found is not None and found.expired_at is None and not found.disarmings:
            self._is_there(found, connection)
            if (found.armed.timeout_s, found.armed.gtc) == (timeout_s, gtc):
                return self._view(key, found)
            connection = found.connection
        elif (no := self._no_room(key)) is not None:
            return no
        self._armings += 1
        event = DeadManArmed(
            at=self._clock.now(),
            tenant=key.tenant,
            client=key.client,
            session=session,
            user=principal.subject,
            timeout_s=timeout_s,
            gtc=gtc,
            arming=self._armings,
        )
        self._arming.add(key)
        try:
            await self._note_expired()
            await self._kill_switch.note(event, correlation)
        except Fault as fault:
            log.error("dead_man.not_durable", client=key.client, why=str(fault))
            return Refusal(Code.UNAVAILABLE, "not armed: it could not be written down")
        finally:
            self._arming.discard(key)
        made = self._armed[key]
        made.connection = connection
        return self._view(key, made)

    async def disarm(self, principal: Principal, session: str, *, correlation: str) -> DeadManView | Refusal:
        """The client will be away on purpose. What is not armed stays so."""
        if not principal.may(Scope.ORDERS_WRITE):
            return _FORBIDDEN
        key = _key(principal, session)
        found = self._armed.get(key)
        if found is None or found.expired_at is not None:
            return Refusal(Code.NOT_FOUND, f"no switch of the session {session} is armed")
        event = DeadManDisarmed(
            at=self._clock.now(),
            tenant=key.tenant,
            client=key.client,
            session=session,
            user=found.armed.user,
        )
        found.disarmings += 1
        try:
            await self._kill_switch.note(event, correlation)
        except Fault as fault:
            log.error("dead_man.not_durable", client=key.client, why=str(fault))
            return Refusal(Code.UNAVAILABLE, "still armed: it could not be written down")
        finally:
            found.disarmings -= 1
        return msgspec.structs.replace(self._view(key, found), state="disarmed", expires_in_s=0.0)

    def refresh(self, principal: Principal, session: str, connection: object = None) -> DeadManView | Refusal:
        """The client is there. Nothing is written."""
        if not principal.may(Scope.ORDERS_WRITE):
            return _FORBIDDEN
        key = _key(principal, session)
        found = self._armed.get(key)
        if found is None or found.expired_at is not None:
            return Refusal(Code.NOT_FOUND, f"no switch of the session {session} is armed")
        self._is_there(found, connection)
        return self._view(key, found)

    def gone(self, principal: Principal, session: str, why: str, connection: object = None) -> None:
        """This connection is lost, and the client wanted that to count at once.

        One that it has left behind says nothing of the client: an old one may time out long after.
        """
        key = _key(principal, session)
        found = self._armed.get(key)
        if found is not None and found.expired_at is None and found.connection is connection:
            self._expire(key, found, why)

    def of(self, principal: Principal) -> tuple[DeadManView, ...]:
        return tuple(
            self._view(key, found)
            for key, found in self._armed.items()
            if key == _key(principal, key.session)
        )

    def follow(self, event: AnyControlEvent) -> None:
        """Called for every event of the control stream; at start for all of the past."""
        if not isinstance(event, DeadManEvent):
            return
        key = Key(event.tenant, event.client, event.session, event.user)
        match event:
            case DeadManArmed():
                self._armings = max(self._armings, event.arming)
                self._armed[key] = Armed(event, self._clock.monotonic() + event.timeout_s)
            case DeadManExpired():
                found = self._armed.get(key)
                is_of = found is not None and event.arming in (0, found.armed.arming)
                if found is not None and is_of and found.expired_at is None:
                    self._begin(key, found, event.at)
            case _:
                self._armed.pop(key, None)

    async def keep(self) -> None:
        """Let expire what was not refreshed, and write that down."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()
            await self._note_expired()

    def look(self) -> None:
        now = self._clock.monotonic()
        for key, found in tuple(self._armed.items()):
            if found.expired_at is None and now >= found.expires:
                self._expire(key, found, f"not refreshed for {found.armed.timeout_s} s")
        for name, until in tuple(self._lingering.items()):
            if now >= until:
                self._end(name)

    async def _note_expired(self) -> None:
        """Raises Fault; what is not written then is written later."""
        async with self._noting:
            while self._unnoted:
                await self._kill_switch.note(self._unnoted[0], ACTOR)
                self._unnoted.popleft()

    def _is_there(self, found: Armed, connection: object) -> None:
        """The client is, and on this connection, where it came on one."""
        found.expires = self._clock.monotonic() + found.armed.timeout_s
        if connection is not None:
            found.connection = connection

    def _expire(self, key: Key, found: Armed, why: str) -> None:
        """The cancels come first; they are durable each by itself, and do not wait for this to be."""
        at = self._clock.now()
        log.warning("dead_man.expired", client=key.client, session=key.session, why=why)
        found.there = {
            seat.lane.account: _there(seat, found.armed.user, at)
            for seat in self._lanes
            if seat.trouble is None
        }
        self._begin(key, found, at)
        self._sweeps.look()
        self._unnoted.append(
            DeadManExpired(
                at=at,
                tenant=key.tenant,
                client=key.client,
                session=key.session,
                user=found.armed.user,
                why=why,
                arming=found.armed.arming,
            )
        )

    def _begin(self, key: Key, found: Armed, at: datetime) -> None:
        """What an earlier one left over is among what this one cancels, or is canceled beside it."""
        found.expired_at = at
        name, earlier = _name(key), self._sweeping.get(_name(key))
        if earlier is not None and found.armed.gtc is Remaining.KEEP:
            found.left_over = earlier if earlier.armed.gtc is Remaining.CANCEL else earlier.left_over
        wanted = Wanted(
            actor=ACTOR,
            orders=partial(_wants, found),
            groups=partial(_wants_group, found),
        )
        self._end(name)
        self._sweeping[name] = found
        self._sweeps.begin(name, wanted, partial(self._swept, key, found))

    def _swept(self, key: Key, found: Armed, cancels: int, took_s: float) -> None:
        """Nothing of it works by our books; the broker is asked whether it sees that so."""
        self._lingering[_name(key)] = self._clock.monotonic() + LINGERS_S
        if len(self._lingering) > ARMED_MAX:
            self._end(next(iter(self._lingering)))
        if self._armed.get(key) is found:
            del self._armed[key]
        for seat in self._lanes:
            if cancels:
                seat.suspect(f"{cancels} orders of {key.client} were canceled: it had gone away")

    def _end(self, name: str) -> None:
        self._lingering.pop(name, None)
        self._sweeping.pop(name, None)
        self._sweeps.end(name)

    def _no_room(self, key: Key) -> Refusal | None:
        """What is being armed counts. A tenant has at most half of what the others leave free."""
        taken = {*self._armed, *self._arming} - {key}
        if sum(one[:2] == key[:2] for one in taken) >= SESSIONS_MAX:
            return Refusal(Code.TOO_LARGE, f"at most {SESSIONS_MAX} sessions of a client can be armed")
        theirs = sum(one.tenant == key.tenant for one in taken)
        if theirs >= (ARMED_MAX - len(taken) + theirs) // 2:
            return Refusal(Code.TOO_LARGE, "no more sessions can be armed here now")
        return None

    def _view(self, key: Key, found: Armed) -> DeadManView:
        left = max(found.expires - self._clock.monotonic(), 0.0) if found.expired_at is None else 0.0
        return DeadManView(
            session=key.session,
            state="armed" if found.expired_at is None else "expired",
            timeout_s=found.armed.timeout_s,
            refresh_s=max(found.armed.timeout_s // REFRESHES, 1),
            gtc=found.armed.gtc,
            expires_in_s=round(left, 3),
            orders_left=self._sweeps.left(_name(key)),
        )


_FORBIDDEN: Final = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.ORDERS_WRITE}")


def _key(principal: Principal, session: str) -> Key:
    return Key(principal.tenant, principal.client_id, session, principal.subject)


def _name(key: Key) -> str:
    return f"dead-man {key.tenant} {key.client} {key.session} {key.user}"


def _wants(found: Armed, seat: Seat, order: Order) -> bool:
    """Never an order that came after: the client is back then."""
    if found.left_over is not None and _wants(found.left_over, seat, order):
        return True
    if order.actor != found.armed.user or not _was_there(found, seat, order.id, order.accepted_at):
        return False
    return found.armed.gtc is Remaining.CANCEL or order.terms.time_in_force is not TimeInForce.GTC


def _wants_group(found: Armed, seat: Seat, group: Group) -> bool:
    """One with a leg that is to stay goes on: it would take that leg back, and guard nothing any more."""
    if found.left_over is not None and _wants_group(found.left_over, seat, group):
        return True
    if group.actor != found.armed.user or not _was_there(found, seat, group.id, group.accepted_at):
        return False
    lasts = any(leg.time_in_force is TimeInForce.GTC for leg in group.terms.legs)
    return found.armed.gtc is Remaining.CANCEL or not lasts


def _was_there(found: Armed, seat: Seat, name: OrderId | GroupId, accepted_at: datetime) -> bool:
    """Seen when it expired; times, which a clock that is set back makes lie, only where nobody could see."""
    there = found.there.get(seat.lane.account)
    if there is None:
        return found.expired_at is not None and accepted_at <= found.expired_at
    return name in there


def _there(seat: Seat, user: str, at: datetime) -> frozenset[OrderId | GroupId]:
    books = seat.lane.books
    known = (*books.open_orders(), *books.lately_final(LATELY_FINAL_MAX))
    orders = (order.id for order in known if order.actor == user)
    return frozenset((*orders, *(group.id for group in books.groups.guarding(at) if group.actor == user)))
