"""Decides who is calling and whether they have called too often.

Keys and tokens are compared in constant time. Time comes in as a number; nothing here reads a clock.
"""

from collections.abc import Iterable, Mapping
from hmac import compare_digest
from math import ceil
from typing import Final

from msgspec import Struct

WINDOW_S: Final = 60.0


class Keyring(Struct, frozen=True, kw_only=True):
    """What opens one account. An empty token opens nothing."""

    account: str
    key: str
    secret: str
    token: str = ""


def same(known: str, shown: str) -> bool:
    """In constant time. What is shown in a header may be bytes that are no text, and then is not it."""
    return compare_digest(known.encode(), shown.encode(errors="surrogatepass"))


class Doorkeeper:
    """Knows every account's keys; answers with the account or with None."""

    def __init__(self, keyrings: Iterable[Keyring]) -> None:
        self._by_key: dict[str, Keyring] = {}
        self._with_token: tuple[Keyring, ...] = ()
        self._tokens: dict[str, str] = {}
        for ring in keyrings:
            self.add(ring)

    def add(self, ring: Keyring) -> None:
        """One account may have several keyrings, no two the same key."""
        if ring.key in self._by_key:
            raise ValueError("two accounts share one API key")
        self._by_key[ring.key] = ring
        if ring.token:
            self._with_token = (*self._with_token, ring)

    def remove(self, key: str) -> bool:
        """From now on it opens nothing; False where it opened nothing before."""
        ring = self._by_key.pop(key, None)
        if ring is None:
            return False
        self._with_token = tuple(one for one in self._with_token if one is not ring)
        return True

    def admit(self, token: str, account: str) -> None:
        """Let a bearer token open an account until it is told otherwise."""
        self._tokens[token] = account

    def dismiss(self, token: str) -> None:
        self._tokens.pop(token, None)

    def by_key(self, key: str, secret: str) -> str | None:
        ring = self._by_key.get(key)
        if ring is None or not same(ring.secret, secret):
            return None
        return ring.account

    def by_token(self, token: str) -> str | None:
        for ring in self._with_token:
            if same(ring.token, token):
                return ring.account
        return self._tokens.get(token)  # of high entropy, made here: looking it up tells nobody anything

    def by_headers(self, headers: Mapping[str, str]) -> str | None:
        """The two ways Alpaca takes a caller: the key pair, or a bearer token."""
        key = headers.get("APCA-API-KEY-ID")
        if key is not None:
            return self.by_key(key, headers.get("APCA-API-SECRET-KEY", ""))
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        return self.by_token(token.strip()) if scheme.lower() == "bearer" else None


class Allowance(Struct, frozen=True):
    """One call's place in the window. `reset_at` is in seconds of the epoch."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int


class RateLimiter:
    """A fixed window of one minute per account, as Alpaca counts. A limit of 0 is no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, account: str, now_s: float) -> Allowance | None:
        if self._limit == 0:
            return None
        started, used = self._windows.get(account, (now_s, 0))
        if not 0 <= now_s - started < WINDOW_S:  # it is over, or the clock was set back to before it
            started, used = now_s, 0
        allowed = used < self._limit
        used += allowed
        self._windows[account] = (started, used)
        return Allowance(allowed, self._limit, self._limit - used, ceil(started + WINDOW_S))
