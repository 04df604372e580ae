"""Slows guessing down: so many failed logins, then waiting.

Failures are charged to the pair of client and address, to the address, and to the client. The
pair has the tightest limit and the client alone the widest, so that a stranger who guesses at a
client's secret locks himself out long before he locks out the client. An attempt is charged before
it is checked and refunded when it succeeds: a thousand at once are not a way around. Memory is
bounded; what is forgotten first is what failed longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

KEYS_MAX: Final = 10_000

Key = tuple[str, ...]


class Limit(msgspec.Struct, frozen=True):
    """`failures` at once, refilled evenly over `window_s`."""

    failures: int
    window_s: float

    @property
    def interval_s(self) -> float:
        return self.window_s / self.failures


PAIR: Final = Limit(failures=5, window_s=60)
ADDRESS: Final = Limit(failures=20, window_s=60)
CLIENT: Final = Limit(failures=100, window_s=60)


class Throttle:
    """`monotonic` gives seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float], keys_max: int = KEYS_MAX) -> None:
        self._monotonic = monotonic
        self._keys_max = keys_max
        # For each key the time at which its failures will all have been forgiven.
        self._forgiven_at: OrderedDict[Key, float] = OrderedDict()

    def charge(self, client_id: str, address: str) -> float:
        """Charge an attempt and return 0, or return the seconds to wait and charge nothing."""
        now = self._monotonic()
        keys = _keys(client_id, address)
        wait = max(self._wait(key, limit, now) for key, limit in keys)
        if wait > 0:
            return wait
        for key, limit in keys:
            self._forgiven_at[key] = max(self._forgiven_at.get(key, now), now) + limit.interval_s
            self._forgiven_at.move_to_end(key)
        while len(self._forgiven_at) > self._keys_max:
            self._forgiven_at.popitem(last=False)
        return 0.0

    def refund(self, client_id: str, address: str) -> None:
        """The attempt was a success."""
        now = self._monotonic()
        for key, limit in _keys(client_id, address):
            forgiven_at = self._forgiven_at.get(key)
            if forgiven_at is None:
                continue
            if forgiven_at - limit.interval_s <= now:
                del self._forgiven_at[key]
            else:
                self._forgiven_at[key] = forgiven_at - limit.interval_s

    def __len__(self) -> int:
        return len(self._forgiven_at)

    def _wait(self, key: Key, limit: Limit, now: float) -> float:
        debt = self._forgiven_at.get(key, now) - now
        # Room for one more failure means: less than window_s of debt after charging it.
        return max(0.0, debt + limit.interval_s - limit.window_s - 1e-9)


def _keys(client_id: str, address: str) -> tuple[tuple[Key, Limit], ...]:
    client_id = client_id[:128]
    return (
        (("pair", client_id, address), PAIR),
        (("address", address), ADDRESS),
        (("client", client_id), CLIENT),
    )
