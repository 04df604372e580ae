"""The way in by a passkey, and how somebody who is in already makes one.

A passkey stands for both factors: what one has, and what one is or knows, which the authenticator asks for.
So nobody makes one who came in with less. Every challenge is of one visit, good once and for two minutes.
"""

from __future__ import annotations

import secrets
from typing import Final

from ordergate.core.access import LOGIN_S_MAX, TWO_FACTORS
from ordergate.ports.clock import Clock
from ordergate.security.clients import StoreUnavailable
from ordergate.security.oauth_requests import Answer, Received
from ordergate.security.passkeys import OF_ONE_MAX, Passkey, PasskeyStore, is_label
from ordergate.security.people import ceremonies
from ordergate.security.people.ceremonies import (
    CHALLENGE_BYTES,
    CHALLENGE_S,
    HANDLE_BYTES,
    Party,
    Unproven,
)
from ordergate.security.people.entrance import AGAIN, NOBODY, TOO_MANY, Entrance, Found
from ordergate.security.people.pages import Asking
from ordergate.security.people.visits import Challenge
from ordergate.security.persons import Person
from ordergate.telemetry import log

_log = log.logger("security")

NOT_ACCEPTED: Final = "That passkey was not accepted."
NOT_MADE: Final = "That passkey was not accepted. Try again."
NO_LABEL: Final = "The name of a passkey is 1 to 32 letters, digits, spaces, dots, underscores and hyphens."
NO_ROOM: Final = "You have a passkey of that name, or as many as one may have."
MADE: Final = "The passkey is made. It lets you in from the next login on."


