"""How many streams may be open at once: of one address, of one client, of one tenant, and in all.

A place is taken before the socket is upgraded, when only the address is known. Whoever has not logged in has
one of few, so that strangers fill neither an address's room nor the process's; and those of one subscriber,
however many addresses it has, fill no more than half of what the others leave. A place is given back once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final

import msgspec

from ordergate.core.access import Principal
from ordergate.core.networks import network_of, site_of
from ordergate.core.refusals import Code, Refusal

RETRY_AFTER_S: Final = 5
"""As long as a stranger may hold a place. When another stream ends, nobody knows."""


def _no(code: Code, words: str) -> Refusal:
    return Refusal(code, words, retry_after_s=RETRY_AFTER_S)


FULL: Final = _no(Code.UNAVAILABLE, "too many streams are open")
FULL_OF_STRANGERS: Final = _no(Code.UNAVAILABLE, "too many streams wait for their first login")
OF_ADDRESS: Final = _no(Code.RATE_LIMITED, "this address has too many streams open")
STRANGERS_OF_ADDRESS: Final = _no(
    Code.RATE_LIMITED, "too many streams of this address wait for their first login"
)
OF_CLIENT: Final = _no(Code.RATE_LIMITED, "this client has too many streams open")
OF_TENANT: Final = _no(Code.RATE_LIMITED, "this client's tenant has too many streams open")


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The most streams at once. Strangers are those that have not logged in yet."""

    in_all: int = 4_000
    of_tenant: int = 2_000
    of_client: int = 1_000
    of_address: int = 2_000
    strangers: int = 1_000
    strangers_of_address: int = 100


class Places:
    """Of one process."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._taken: Counter[Hashable] = Counter()

    def enter(self, peer: str) -> Place | Refusal:
        """A place for a connection of this address, or why there is none."""
        place = Place(self, peer)
        address = ("address", network_of(peer))
        no = place.take(("all", self.room.in_all, FULL), (address, self.room.of_address, OF_ADDRESS))
        return no or place

    def taken(self, what: Hashable) -> int:
        return self._taken[what]

    def count(self, what: Hashable, by: int) -> None:
        self._taken[what] += by
        if not self._taken[what]:
            del self._taken[what]


class Place:
    """One connection's. Every refusal leaves it as it was, and `leave` gives all of it back."""

    def __init__(self, places: Places, peer: str) -> None:
        self._places = places
        self._strangers = ("strangers", network_of(peer))
        self._strangers_of_site = ("strangers of site", site_of(peer))
        self._held: list[Hashable] = []

    def wait_for_login(self) -> Refusal | None:
        """Count as a stranger until `admit`."""
        room, taken = self._places.room, self._places.taken
        of_others = taken("strangers") - taken(self._strangers_of_site)
        half = (room.strangers - of_others + 1) // 2
        return self.take(
            (self._strangers, room.strangers_of_address, STRANGERS_OF_ADDRESS),
            ("strangers", room.strangers, FULL_OF_STRANGERS),
            (self._strangers_of_site, half, STRANGERS_OF_ADDRESS),
        )

    def admit(self, principal: Principal) -> Refusal | None:
        """Count as this client's, and as no stranger's any more."""
        room, tenant = self._places.room, principal.tenant
        no = self.take(
            (("client", tenant, principal.client_id), room.of_client, OF_CLIENT),
            (("tenant", tenant), room.of_tenant, OF_TENANT),
        )
        if no is None:
            for stranger in ("strangers", self._strangers, self._strangers_of_site):
                if stranger in self._held:
                    self._held.remove(stranger)
                    self._places.count(stranger, -1)
        return no

    def take(self, *wanted: tuple[Hashable, int, Refusal]) -> Refusal | None:
        """One of each, unless one of them has no room."""
        for what, most, no in wanted:
            if self._places.taken(what) >= most:
                return no
        for what, _, _ in wanted:
            self._places.count(what, 1)
            self._held.append(what)
        return None

    def leave(self) -> None:
        while self._held:
            self._places.count(self._held.pop(), -1)
