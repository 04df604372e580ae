"""How many messages an account may send, counted exactly.

A window of n messages in s seconds is a token bucket that holds n and refills evenly. It is
kept as one whole number, the moment at which the bucket would be full again, in units of a
microsecond over n, so that nothing is ever rounded. Time is handed in; a clock that steps back
costs at most one empty bucket, and one that then returns finds what was spent before it stepped.

New orders and replacements share one bucket. Cancels have their own, which nothing else can
empty and which refuses nobody: it measures what must be kept free of the broker's rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from ordergate.core.durations import MICROSECOND
from ordergate.core.risk.limit_fields import RateWindow
from ordergate.core.risk.limits import Limits

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TokenBucket:
    """Several windows at once: a message may go when every window has a token."""

    __slots__ = ("_ahead", "_full_at", "windows")

    def __init__(self, windows: tuple[RateWindow, ...]) -> None:
        self.windows: Final = windows
        self._full_at = [0] * len(windows)
        self._ahead = [0] * len(windows)  # the same by a clock that has stepped back since

    def tokens(self, now: datetime) -> int:
        """How many messages may go now: the fewest over all windows."""
        moment = _microseconds(now)
        return min(
            (self._left(index, window, moment) for index, window in enumerate(self.windows)), default=0
        )

    def left(self, now: datetime) -> list[tuple[RateWindow, int]]:
        """Every window, and how many messages it still takes now."""
        moment = _microseconds(now)
        return [(window, self._left(index, window, moment)) for index, window in enumerate(self.windows)]

    def lacking(self, now: datetime) -> RateWindow | None:
        """The first window that has no token, or None when a message may go."""
        moment = _microseconds(now)
        for index, window in enumerate(self.windows):
            if self._left(index, window, moment) < 1:
                return window
        return None

    def spend(self, now: datetime) -> None:
        """Count one message. An empty window goes on refilling: refusals do not add up to a ban."""
        moment = _microseconds(now)
        for index, window in enumerate(self.windows):
            span = window.seconds * 1_000_000
            scaled = moment * window.count
            most = scaled + span * window.count
            cost = span if self._left(index, window, moment) >= 1 else 0
            full_at = self._full(index, scaled, most)
            if full_at > most:
                self._ahead[index] = full_at
            self._full_at[index] = min(max(full_at, scaled) + cost, most)

    def was_sent(self, moment: datetime) -> None:
        """Count one of the past, also from an empty bucket: it may have passed under looser limits."""
        scaled = _microseconds(moment)
        for index, window in enumerate(self.windows):
            span, now = window.seconds * 1_000_000, scaled * window.count
            self._full_at[index] = min(max(self._full_at[index], now) + span, now + span * window.count)

    def carried_over(self, windows: tuple[RateWindow, ...], now: datetime | None = None) -> TokenBucket:
        """A bucket for changed windows; those that stay keep what they have spent.

        With `now` the others begin with what has been spent: of the same length as much as that one, of
        another length as much as any. So no change of limits lets more pass than the tighter of both.
        """
        after = TokenBucket(windows)
        spent = dict(zip(self.windows, self._full_at, strict=True))
        after._full_at = [
            spent[window] if window in spent else self._begun(window, now) for window in windows
        ]
        ahead = dict(zip(self.windows, self._ahead, strict=True))
        after._ahead = [ahead.get(window, 0) for window in windows]
        return after

    def _begun(self, window: RateWindow, now: datetime | None) -> int:
        if now is None:
            return 0
        moment = _microseconds(now)
        span = window.seconds * 1_000_000
        missing = 0
        for index, old in enumerate(self.windows):
            theirs = max(self._full_at[index] - moment * old.count, 0)
            if old.seconds == window.seconds:
                missing = theirs
                break
            missing = max(missing, -(-theirs // (old.seconds * 1_000_000)) * span)
        return moment * window.count + min(missing, window.count * span)

    def _full(self, index: int, scaled: int, most: int) -> int:
        """When it is full again; what was spent ahead counts once the clock is back there."""
        full_at, ahead = self._full_at[index], self._ahead[index]
        return ahead if scaled < ahead <= most and ahead > full_at else full_at

    def _left(self, index: int, window: RateWindow, moment: int) -> int:
        span = window.seconds * 1_000_000
        scaled = moment * window.count
        missing = self._full(index, scaled, scaled + span * window.count) - scaled
        return min(window.count, (window.count * span - missing) // span)


class MessageBuckets:
    """The counts of one account. Mutable, and owned by the account's lane."""

    __slots__ = ("cancels", "orders")

    def __init__(self, limits: Limits | None) -> None:
        self.orders = TokenBucket(() if limits is None else limits.message_windows)
        self.cancels = TokenBucket(() if limits is None else limits.cancel_windows)

    def refit(self, limits: Limits | None, now: datetime | None = None) -> None:
        """Follow a change of limits without forgetting what was sent."""
        self.orders = self.orders.carried_over(() if limits is None else limits.message_windows, now)
        self.cancels = self.cancels.carried_over(() if limits is None else limits.cancel_windows, now)

    def order_sent(self, now: datetime) -> None:
        """A new order or a replacement was asked for, whatever risk answered."""
        self.orders.spend(now)

    def orders_sent(self, moments: Iterable[datetime]) -> None:
        """All that the journal knows to have been asked for before a restart, oldest first.

        Counted from nothing: limits that were read a moment ago begin with a full bucket now, and what was
        sent before that would be counted against a bucket of the future. What is left afterwards is never
        more than it was before the restart.
        """
        self.orders = TokenBucket(self.orders.windows)
        for moment in moments:
            self.orders.was_sent(moment)

    def cancel_sent(self, now: datetime) -> None:
        self.cancels.spend(now)


def _microseconds(now: datetime) -> int:
    return (now - _EPOCH) // MICROSECOND
