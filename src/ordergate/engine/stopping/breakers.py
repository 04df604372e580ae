"""Breakers that count what brokers answer: too many errors of an account, too many executions of a strategy.

R26 and R17 of the catalogue. Each judges by what the accounts' books count and by what the control stream
says has tripped before, and remembers nothing itself: after a restart all is as it was, and what was due
when the gateway ended is done. They speak to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.core.risk.tally import is_error, many
from ordergate.core.risk.trading_state import GATEWAY, Grade, Level, Place, Trip, Tripped
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.stopping.trips import TripPolicy, Trips
from ordergate.ports.clock import Clock


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
        if not (policy.errors and policy.errors_probation_s and past):
            return
        pause = timedelta(seconds=_pause_s(policy, past))
        if self._trips.stands(place, Trip.ERROR_RATE) and self._clock.now() - past[-1].at >= pause:
            await self._trips.lift(
                place, Trip.ERROR_RATE, f"on probation for {policy.errors_probation_s:g} s"
            )

    def _judge_errors(self, seat: Seat, what: str) -> None:
        policy, place, now = self._policy, _place(seat), self._clock.now()
        if not policy.errors or not self._trips.are_known:
            return
        past = self._trips.past(place, Trip.ERROR_RATE)
        after = past[-1].turned_at if past else None
        on_probation = bool(past) and _is_probation(policy, past[-1], now)
        most = 1 if on_probation else policy.errors
        since = now - timedelta(seconds=policy.errors_probation_s if on_probation else policy.errors_window_s)
        if many(seat.lane.books.tally.errors(), most, since=since, after=after) < most:
            return
        how_many = "one error on probation" if on_probation else f"{policy.errors} errors"
        pause_s = _pause_s(policy, (*past, Tripped(now)))
        self._trips.engage(
            place,
            Trip.ERROR_RATE,
            Grade.REDUCE_ONLY,
            f"{how_many} within {policy.errors_window_s:g} s, the last {what}; a pause of {pause_s:g} s",
        )

    def _judge_executions(self, seat: Seat, strategy: str | None) -> None:
        """Of a strategy wherever it trades; of orders that name none by their account."""
        policy = self._policy
        if not policy.executions or not self._trips.are_known:
            return
        place = _place(seat) if strategy is None else (Level.STRATEGY, strategy)
        past = self._trips.past(place, Trip.REPEATED_EXECUTION)
        after = past[-1].turned_at if past else None
        since = self._clock.now() - timedelta(seconds=policy.executions_window_s)
        left = policy.executions
        for one in (seat,) if strategy is None else self._lanes:
            left -= many(one.lane.books.tally.executions(strategy), left, since=since, after=after)
        if left:
            return
        latest = seat.lane.books.tally.latest(strategy)
        self._trips.engage(
            place,
            Trip.REPEATED_EXECUTION,
            Grade.BLOCK_NEW,
            f"{policy.executions} executions within {policy.executions_window_s:g} s"
            + ("" if strategy is not None else " of orders that name no strategy"),
            concerns=None if latest is None else latest.actor,
        )


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
