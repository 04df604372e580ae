"""Slows guessing down: so many failed logins, then waiting.

Failures are charged to the pair of client and address, to the address, and to the client. The
pair has the tightest limit and the client alone the widest, so that a stranger who guesses at a
client's secret locks himself out long before he locks out the client. Where a client has got in before from
an address only the pair counts: no stranger elsewhere, and no neighbour, keeps it out. What cannot be
guessed is not charged to the client, and what a public program asks to the address alone. An attempt is
charged before it is checked and refunded when it succeeds: a thousand at once are not a way around. Memory is
bounded; what is forgotten first is what failed, or got in, longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import msgspec

from ordergate.core.networks import network_of

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
UNPROVEN: Final = Limit(failures=60, window_s=60)
"""Of an address: what programs ask that prove nothing."""


class Shows(Enum):
    """What whoever asks shows of themselves."""

    SECRET = auto()
    """A secret, a password or a code, which somebody might guess."""
    SIGNATURE = auto()
    NOTHING = auto()
    """A public program: it is nobody, and what it brings speaks for itself."""


class Throttle:
    """`monotonic` gives seconds that never go back."""

    def __init__(self, monotonic: Callable[[], float], keys_max: int = KEYS_MAX) -> None:
        self._monotonic = monotonic
        self._keys_max = keys_max
        # For each key the time at which its failures will all have been forgiven.
        self._forgiven_at: OrderedDict[Key, float] = OrderedDict()
        self._known: OrderedDict[Key, None] = OrderedDict()

    def charge(self, client_id: str, address: str, shows: Shows = Shows.SECRET) -> float:
        """Charge an attempt and return 0, or return the seconds to wait and charge nothing."""
        now = self._monotonic()
        keys = self._keys(client_id, address, shows)
        wait = max(self._wait(key, limit, now) for key, limit in keys)
        if wait > 0:
            return wait
        for key, limit in keys:
            self._forgiven_at[key] = max(self._forgiven_at.get(key, now), now) + limit.interval_s
            self._forgiven_at.move_to_end(key)
        while len(self._forgiven_at) > self._keys_max:
            self._forgiven_at.popitem(last=False)
        return 0.0

    def refund(self, client_id: str, address: str, shows: Shows = Shows.SECRET) -> None:
        """Nothing came of the attempt, or it was a success."""
        now = self._monotonic()
        for key, limit in self._keys(client_id, address, shows):
            forgiven_at = self._forgiven_at.get(key)
            if forgiven_at is None:
                continue
            if forgiven_at - limit.interval_s <= now:
                del self._forgiven_at[key]
            else:
                self._forgiven_at[key] = forgiven_at - limit.interval_s

    def succeeded(self, client_id: str, address: str, shows: Shows = Shows.SECRET) -> None:
        """The client got in: refunded, and known at this address from now on."""
        self.refund(client_id, address, shows)
        pair = _pair(client_id, address)
        self._known[pair] = None
        self._known.move_to_end(pair)
        while len(self._known) > self._keys_max:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._forgiven_at) + len(self._known)

    def _wait(self, key: Key, limit: Limit, now: float) -> float:
        debt = self._forgiven_at.get(key, now) - now
        # Room for one more failure means: less than window_s of debt after charging it.
        return max(0.0, debt + limit.interval_s - limit.window_s - 1e-9)

    def _keys(self, client_id: str, address: str, shows: Shows) -> tuple[tuple[Key, Limit], ...]:
        pair = _pair(client_id, address)
        if shows is Shows.NOTHING:
            return ((("nothing", pair[2]), UNPROVEN),)
        if pair in self._known:
            return ((pair, PAIR),)
        of_address = (("address", pair[2]), ADDRESS)
        if shows is Shows.SIGNATURE:
            return ((pair, PAIR), of_address)
        return ((pair, PAIR), of_address, (("client", pair[1]), CLIENT))


def _pair(client_id: str, address: str) -> Key:
    return ("pair", client_id[:128], network_of(address))
