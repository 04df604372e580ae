"""What may still be sent, as folded from the control stream: every stop in force, at every level.

Decides which stop is the hardest for one order; cancels are never asked about. Remembers the latest stops
that no person decided, so that what was lifted is not engaged again for the same thing. Reads no clock and
knows nothing of how a stop is spread or carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

import msgspec

GATEWAY: Final = "gateway"
"""Who engages and lifts what no person decided."""

SWITCH: Final = "kill-switch"
"""Who asks for the cancels and the flattens that a stop brings with it."""

REHEARSAL: Final = "rehearsal"
"""The reason of a stop that is only practised; a report tells those apart by it."""


class Grade(StrEnum):
    """How hard a stop bites, the mildest first.

    `flatten` is a `cancel_all` whose closing orders, and nothing else, may leave; two persons make it so.
    """

    REDUCE_ONLY = "reduce_only"
    FLATTEN = "flatten"
    BLOCK_NEW = "block_new"
    CANCEL_ALL = "cancel_all"

    @property
    def cancels(self) -> bool:
        return self in (Grade.FLATTEN, Grade.CANCEL_ALL)


class Level(StrEnum):
    """What a stop is of, the narrowest first. All but `global` have a target."""

    ORDER = "order"
    STRATEGY = "strategy"
    USER = "user"
    ACCOUNT = "account"
    INSTRUMENT = "instrument"
    BROKER = "broker"
    TENANT = "tenant"
    ENVIRONMENT = "environment"
    GLOBAL = "global"


class Trip(StrEnum):
    """What engages a stop by itself. The text beside each is how it is lifted."""

    lift: str

    def __new__(cls, value: str, lift: str) -> Trip:
        member = str.__new__(cls, value)
        member._value_ = value
        member.lift = lift
        return member

    ERROR_RATE = "error-rate", "By itself after the pause, on probation; or by a person."
    REPEATED_EXECUTION = "repeated-execution", "By a person who is not the orders' user."
    LOSS_LIMIT = "loss-limit", "By a person, once the loss is understood."
    STALE_MARKET_DATA = "stale-market-data", "By itself when prices come again."
    STREAM_STALE = "stream-stale", "By itself when the account has caught up with its broker."
    CLOCK_OFFSET = "clock-offset", "By itself when the offset is below the limit again."
    CONFIG_MISMATCH = "config-mismatch", "By itself when all nodes agree again."


Place = tuple[Level, str]
"""Where a stop is: its level, and its target. There is one stop at a place."""

EVERYWHERE: Final[Place] = (Level.GLOBAL, "")
TRIPS_KEPT_MAX: Final = 16


class ControlEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every event of the control stream. `at` is in UTC."""

    at: datetime


class KillEvent(ControlEvent, frozen=True, kw_only=True):
    """Something about the stop at one place."""

    level: Level = Level.GLOBAL
    target: str = ""

    @property
    def place(self) -> Place:
        return self.level, self.target


class KillEngaged(KillEvent, frozen=True, kw_only=True, tag="kill_engaged"):
    """`trip` says what engaged it where no person did; `concerns` who may not release it then."""

    grade: Grade
    actor: str
    reason: str
    trip: Trip | None = None
    concerns: str | None = None


class KillReleased(KillEvent, frozen=True, kw_only=True, tag="kill_released"):
    actor: str
    reason: str


class KillFlattenAsked(KillEvent, frozen=True, kw_only=True, tag="kill_flatten_asked"):
    """The first of two persons wants what is held under this stop to be closed."""

    actor: str
    reason: str


class KillFlattenConfirmed(KillEvent, frozen=True, kw_only=True, tag="kill_flatten_confirmed"):
    """The second one does, too."""

    actor: str
    reason: str


class KillSwept(KillEvent, frozen=True, kw_only=True, tag="kill_swept"):
    """Nothing that the stop cancels works any more; it took so many cancels, and so long."""

    cancels: int
    took_ms: int


class Remaining(StrEnum):
    """What a dead man's switch does to orders that a broker keeps over its own sessions (GTC)."""

    CANCEL = "cancel"
    KEEP = "keep"


class DeadManEvent(ControlEvent, frozen=True, kw_only=True):
    """Something about one client session's dead man's switch. `user` placed the orders it is about."""

    tenant: str
    client: str
    session: str
    user: str


class DeadManArmed(DeadManEvent, frozen=True, kw_only=True, tag="dead_man_armed"):
    """Not written when it is only refreshed. `arming` is its number; 0 from before they had any."""

    timeout_s: int
    gtc: Remaining
    arming: int = 0


class DeadManDisarmed(DeadManEvent, frozen=True, kw_only=True, tag="dead_man_disarmed"):
    """The client will be away on purpose."""


class DeadManExpired(DeadManEvent, frozen=True, kw_only=True, tag="dead_man_expired"):
    """The client went away, and the cancels of what it had open follow.

    It ends that `arming` and no later one; 0, from before they had numbers, whichever it finds.
    """

    why: str
    arming: int = 0


AnyKillEvent = KillEngaged | KillReleased | KillFlattenAsked | KillFlattenConfirmed | KillSwept
AnyDeadManEvent = DeadManArmed | DeadManDisarmed | DeadManExpired
AnyControlEvent = AnyKillEvent | AnyDeadManEvent


