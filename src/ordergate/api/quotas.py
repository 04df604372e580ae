"""Token buckets: how often somebody may ask. Pure: the time is passed in.

There is a bound on how many buckets are remembered; the one unused for longest is forgotten first, and
a forgotten bucket starts full again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import StrEnum
from math import ceil
from typing import Final

import msgspec

from ordergate.core.refusals import Code, Refusal

BUCKETS_MAX: Final = 10_000


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """`per_s` requests a second on average, and `burst` at once."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError("a rate allows more than nothing: per_s > 0 and burst >= 1")


class Kind(StrEnum):
    """What a request is counted as. One kind's quota is never spent on another."""

    ORDERS = "orders"
    CANCELS = "cancels"
    READS = "reads"
    CHANGES = "changes"

    __hash__ = str.__hash__  # an enum's own is of Python, and every order looks something up by its kind


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """A rate for each kind of request; cancels have their own, so that what was done can be taken back."""

    orders: Rate
    cancels: Rate
    reads: Rate
    changes: Rate

    def of(self, kind: Kind) -> Rate:
        rate: Rate = getattr(self, kind.value)
        return rate


class Bucket:
    """One bucket. `take` answers 0.0 when there was a token, else the seconds until there is one."""

    __slots__ = ("_burst", "_level", "_per_s", "_updated_at")

    def __init__(self, rate: Rate, now: float) -> None:
        self._per_s = rate.per_s
        self._burst = rate.burst
        self._level = float(rate.burst)
        self._updated_at = now

    def take(self, now: float) -> float:
        level = min(self._level + (now - self._updated_at) * self._per_s, self._burst)
        self._updated_at = now
        if level >= 1.0:
            self._level = level - 1.0
            return 0.0
        self._level = level
        return (1.0 - level) / self._per_s

    def is_empty(self, now: float) -> bool:
        """True when a token could not be taken now; takes none."""
        return self._level + (now - self._updated_at) * self._per_s < 1.0

    def wait_s(self, now: float) -> float:
        """The seconds until a token can be taken; takes none."""
        return max(0.0, (1.0 - self._level) / self._per_s - (now - self._updated_at))


class Buckets:
    """One bucket for each key."""

    def __init__(self, rate: Rate, *, buckets_max: int = BUCKETS_MAX) -> None:
        self._rate = rate
        self._buckets_max = buckets_max
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, key: Hashable, now: float) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._begun(key, now)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now)

    def is_empty(self, key: Hashable, now: float) -> bool:
        bucket = self._buckets.get(key)
        return bucket is not None and bucket.is_empty(now)

    def wait_s(self, key: Hashable, now: float) -> float:
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait_s(now)

    def _begun(self, key: Hashable, now: float) -> Bucket:
        bucket = self._buckets[key] = Bucket(self._rate, now)
        if len(self._buckets) > self._buckets_max:
            self._buckets.popitem(last=False)
        return bucket


def whole_seconds(wait_s: float) -> int:
    """A wait as it is told to a client: at least one second, and not less than it takes."""
    return max(1, ceil(wait_s))


def too_soon(wait_s: float, why: str = "") -> Refusal:
    """What is said to somebody who asks too often, with the seconds after which to try again."""
    seconds = whole_seconds(wait_s)
    words = f"try again in {seconds} s"
    return Refusal(Code.RATE_LIMITED, f"{why}; {words}" if why else words, retry_after_s=seconds)