class PasskeyLogin:
    """One per process, on the event loop. Without a party every page says that it is not good."""

    def __init__(self, entrance: Entrance, party: Party | None, store: PasskeyStore, *, clock: Clock) -> None:
        self._entrance = entrance
        self._party = party
        self._store = store
        self._clock = clock

    async def script(self, received: Received) -> Answer:
        """The one file that a page of ours may run."""
        return self._entrance.pages.script()

    async def begin(self, received: Received) -> Answer:
        """The login page once more, which now asks the authenticator."""
        found = self._entrance.found(received)
        if self._party is None or found is None or found.visit.user_id is not None:
            return self._stopped()
        return self._entrance.login_page(found.visit.pushed, found.name, asked=self.asking(found))

    async def login(self, received: Received) -> Answer:
        """Who they are, by what the authenticator said."""
        found = self._entrance.found(received)
        if self._party is None or found is None or found.visit.user_id is not None:
            return self._stopped()
        peer = received.peer
        # Nobody is named before the passkey is known to be somebody's, so it stands in for the name.
        named = f"passkey {ceremonies.named(found.form.get('credential', ''))}"
        if self._entrance.throttle.charge(named, peer) > 0:
            _log.warning("login.throttled", peer=peer, person="unknown")
            return self._entrance.pages.stopped(429, TOO_MANY)
        try:
            person = await self.owner(found)
        except StoreUnavailable:
            self._entrance.throttle.refund(named, peer)
            return self._entrance.pages.stopped(503, NOBODY)
        if isinstance(person, Unproven):
            _log.warning("login.failed", peer=peer, by="passkey", why=person.why)
            return self._entrance.login_page(found.visit.pushed, found.name, wrong=NOT_ACCEPTED)
        self._entrance.throttle.succeeded(named, peer)
        shown = ceremonies.named(found.form.get("credential", ""))
        return self._entrance.let_in(found, person, acr=TWO_FACTORS, by="passkey", passkey=shown)

    def asking(self, found: Found) -> Asking | None:
        """What a page asks the authenticator, to have a passkey shown; None where there are none."""
        if self._party is None:
            return None
        return Asking(ceremonies.to_show(self._party, self._challenge(found)))

    async def owner(self, found: Found) -> Person | Unproven:
        """Whose passkey the form has, when all of it is right. Raises StoreUnavailable."""
        party, said = self._party, found.form.get("credential", "")
        challenge = await self._taken(found)
        if party is None or challenge is None or challenge.handle is not None:
            return Unproven("no challenge is open")
        passkey = await self._store.passkey(ceremonies.named(said))
        if passkey is None:
            return Unproven("nobody's passkey")
        count = ceremonies.shown(party, said, challenge.value, passkey)
        if isinstance(count, Unproven):
            return count
        person = self._entrance.person(passkey.user_id)
        if person is None:
            return Unproven("its owner is kept out")
        if not await self._store.use_passkey(passkey.credential_id, count, self._now()):
            _log.error("passkey.doubted", person=person.user_id, label=passkey.label)
            return Unproven("its counter has not grown, now or before: there is a copy of it")
        return person

    async def offer(self, received: Received) -> Answer:
        """The page of what a program may do once more, which now asks for a new passkey."""
        found = self._entrance.found(received)
        person = None if found is None else self._may_make(found)
        if self._party is None or found is None or person is None:
            return self._stopped()
        return await self._offered(self._party, found, person)

    async def keep(self, received: Received) -> Answer:
        """The passkey that their authenticator has made."""
        found = self._entrance.found(received)
        person = None if found is None else self._may_make(found)
        if self._party is None or found is None or person is None:
            return self._stopped()
        peer = received.peer
        if self._entrance.throttle.charge(person.user_id, peer) > 0:
            return self._entrance.pages.stopped(429, TOO_MANY)
        try:
            # Who has another password since the last look has had every passkey of theirs taken away.
            if await self._entrance.insider_now(found.visit, self._store) is None:
                return self._stopped()
            wrong = await self._kept(self._party, found, person)
        except StoreUnavailable:
            self._entrance.throttle.refund(person.user_id, peer)
            return self._entrance.pages.stopped(503, NOBODY)
        if wrong is not None:
            return await self._offered(self._party, found, person, wrong=wrong)
        self._entrance.throttle.refund(person.user_id, peer)
        return self._entrance.ask(found.visit, found.name, person, said=MADE)

    async def _kept(self, party: Party, found: Found, person: Person) -> str | None:
        """What is wrong, in a sentence for its owner."""
        challenge = await self._taken(found)
        if challenge is None or challenge.handle is None:
            return NOT_MADE
        label = found.form.get("label", "")
        if not is_label(label):
            return NO_LABEL
        made = ceremonies.made(party, found.form.get("credential", ""), challenge.value)
        if isinstance(made, Unproven):
            _log.warning("passkey.refused", person=person.user_id, why=made.why)
            return NOT_MADE
        passkey = Passkey(
            credential_id=made.credential_id,
            user_id=person.user_id,
            label=label,
            user_handle=challenge.handle,
            public_key=made.public_key,
            sign_count=made.sign_count,
            backed_up=made.backed_up,
            made_at=self._now(),
        )
        if not await self._store.put_passkey(passkey):
            return NO_ROOM
        _log.info("passkey.made", person=person.user_id, label=label)
        return None

    async def _offered(self, party: Party, found: Found, person: Person, *, wrong: str = "") -> Answer:
        try:
            known = await self._store.passkeys_of(person.user_id)
        except StoreUnavailable:
            return self._entrance.pages.stopped(503, NOBODY)
        if len(known) >= OF_ONE_MAX:
            return self._entrance.ask(found.visit, found.name, person, wrong=NO_ROOM)
        handle = known[0].user_handle if known else secrets.token_bytes(HANDLE_BYTES)
        options = ceremonies.to_make(
            party,
            self._challenge(found, handle),
            user_id=person.user_id,
            handle=handle,
            known=[one.credential_id for one in known],
        )
        asked = Asking(options, _free_label({one.label for one in known}))
        return self._entrance.ask(found.visit, found.name, person, wrong=wrong, asked=asked)

    def _may_make(self, found: Found) -> Person | None:
        """Somebody who has come in by two factors, and lately."""
        visit = found.visit
        lately = self._now() - visit.auth_time <= LOGIN_S_MAX
        return self._entrance.insider(visit) if visit.acr == TWO_FACTORS and lately else None

    def _challenge(self, found: Found, handle: bytes | None = None) -> bytes:
        value = secrets.token_bytes(CHALLENGE_BYTES)
        good_until = self._clock.monotonic() + CHALLENGE_S
        self._entrance.visits.challenge(
            found.name, Challenge(value=value, good_until=good_until, handle=handle)
        )
        return value

    async def _taken(self, found: Found) -> Challenge | None:
        """The challenge of this visit, the first time that somebody answers it."""
        challenge = found.visit.challenge
        if challenge is None or self._clock.monotonic() >= challenge.good_until:
            return None
        name = f"passkey {challenge.value.hex()}"
        is_first = await self._entrance.directory.spend(name, self._now() + 2 * CHALLENGE_S)
        return challenge if is_first else None

    def _stopped(self) -> Answer:
        return self._entrance.pages.stopped(400, AGAIN)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _free_label(taken: set[str]) -> str:
    """Something to call the next one, while there is room for it."""
    return next(name for n in range(OF_ONE_MAX) if (name := f"passkey {n + 1}") not in taken)