class Subject(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """All that one order is, as far as stops are concerned. `names` are all those of its instrument."""

    account: str
    names: tuple[str, ...] = ()
    broker: str
    tenant: str
    environment: str
    user: str | None = None
    strategy: str | None = None
    order: str | None = None

    def places(self) -> Iterator[Place]:
        """Every place whose stop it would fall under."""
        yield EVERYWHERE
        yield Level.ENVIRONMENT, self.environment
        yield Level.TENANT, self.tenant
        yield Level.BROKER, self.broker
        yield Level.ACCOUNT, self.account
        for level, target in (
            *((Level.INSTRUMENT, name) for name in self.names),
            (Level.USER, self.user),
            (Level.STRATEGY, self.strategy),
            (Level.ORDER, self.order),
        ):
            if target is not None:
                yield level, target


class Stop(NamedTuple):
    """The hardest stop that an order falls under."""

    grade: Grade
    level: Level = Level.GLOBAL
    target: str = ""
    why: str = ""

    def for_closing(self) -> Stop:
        """The same for an order by which the gateway itself closes what is held."""
        return self._replace(grade=Grade.REDUCE_ONLY) if self.grade is Grade.FLATTEN else self


class Kill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One stop in force. `since` is of who engaged it first, `actor`, `reason` and `again_at` of the last."""

    level: Level
    target: str
    grade: Grade
    actor: str
    reason: str
    since: datetime
    again_at: datetime
    trip: Trip | None = None
    concerns: str | None = None
    flatten_asked: KillFlattenAsked | None = None
    flattened_at: datetime | None = None

    @property
    def place(self) -> Place:
        return self.level, self.target


class Tripped(msgspec.Struct, frozen=True, gc=False):
    """When a stop was engaged that no person decided, and when and by whom it was lifted."""

    at: datetime
    lifted_at: datetime | None = None
    lifted_by: str | None = None

    @property
    def turned_at(self) -> datetime:
        """When it was last engaged or lifted."""
        return self.lifted_at or self.at


class TradingState(msgspec.Struct, frozen=True, gc=False):
    """`trips` are the latest of each kind at each place, in force or lifted, oldest first."""

    kills: Mapping[Place, Kill] = {}
    trips: Mapping[tuple[Place, Trip], tuple[Tripped, ...]] = {}

    @property
    def kill(self) -> Kill | None:
        """The stop of the widest level, or None when nothing is stopped anywhere."""
        return max(self.kills.values(), key=lambda one: _WIDTH[one.level], default=None)

    def widest_first(self) -> list[Kill]:
        return sorted(self.kills.values(), key=lambda one: (-_WIDTH[one.level], one.target))

    def stop(self, subject: Subject) -> Stop | None:
        """The hardest stop over all levels; of equals the widest."""
        hardest: Kill | None = None
        for place in subject.places():
            found = self.kills.get(place)
            if found is not None and (hardest is None or _RANK[found.grade] > _RANK[hardest.grade]):
                hardest = found
        if hardest is None:
            return None
        return Stop(hardest.grade, hardest.level, hardest.target, hardest.reason)


def harder(one: Grade, other: Grade) -> Grade:
    """Which of them lets less pass; `block_new` lets less pass than a flatten, and cancels nothing."""
    return max(one, other, key=_RANK.__getitem__)


def evolve(state: TradingState, event: AnyControlEvent) -> TradingState:
    """Engaging again never loosens; what is released is gone, whatever its grade had become."""
    if isinstance(event, DeadManEvent):
        return state
    kills, trips = dict(state.kills), state.trips
    before = kills.get(event.place)
    match event:
        case KillEngaged():
            kills[event.place] = _engaged(before, event)
            trips = trips if event.trip is None else _tripped(trips, event.place, event.trip, event.at)
        case KillReleased():
            kills.pop(event.place, None)
            trips = _lifted(trips, event)
        case KillFlattenAsked() if before is not None:
            kills[event.place] = msgspec.structs.replace(before, flatten_asked=event)
        case KillFlattenConfirmed() if before is not None:
            kills[event.place] = msgspec.structs.replace(
                before, grade=Grade.FLATTEN, flatten_asked=None, flattened_at=event.at
            )
        case KillFlattenAsked() | KillFlattenConfirmed() | KillSwept():
            return state
        case _:
            assert_never(event)
    return TradingState(kills, trips)


def _on_top(standing: Grade, again: Grade) -> Grade:
    """A flatten lets nothing pass but its own closing orders: only a `cancel_all` is meant to be harder."""
    if standing is Grade.FLATTEN and not again.cancels:
        return standing
    return harder(standing, again)


def _engaged(before: Kill | None, event: KillEngaged) -> Kill:
    return Kill(
        level=event.level,
        target=event.target,
        grade=event.grade if before is None else _on_top(before.grade, event.grade),
        actor=event.actor,
        reason=event.reason,
        since=event.at if before is None else before.since,
        again_at=event.at,
        trip=event.trip,
        concerns=event.concerns or (None if before is None else before.concerns),
        flattened_at=None if before is None else before.flattened_at,
    )


def _tripped(trips: _Trips, place: Place, trip: Trip, at: datetime) -> _Trips:
    """One that is in force is engaged anew, and stays one."""
    row = trips.get((place, trip), ())
    if row and row[-1].lifted_at is None:
        row = row[:-1]
    return {**trips, (place, trip): (*row, Tripped(at))[-TRIPS_KEPT_MAX:]}


def _lifted(trips: _Trips, event: KillReleased) -> _Trips:
    """Whatever tripped there. Never before it was engaged, however the clock was set."""
    after = dict(trips)
    for trip in Trip:
        row = trips.get((event.place, trip), ())
        if row and row[-1].lifted_at is None:
            at = max(event.at, row[-1].at)
            after[event.place, trip] = (*row[:-1], Tripped(row[-1].at, at, event.actor))
    return after


_Trips = Mapping[tuple[Place, Trip], tuple[Tripped, ...]]
_RANK: Final = {grade: rank for rank, grade in enumerate(Grade)}
_WIDTH: Final = {level: width for width, level in enumerate(Level)}
