"""How people change their own password, and choose one in the place of one that they have lost.

It takes what a login takes, the password of now and a second factor, and the same is asked of whoever brings
the code of a reset. Nobody is let in by it: the login page follows. What does not fit is told after they
have shown who they are, so nobody else learns from it who there is.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from ordergate.ports.clock import Clock
from ordergate.security.clients import StoreUnavailable
from ordergate.security.code_grants import secret_hash
from ordergate.security.hashing import Busy
from ordergate.security.oauth_requests import Answer, Received
from ordergate.security.people.entrance import AGAIN, NOBODY, TOO_MANY, Entrance, Found
from ordergate.security.people.factors import Factors
from ordergate.security.people.pages import WRONG
from ordergate.security.people.passkey_login import PasskeyLogin
from ordergate.security.persons import Person
from ordergate.security.resets import NewPassword, PasswordStore
from ordergate.telemetry import log
from ordergate.telemetry.secret import Secret

_log = log.logger("security")

CHANGED: Final = "The password is changed. Log in with it, and with the next code where you have an app."
NOT_TWICE: Final = "The new password is not the same twice."
THE_SAME: Final = "That is the password you have."
NOT_KNOWN: Final = "Whether the password is changed is not known. Try to log in with the new one in a moment."


class _Proven(msgspec.Struct, frozen=True):
    """Somebody who has shown who they are; `reset`, the hash of its code, where it was not by a password."""

    person: Person
    reset: str | None


class PasswordChange:
    """One per process, on the event loop."""

    def __init__(
        self,
        entrance: Entrance,
        store: PasswordStore,
        *,
        factors: Factors,
        passkeys: PasskeyLogin,
        clock: Clock,
    ) -> None:
        self._entrance = entrance
        self._pages = entrance.pages
        self._store = store
        self._factors = factors
        self._passkeys = passkeys
        self._clock = clock

    async def begin(self, received: Received) -> Answer:
        """The form, in the place of the login page."""
        found = self._found(received)
        return self._stopped() if found is None else self._pages.password(found.name)

    async def begin_with_passkey(self, received: Received) -> Answer:
        """The form once more, which asks the authenticator in the place of a code."""
        found = self._found(received)
        asked = None if found is None else self._passkeys.asking(found)
        if found is None or asked is None:
            return self._stopped()
        return self._pages.password(found.name, asked=asked)

    async def keep(self, received: Received) -> Answer:
        """The new password, from whoever shows that the old one is theirs."""
        found = self._found(received)
        if found is None:
            return self._stopped()
        if not _is_same(found.form.get("new", ""), found.form.get("again", "")):
            return self._pages.password(found.name, status=400, wrong=NOT_TWICE)
        user_id, peer = found.form.get("user", "")[:64], received.peer
        if self._entrance.throttle.charge(user_id, peer) > 0:
            _log.warning("login.throttled", peer=peer, person=self._entrance.shown(user_id))
            return self._pages.stopped(429, TOO_MANY)
        try:
            proven = await self._proven(found, user_id)
        except (Busy, StoreUnavailable):
            self._entrance.throttle.refund(user_id, peer)
            return self._pages.stopped(503, NOBODY)
        if proven is None:
            _log.warning("password.not_changed", peer=peer, person=self._entrance.shown(user_id))
            return self._pages.password(found.name, status=401, wrong=WRONG)
        self._entrance.throttle.succeeded(user_id, peer)
        try:
            return await self._changed(found, proven)
        except (Busy, StoreUnavailable):
            return self._pages.stopped(503, NOT_KNOWN)

    async def _proven(self, found: Found, user_id: str) -> _Proven | None:
        """Who it is, when all of it is right; the same work for whoever is not there."""
        person, given = self._entrance.person(user_id), found.form.get("password", "")
        knows = await self._factors.knows(person, given)
        # Looked for in any case: without that, its time would tell that the password is right.
        reset = await self._reset(person, given)
        if person is None or not (knows or reset is not None):
            return None
        return _Proven(person, reset) if await self._has_factor(found, person) else None

    async def _reset(self, person: Person | None, code: str) -> str | None:
        """The hash of the code, where it is that of a reset which serves."""
        reset = await self._store.reset_of("" if person is None else person.user_id)
        hashed = secret_hash(code)
        serves = reset is not None and reset.serves(hashed, self._now())
        # Whoever started it knows the code: without a factor that is the owner's alone it would be theirs.
        return hashed if serves and person is not None and person.totp is not None else None

    async def _has_factor(self, found: Found, person: Person) -> bool:
        if "credential" not in found.form:
            return await self._factors.has(person, found.form.get("code", ""))
        owner = await self._passkeys.owner(found)
        return isinstance(owner, Person) and owner.user_id == person.user_id

    async def _changed(self, found: Found, proven: _Proven) -> Answer:
        """Done, or what is wrong with the new password. Raises Busy and StoreUnavailable."""
        person, form = proven.person, found.form
        password = Secret(form.get("new", ""))
        if _is_same(password.reveal(), form.get("password", "")):
            return self._pages.password(found.name, status=400, wrong=THE_SAME)
        no = await self._factors.refuse(password, (person.user_id, person.tenant))
        if no is not None:
            return self._pages.password(found.name, status=400, wrong=f"{no.capitalize()}.")
        new = NewPassword(
            user_id=person.user_id,
            old_hash=person.password_hash,
            new_hash=await self._factors.hashed(password),
            reset=proven.reset,
            ends_logins="end" in form,
        )
        ended = await self._store.change_password(new, self._now())
        if ended is None:
            return self._stopped()
        by = "password" if proven.reset is None else "reset"
        _log.info("password.changed", person=person.user_id, by=by, logins_ended=ended)
        await self._entrance.directory.read_again()
        return self._entrance.login_page(found.visit.pushed, found.name, said=CHANGED)

    def _found(self, received: Received) -> Found | None:
        """A form of somebody who has not logged in at this visit."""
        found = self._entrance.found(received)
        return found if found is not None and found.visit.user_id is None else None

    def _stopped(self) -> Answer:
        return self._pages.stopped(400, AGAIN)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
