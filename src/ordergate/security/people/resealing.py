"""Seals every second factor by the cipher of the moment, after another one was chosen.

Person by person, each durable by itself: it can stop anywhere, be run again, and be run by two at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from ordergate.security.people.totp import Totp
from ordergate.security.persons import GrantStore, Person
from ordergate.telemetry import log

_log = log.logger("security")


async def reseal_factors(people: Iterable[Person], totp: Totp, store: GrantStore) -> tuple[int, int]:
    """How many were sealed anew, and how many nothing opens: their owners need others.

    Raises StoreUnavailable; what was done until then stays done.
    """
    done, unopened = 0, []
    for person in people:
        if person.totp is None or totp.is_current(person.totp):
            continue
        after = totp.renewed(person.user_id, person.totp)
        if after is None:
            unopened.append(person.user_id)
        else:
            done += await store.reseal_factor(person.user_id, person.totp, after)
    _log.info("factors.resealed", done=done, unopened=unopened)
    return done, len(unopened)
