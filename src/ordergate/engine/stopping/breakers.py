"""Breakers that count what brokers answer: too many errors of an account, too many executions of a strategy.

R26 and R17 of the catalogue. Each judges by what the accounts' books count and by what the control stream
says has tripped before, and remembers nothing itself: after a restart all is as it was, and what was due
when the gateway ended is done. They speak to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.core.risk.limit_fields import RateWindow
from ordergate.core.risk.tally import Nth, is_error, many
from ordergate.core.risk.trading_state import GATEWAY, Grade, Level, Place, Trip, Tripped
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.stopping.trips import TripPolicy, Trips
from ordergate.ports.clock import Clock


class Window(NamedTuple):
    """So many within so long trip."""

    most: int
    seconds: float


class Breakers:
    def __init__(self, lanes: Lanes, trips: Trips, clock: Clock, policy: TripPolicy) -> None:
        self._lanes = lanes
        self._trips = trips
        self._clock = clock
        self._policy = policy
        self._caught_up: dict[AccountId, int] = {}

    def follow(self, seat: Seat, event: object) -> None:
        """Called for every committed event of an account."""
        if isinstance(event, e.Fill):
            order = seat.lane.books.order(event.order_id)
            if order is not None:
                self._judge_executions(seat, order.terms.strategy)
        elif is_error(event):
            self._judge_errors(seat, _said(event))

    async def look(self) -> None:
        """Half-open what has paused for long enough, and catch up with what was counted before a start."""
        for seat in self._lanes:
            if self._trips.are_known and seat.lane.ready.is_set():
                self._catch_up(seat)
                await self._half_open(seat)

    def look_again(self, seat: Seat, lifted_at: datetime) -> None:
        """A stop of the account was lifted, which may have hidden that there are too many.

        What was lifted itself is not judged by the same again: a clock may have dated it ahead of now.
        """
        if not seat.lane.ready.is_set():
            return
        if not self._was_lifted(_place(seat), Trip.ERROR_RATE, lifted_at):
            self._judge_errors(seat, "while another stop stood")
        if not self._was_lifted(_place(seat), Trip.REPEATED_EXECUTION, lifted_at):
            self._judge_executions(seat, None)

    def look_again_at(self, strategy: str, lifted_at: datetime) -> None:
        """The same of a stop of a strategy, wherever it trades."""
        if self._was_lifted((Level.STRATEGY, strategy), Trip.REPEATED_EXECUTION, lifted_at):
            return
        for seat in self._lanes:
            if seat.lane.ready.is_set() and seat.lane.books.tally.latest(strategy) is not None:
                self._judge_executions(seat, strategy)

    def _was_lifted(self, place: Place, trip: Trip, at: datetime) -> bool:
        past = self._trips.past(place, trip)
        return bool(past) and past[-1].lifted_at == at

    def _catch_up(self, seat: Seat) -> None:
        """Once for each time that the account was folded: it may have ended before it could trip."""
        account, epoch = seat.lane.account, seat.lane.epoch
        if self._caught_up.get(account) == epoch:
            return
        self._caught_up[account] = epoch
        self._judge_errors(seat, "before the account was folded")
        for strategy in seat.lane.books.tally.strategies:
            self._judge_executions(seat, strategy)

    async def _half_open(self, seat: Seat) -> None:
        policy, place = self._policy, _place(seat)
        past = self._trips.past(place, Trip.ERROR_RATE)
        if not (policy.errors_probation_s and past):
            return
        pause = timedelta(seconds=_pause_s(policy, past))
        if self._trips.stands(place, Trip.ERROR_RATE) and self._clock.now() - past[-1].at >= pause:
            await self._trips.lift(
                place, Trip.ERROR_RATE, f"on probation for {policy.errors_probation_s:g} s"
            )

    def _judge_errors(self, seat: Seat, what: str) -> None:
        windows = self._error_windows(seat)
        if not windows or not self._trips.are_known:
            return
        policy, place, now = self._policy, _place(seat), self._clock.now()
        past = self._trips.past(place, Trip.ERROR_RATE)
        after = past[-1].turned_at if past else None
        on_probation = bool(past) and _is_probation(policy, past[-1], now)
        if on_probation:
            windows = [Window(1, policy.errors_probation_s)]
        reached = _reached(windows, [seat.lane.books.tally.error], now, after)
        if reached is None:
            return
        how_many = "one error on probation" if on_probation else f"{reached.most} errors"
        pause_s = _pause_s(policy, (*past, Tripped(now)))
        self._trips.engage(
            place,
            Trip.ERROR_RATE,
            Grade.REDUCE_ONLY,
            f"{how_many} within {reached.seconds:g} s, the last {what}; a pause of {pause_s:g} s",
        )

    def _judge_executions(self, seat: Seat, strategy: str | None) -> None:
        """Of a strategy wherever it trades; of orders that name none by their account."""
        windows = self._execution_windows(seat, strategy)
        if not windows or not self._trips.are_known:
            return
        place = _place(seat) if strategy is None else (Level.STRATEGY, strategy)
        past = self._trips.past(place, Trip.REPEATED_EXECUTION)
        after = past[-1].turned_at if past else None
        seats = (seat,) if strategy is None else self._lanes
        rows = [partial(one.lane.books.tally.execution, strategy) for one in seats]
        reached = _reached(windows, rows, self._clock.now(), after)
        if reached is None:
            return
        latest = seat.lane.books.tally.latest(strategy)
        self._trips.engage(
            place,
            Trip.REPEATED_EXECUTION,
            Grade.BLOCK_NEW,
            f"{reached.most} executions within {reached.seconds:g} s"
            + ("" if strategy is not None else " of orders that name no strategy"),
            concerns=None if latest is None else latest.actor,
        )

    def _error_windows(self, seat: Seat) -> list[Window]:
        """The house's own, and those of the account's limits."""
        policy, limits = self._policy, seat.limits
        of_limits = () if limits is None else limits.error_windows
        return _windows(policy.errors, policy.errors_window_s, of_limits)

    def _execution_windows(self, seat: Seat, strategy: str | None) -> list[Window]:
        """The same of executions; a rule on the strategy may have narrower ones."""
        policy, limits = self._policy, seat.limits_for(None, strategy)
        of_limits = () if limits is None else limits.execution_windows
        return _windows(policy.executions, policy.executions_window_s, of_limits)


def _windows(most: int, seconds: float, of_limits: Iterable[RateWindow]) -> list[Window]:
    own = [Window(most, seconds)] if most else []
    return own + [Window(one.count, one.seconds) for one in of_limits]


def _reached(
    windows: Iterable[Window], rows: Sequence[Nth], now: datetime, after: datetime | None
) -> Window | None:
    """The first window in which all rows together have as many as it allows at most."""
    for window in windows:
        since, left = now - timedelta(seconds=window.seconds), window.most
        for row in rows:
            left -= many(row, left, since=since, after=after)
        if not left:
            return window
    return None


def _is_probation(policy: TripPolicy, last: Tripped, now: datetime) -> bool:
    """The gateway itself let go, and not for long enough."""
    if last.lifted_at is None or last.lifted_by != GATEWAY:
        return False
    return now < last.lifted_at + timedelta(seconds=policy.errors_probation_s)


def _pause_s(policy: TripPolicy, past: Sequence[Tripped]) -> float:
    """Of the last of them: twice as long as before for each that came on probation."""
    pause_s = policy.errors_pause_s
    for before, after in pairwise(past):
        again = _is_probation(policy, before, after.at)
        pause_s = min(pause_s * 2, policy.errors_pause_s_max) if again else policy.errors_pause_s
    return pause_s


def _said(event: object) -> str:
    match event:
        case e.OutcomeUnknown(why=why):
            return f"no certain answer: {why}"
        case e.OrderRejected(reason=reason):
            return f"rejected: {reason}"
        case e.ReplaceRejected(reason=reason):
            return f"replacement rejected: {reason}"
        case _:
            return type(event).__name__


def _place(seat: Seat) -> Place:
    return Level.ACCOUNT, seat.lane.account
