"""Tickets: how a page in a browser opens a stream without ever having a token.

Whoever holds the token asks for a ticket over REST and hands it to its page. It is good once, for half a
minute, for the page's origin, and for no more than the token is worth when it is used. Tickets are kept
in memory, by their hashes; after a restart a page asks again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from typing import Final

import msgspec

from ordergate.api.quotas import too_soon
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.identity import Identity

BITS: Final = 256
LIFE_S: Final = 30
WAITING_MAX: Final = 10_000
OF_ONE_MAX: Final = 100

INVALID: Final = Refusal(Code.UNAUTHENTICATED, "the ticket is not valid")
FOREIGN: Final = Refusal(Code.FORBIDDEN, "pages of this origin may not open a stream")
TOO_MANY: Final = "too many tickets wait to be used"


class _Ticket(msgspec.Struct, frozen=True):
    principal: Principal
    origin: str
    good_until: float


class Tickets:
    """Of one process and one environment."""

    def __init__(self, identity: Identity, clock: Clock, chance: Chance, origins: Container[str]) -> None:
        self._identity = identity
        self._clock = clock
        self._chance = chance
        self._origins = origins
        self._tickets: dict[bytes, _Ticket] = {}

    def issue(self, principal: Principal, origin: str) -> str | Refusal:
        """A ticket for a page of this origin."""
        if origin not in self._origins:
            return FOREIGN
        now = self._clock.monotonic()
        self._forget_old(now)
        own = [each for each in self._tickets.values() if each.principal.subject == principal.subject]
        if len(own) >= OF_ONE_MAX:
            return too_soon(own[0].good_until - now, TOO_MANY)
        if len(self._tickets) >= WAITING_MAX:
            return too_soon(next(iter(self._tickets.values())).good_until - now, TOO_MANY)
        ticket = f"{self._chance.bits(BITS):064x}"
        self._tickets[_name(ticket)] = _Ticket(principal, origin, now + LIFE_S)
        return ticket

    def redeem(self, ticket: str, origin: str | None) -> Principal | Refusal:
        """Who it was issued to. Whatever comes of it, it is used up."""
        found = self._tickets.pop(_name(ticket), None)
        if found is None or self._clock.monotonic() >= found.good_until or origin != found.origin:
            return INVALID
        return found.principal if self._identity.still_valid(found.principal) else INVALID

    def _forget_old(self, now: float) -> None:
        # All live equally long, so the oldest come first.
        while self._tickets:
            name = next(iter(self._tickets))
            if now < self._tickets[name].good_until:
                return
            del self._tickets[name]


def _name(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
