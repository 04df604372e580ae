"""Stops that no person decided: engaged when something goes wrong, lifted when it is over where that is safe.

The one place where a trip meets the kill switch. A trip never touches a stop that a person engaged, and
nobody but a person lifts what only a person may. What engages each is in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.accounts.events import LossLimitReached
from ordergate.core.ids import Symbol
from ordergate.core.risk.tally import COUNTED_FOR, COUNTED_MAX
from ordergate.core.risk.trading_state import (
    GATEWAY,
    Grade,
    Kill,
    KillEngaged,
    Level,
    Place,
    Trip,
    Tripped,
    harder,
)
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.stopping.kill_desk import KillDesk
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("trips")

CORRELATION: Final = "trip"

WATCHED: Final = frozenset(
    {Trip.STALE_MARKET_DATA, Trip.STREAM_STALE, Trip.CLOCK_OFFSET, Trip.CONFIG_MISMATCH}
)
"""What is looked at for as long as it lasts, and engaged anew when what stood before it is lifted."""


class TripPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to trip. A count or a number of seconds of 0 turns that one off.

    `errors` rejected or unanswered orders and replacements of an account within `errors_window_s`; then a
    pause that doubles from `errors_pause_s`, and where `errors_probation_s` is not 0 a probation of that
    length, in which one more error is one too many. `executions` of a strategy within
    `executions_window_s`, and of an account's orders that name none. No more, and for no longer, than the
    books count, so that a restart forgets nothing.
    """

    errors: int = 0
    errors_window_s: float = 60.0
    errors_pause_s: float = 30.0
    errors_pause_s_max: float = 1_800.0
    errors_probation_s: float = 60.0
    executions: int = 0
    executions_window_s: float = 60.0
    stale_prices_s: float = 0.0
    stale_stream_s: float = 0.0
    clock_every_s: float = 0.0
    clock_warn_ms: float = 20.0
    clock_stop_ms: float = 50.0
    clock_unknown_stops: bool = False
    clock_stops: bool = False
    nodes_every_s: float = 0.0

    def __post_init__(self) -> None:
        if any(value < 0 for value in msgspec.structs.astuple(self)):
            raise ValueError("counts, seconds and milliseconds of trips must not be negative")
        if max(self.errors, self.executions) > COUNTED_MAX:
            raise ValueError(f"errors and executions must not be over {COUNTED_MAX}: no more are counted")
        longest = max(self.errors_window_s, self.errors_probation_s, self.executions_window_s)
        if longest > COUNTED_FOR.total_seconds():
            raise ValueError(
                f"windows and probation must not be over {COUNTED_FOR.total_seconds():g} seconds"
            )
        if self.clock_stop_ms < self.clock_warn_ms:
            raise ValueError("clock_stop_ms must be at least clock_warn_ms")


class Trips:
    def __init__(
        self, *, kill_switch: KillSwitch, kill_desk: KillDesk, clock: Clock, metrics: Metrics
    ) -> None:
        self._kill_switch = kill_switch
        self._kill_desk = kill_desk
        self._clock = clock
        self._metrics = metrics

    @property
    def are_known(self) -> bool:
        """False until it is known what tripped before the start."""
        return self._kill_switch.is_known

    def past(self, place: Place, trip: Trip) -> tuple[Tripped, ...]:
        """The latest of this kind at the place, in force or lifted, oldest first."""
        return self._kill_switch.state.trips.get((place, trip), ())

    def engage(
        self,
        place: Place,
        trip: Trip,
        grade: Grade,
        reason: str,
        *,
        concerns: str | None = None,
        since: datetime | None = None,
    ) -> None:
        """In force when this returns, unless a stop there does as much already. Harmless to repeat.

        What happens once takes the place of what is watched: it has a pause, or a person, to wait for.
        `since` is when that happened which it is for: it is not engaged before, whatever the clock says.
        """
        standing = self._kill_switch.state.kills.get(place)
        if standing is not None and _does_as_much(standing, trip, grade):
            return
        level, target = place
        self._metrics.tripped(trip)
        log.error("trip.engaged", trip=trip, level=level, target=target, why=reason, lift=trip.lift)
        now = self._clock.now()
        event = KillEngaged(
            at=now if since is None else max(now, since),
            level=level,
            target=target,
            grade=grade,
            actor=GATEWAY,
            reason=reason,
            trip=trip,
            concerns=concerns,
        )
        self._kill_switch.hold(event)
        self._kill_desk.look()

    def stands(self, place: Place, trip: Trip) -> bool:
        """True while it is this trip, and no person, that stops there."""
        standing = self._kill_switch.state.kills.get(place)
        return standing is not None and standing.trip is trip and standing.actor == GATEWAY

    def stopped_symbols(self) -> Iterator[Symbol]:
        """Symbols that were stopped for want of a price."""
        for kill in self._kill_switch.state.kills.values():
            if kill.trip is Trip.STALE_MARKET_DATA:
                yield Symbol(kill.target)

    async def lift(self, place: Place, trip: Trip, reason: str) -> None:
        """It is over. What a person engaged meanwhile stays."""
        if self.stands(place, trip) and await self._kill_desk.lift(place, GATEWAY, reason, CORRELATION):
            log.warning("trip.lifted", trip=trip, level=place[0], target=place[1], why=reason)

    def lost_too_much(self, seat: Seat, lock: LossLimitReached, detail: str) -> None:
        """A loss limit is reached, and the limits say that the account's orders are canceled then.

        Harmless to repeat: a stop that was in force when it was reached, or came after it, was for it. Once
        a person has released that it does not come back.
        """
        place = (Level.ACCOUNT, seat.lane.account)
        past = self.past(place, Trip.LOSS_LIMIT)
        answered = past and (past[-1].lifted_at is None or lock.at <= past[-1].lifted_at)
        if self.are_known and not answered:
            self.engage(place, Trip.LOSS_LIMIT, Grade.CANCEL_ALL, detail, since=lock.at)


def _does_as_much(standing: Kill, trip: Trip, grade: Grade) -> bool:
    if standing.grade is grade and standing.trip in WATCHED:
        return trip in WATCHED
    # The closing orders of a flatten are all that it lets pass: nothing harder is meant.
    return standing.grade in (harder(standing.grade, grade), Grade.FLATTEN)
