"""What somebody shows to be who they say: a password, and a code of their app. And what makes a new password.

The same work is done for whoever is not there. Passwords are checked, judged and hashed outside the event
loop, few at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ordergate.core.ids import Env
from ordergate.ports.clock import Clock
from ordergate.security.directory import Directory
from ordergate.security.hashing import SECRET_LENGTH_MAX, Workers, hash_secret, matches
from ordergate.security.people.breaches import BreachedPasswords, NoList
from ordergate.security.people.passwords import refuse_password
from ordergate.security.people.totp import STEP_S, Totp
from ordergate.security.persons import Person
from ordergate.telemetry import log
from ordergate.telemetry.secret import Secret

UNCOMPARED: Final = "no password can be compared with those of breaches now: tell who runs the gateway"

_log = log.logger("security")


class Factors:
    """One per process, on the event loop. What waits for a worker raises Busy where too many do."""

    def __init__(
        self, directory: Directory, totp: Totp, clock: Clock, breached: BreachedPasswords | None = None
    ) -> None:
        self._directory = directory
        self._totp = totp
        self._clock = clock
        self._breached = breached
        self._workers = Workers()

    async def knows(self, person: Person | None, password: str) -> bool:
        """Whether it is this person's password."""
        hashed = None if person is None else person.password_hash
        given = Secret(password if 0 < len(password) <= SECRET_LENGTH_MAX else "-")
        return await self._workers.call(lambda: matches(hashed, given))

    async def has(self, person: Person, code: str) -> bool:
        """Whether it is the code of now, and the first time. Who has no app has nothing to show, but in live.

        Raises StoreUnavailable.
        """
        if person.totp is None:
            return self._directory.env is not Env.LIVE
        step = self._totp.step_of(person.user_id, person.totp, code, self._clock.now().timestamp())
        if step is None:
            return False
        # A code that somebody looked over a shoulder for is not good a second time.
        return await self._directory.spend(f"totp {person.user_id} {step}", (step + 3) * STEP_S)

    async def refuse(self, password: Secret, names: Iterable[str]) -> str | None:
        """Why it is no password, if so."""
        try:
            return await self._workers.call(lambda: refuse_password(password, names, self._breached))
        except NoList as error:
            _log.error("passwords.uncompared", why=str(error))
            return UNCOMPARED

    async def hashed(self, password: Secret) -> str:
        return await self._workers.call(lambda: hash_secret(password))
