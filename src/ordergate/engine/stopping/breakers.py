"""Breakers that count what brokers answer: too many errors of an account, too many executions of a strategy.

R26 and R17 of the catalogue. They look at committed events and remember only what their windows hold; a
stop that they engaged is in the journal, and after a restart its pause begins again. They speak to nobody.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders import events as e
from ordergate.core.risk.trading_state import Grade, Level, Place, Trip
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.stopping.trips import TripPolicy, Trips
from ordergate.ports.clock import Clock

STRATEGIES_MAX: Final = 10_000

_NEW: Final = (e.Asked.PLACE, e.Asked.REPLACE)
_COUNTED: Final = frozenset({e.OrderRejected, e.OutcomeUnknown, e.OrderPartiallyFilled, e.OrderFilled})


class Window:
    """Whether something happened so often within so many seconds. Keeps no more than that many times."""

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=count)

    def is_over(self, now: float) -> bool:
        """It happens now: True when it is the count-th within the window."""
        self._times.append(now)
        return len(self._times) == self._times.maxlen and now - self._times[0] <= self._seconds

    def forget(self) -> None:
        self._times.clear()


class Breaker(msgspec.Struct):
    """One account's. `tripped_at` and `probation_until` are monotonic seconds."""

    window: Window
    pause_s: float
    tripped_at: float | None = None
    probation_until: float | None = None


class Breakers:
    def __init__(self, lanes: Lanes, trips: Trips, clock: Clock, policy: TripPolicy) -> None:
        self._lanes = lanes
        self._trips = trips
        self._clock = clock
        self._policy = policy
        self._of_account: dict[AccountId, Breaker] = {}
        self._of_strategy: dict[str, Window] = {}

    def follow(self, seat: Seat, event: object) -> None:
        """Called for every committed event of an account."""
        if type(event) not in _COUNTED:
            return
        match event:
            case e.Fill(order_id=order_id):
                self._executed(seat, order_id)
            case e.OutcomeUnknown(asked=asked) if asked in _NEW:
                self._failed(seat, f"no certain answer: {event.why}")
            case e.OrderRejected() if not event.evidence.endswith("was never sent"):
                self._failed(seat, f"rejected: {event.reason}")
            case _:
                return

    async def look(self) -> None:
        """Half-open what has paused for long enough, and close what kept its probation."""
        policy = self._policy
        if not policy.errors:
            return
        now = self._clock.monotonic()
        for seat in self._lanes:
            place, breaker = _place(seat), self._breaker(seat)
            if self._trips.stands(place, Trip.ERROR_RATE):
                if breaker.tripped_at is None:
                    breaker.tripped_at = now  # before a restart
                if policy.errors_probation_s and now - breaker.tripped_at >= breaker.pause_s:
                    breaker.tripped_at, breaker.probation_until = None, now + policy.errors_probation_s
                    breaker.window.forget()
                    await self._trips.lift(
                        place, Trip.ERROR_RATE, f"on probation for {policy.errors_probation_s:g} s"
                    )
            elif breaker.probation_until is not None and now >= breaker.probation_until:
                breaker.probation_until, breaker.pause_s = None, policy.errors_pause_s

    def _failed(self, seat: Seat, what: str) -> None:
        policy = self._policy
        if not policy.errors:
            return
        now, breaker = self._clock.monotonic(), self._breaker(seat)
        over = breaker.window.is_over(now)
        on_probation = breaker.probation_until is not None and now < breaker.probation_until
        if not (over or on_probation) or self._trips.stands(_place(seat), Trip.ERROR_RATE):
            return
        if on_probation:
            breaker.pause_s = min(breaker.pause_s * 2, policy.errors_pause_s_max)
        breaker.tripped_at, breaker.probation_until = now, None
        many = "one error on probation" if on_probation else f"{policy.errors} errors"
        self._trips.engage(
            _place(seat),
            Trip.ERROR_RATE,
            Grade.REDUCE_ONLY,
            f"{many} within {policy.errors_window_s:g} s, the last {what}; a pause of {breaker.pause_s:g} s",
        )

    def _executed(self, seat: Seat, order_id: OrderId) -> None:
        policy = self._policy
        order = seat.lane.books.order(order_id) if policy.executions else None
        if order is None or order.terms.strategy is None:
            return
        strategy = order.terms.strategy
        window = self._of_strategy.get(strategy)
        if window is None:
            if len(self._of_strategy) >= STRATEGIES_MAX:
                del self._of_strategy[next(iter(self._of_strategy))]
            window = self._of_strategy[strategy] = Window(policy.executions, policy.executions_window_s)
        if window.is_over(self._clock.monotonic()):
            window.forget()
            self._trips.engage(
                (Level.STRATEGY, strategy),
                Trip.REPEATED_EXECUTION,
                Grade.BLOCK_NEW,
                f"{policy.executions} executions within {policy.executions_window_s:g} s",
                concerns=order.actor,
            )

    def _breaker(self, seat: Seat) -> Breaker:
        account = seat.lane.account
        found = self._of_account.get(account)
        if found is None:
            policy = self._policy
            window = Window(policy.errors, policy.errors_window_s)
            found = self._of_account[account] = Breaker(window, policy.errors_pause_s)
        return found


def _place(seat: Seat) -> Place:
    return Level.ACCOUNT, seat.lane.account
