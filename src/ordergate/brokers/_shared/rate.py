"""Decides whether a request may be made now, so that a cancel always can, and an order before a question.

A token bucket per brokerage account. Whatever is no cancel leaves a reserve that only cancels may
use, and questions leave a second one that is for orders. What the broker says about its own count
(X-RateLimit headers, 429) corrects ours, downward only: we never believe that we have more than we
were configured for. Never waits by itself.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ordergate.ports.clock import Clock

RESERVE_MIN: Final = 0.2
# Of what cancels leave: with the smallest reserve a fifth of the whole is kept for orders as well.
ORDERS_SHARE: Final = 0.25
PAUSE_FIRST_S: Final = 1.0
PAUSE_S_MAX: Final = 60.0
CANCEL_PAUSE_S_MAX: Final = 4.0


class Need(Enum):
    """What a request is for. Who is named later leaves nothing to who is named before."""

    QUESTION = "question"
    ORDER = "order"
    CANCEL = "cancel"


class Allowance:
    """How many requests one account still has."""

    def __init__(self, *, per_minute: int, clock: Clock, reserve: float = RESERVE_MIN) -> None:
        if per_minute < 1:
            raise ValueError(f"per_minute must be at least 1, was {per_minute}")
        if not RESERVE_MIN <= reserve < 1:
            raise ValueError(f"reserve must be {RESERVE_MIN} to 1, was {reserve}")
        self._clock = clock
        self._per_minute = per_minute
        self._reserve_share = reserve
        self._size(per_minute)
        self._tokens = self._capacity
        self._filled_at = clock.monotonic()
        self._closed_until = self._filled_at
        self._cancels_closed_until = self._filled_at
        self._pause_s = PAUSE_FIRST_S

    def take(self, need: Need) -> float:
        """Take one request and return 0, or take nothing and return the seconds to wait."""
        now = self._clock.monotonic()
        closed_until = self._cancels_closed_until if need is Need.CANCEL else self._closed_until
        if now < closed_until:
            return closed_until - now
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if need is Need.ORDER:
            needed = self._order_needs
        else:
            needed = 1.0 if need is Need.CANCEL else self._question_needs
        if self._tokens < needed:
            return (needed - self._tokens) / self._per_s
        self._tokens -= 1.0
        return 0.0

    def answered(self, *, limit: int | None, remaining: int | None, reset_at: float | None) -> None:
        """The broker answered and said what is left; `reset_at` is its wall clock, in seconds."""
        self._pause_s = PAUSE_FIRST_S
        if limit:
            self._size(min(limit, self._per_minute))
        if remaining is None:
            return
        self._tokens = min(self._tokens, float(remaining))
        if remaining == 0 and reset_at is not None:
            self._close_for(self._until(reset_at))

    def refused(self, need: Need, *, retry_after_s: float | None, reset_at: float | None) -> float:
        """The broker took nothing and wants less; the seconds for which this need will not be served.

        Without a word about when, the pause is a guess: it doubles from one refusal to the next, and
        those that come while it lasts are one with the first. No guess keeps cancels for long. A moment
        that is over by our clock is no word either: who is refused and asks again at once is refused again.
        """
        told_s = retry_after_s
        if told_s is None and reset_at is not None:
            told_s = self._until(reset_at)
        if told_s is not None and told_s > 0:
            return self._close_for(told_s)
        now = self._clock.monotonic()
        if now >= self._closed_until:
            self._closed_until = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)
        if now >= self._cancels_closed_until:
            self._cancels_closed_until = min(self._closed_until, now + CANCEL_PAUSE_S_MAX)
        return (self._cancels_closed_until if need is Need.CANCEL else self._closed_until) - now

    def _size(self, per_minute: int) -> None:
        """Reserves are shares of the limit that really holds, ours or the broker's.

        A full bucket is enough for everyone, however small it is.
        """
        self._capacity = float(per_minute)
        self._per_s = per_minute / 60
        cancels = self._reserve_share * per_minute
        orders = (per_minute - cancels) * ORDERS_SHARE
        self._order_needs = min(1.0 + cancels, self._capacity)
        self._question_needs = min(1.0 + cancels + orders, self._capacity)

    def _until(self, reset_at: float) -> float:
        return reset_at - self._clock.now().timestamp()

    def _close_for(self, seconds: float) -> float:
        """Bounded both ways: a wrong clock or a hostile header must not stop us for a day."""
        pause = min(max(seconds, 0.0), PAUSE_S_MAX)
        until = self._clock.monotonic() + pause
        self._closed_until = max(self._closed_until, until)
        self._cancels_closed_until = max(self._cancels_closed_until, until)
        return pause
