"""A visit: the way of one person through the pages, from the first to the last.

A visit is known by two secrets, one in the page's form and one in a cookie that no other site can set or
send. Both change when the person has logged in. It ends with what it was begun for: there is no login
that outlives it, so there is nothing left in the browser to steal.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from ordergate.security.persons import Person
from ordergate.security.pushed import Pushed

COOKIE: Final = "__Host-ordergate-visit"
LIFE_S: Final = 600
VISITS_MAX: Final = 10_000


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator was asked to sign; with a `handle`, for a new passkey of its owner."""

    value: bytes
    good_until: float
    handle: bytes | None = None


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """`user_id`, their `password_hash` of then, `auth_time` and `acr` once somebody has logged in.

    With `passkey`, the id of its credential, it was by that. One challenge at a time is open.
    """

    pushed: Pushed
    cookie_hash: bytes
    good_until: float
    user_id: str | None = None
    password_hash: str = ""
    auth_time: int = 0
    acr: str = ""
    passkey: str | None = None
    challenge: Challenge | None = None


class Opened(msgspec.Struct, frozen=True):
    """The two secrets of a visit: `name` for the form, and the whole header for the cookie."""

    name: str
    set_cookie: str


class Visits:
    """In memory: after a restart a person begins again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def begin(self, pushed: Pushed) -> Opened:
        return self._kept(Visit(pushed=pushed, cookie_hash=b"", good_until=self._monotonic() + LIFE_S))

    def find(self, name: str, cookies: str) -> Visit | None:
        """The visit of this form, when the cookie is its own."""
        found = self._visits.get(name)
        if found is None or self._monotonic() >= found.good_until:
            return None
        return found if hmac.compare_digest(_hash(_cookie_in(cookies)), found.cookie_hash) else None

    def logged_in(
        self, name: str, person: Person, *, auth_time: int, acr: str, passkey: str | None = None
    ) -> Opened | None:
        """The same visit under new secrets: what was known before the login is of no use after it.

        None where it has gone on, or is over, since it was found.
        """
        visit = self._visits.pop(name, None)
        if visit is None:
            return None
        whose = {"user_id": person.user_id, "password_hash": person.password_hash, "passkey": passkey}
        return self._kept(msgspec.structs.replace(visit, **whose, auth_time=auth_time, acr=acr))

    def challenge(self, name: str, challenge: Challenge) -> None:
        """Ask for this from now on, and for nothing that was asked before."""
        visit = self._visits.get(name)
        if visit is not None:
            self._visits[name] = msgspec.structs.replace(visit, challenge=challenge)

    def end(self, name: str) -> None:
        self._visits.pop(name, None)

    def _kept(self, visit: Visit) -> Opened:
        name, cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._visits[name] = msgspec.structs.replace(visit, cookie_hash=_hash(cookie))
        while len(self._visits) > VISITS_MAX:
            self._visits.popitem(last=False)
        attributes = f"Secure; HttpOnly; SameSite=Strict; Path=/; Max-Age={LIFE_S}"
        return Opened(name, f"{COOKIE}={cookie}; {attributes}")


def _cookie_in(header: str) -> str:
    """The cookie's value; empty where it is missing, or there twice."""
    found = [
        value
        for name, _, value in (pair.strip().partition("=") for pair in header.split(";"))
        if name == COOKIE
    ]
    return found[0] if len(found) == 1 else ""


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
