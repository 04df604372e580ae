"""The way of a person: from a pushed request over who they are to what they allow.

Nothing of a request comes through the browser but its name. The three steps are a GET and two POSTs of the
same origin; what is wrong before the redirect address was checked ends on a page and never in a redirect.
"""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import parse_qsl, urlencode

from ordergate.core.access import PASSWORD_ONLY, TWO_FACTORS, Scope
from ordergate.ports.clock import Clock
from ordergate.security.clients import StoreUnavailable
from ordergate.security.code_grants import secret_hash
from ordergate.security.hashing import Busy
from ordergate.security.oauth_requests import Answer, Received
from ordergate.security.passkeys import PeopleStore
from ordergate.security.people.entrance import AGAIN, NOBODY, TOO_MANY, Entrance
from ordergate.security.people.factors import Factors
from ordergate.security.people.pages import WRONG
from ordergate.security.people.visits import Visit
from ordergate.security.persons import CODE_S, LOGINS_MAX, Grant, Person
from ordergate.security.pushed import Requests
from ordergate.telemetry import log

QUERY_LENGTH_MAX: Final = 2_048

_log = log.logger("security")


class Login:
    """One per process, on the event loop."""

    def __init__(
        self, entrance: Entrance, store: PeopleStore, *, requests: Requests, factors: Factors, clock: Clock
    ) -> None:
        self._entrance = entrance
        self._profile = entrance.profile
        self._directory = entrance.directory
        self._visits = entrance.visits
        self._throttle = entrance.throttle
        self._pages = entrance.pages
        self._store = store
        self._requests = requests
        self._factors = factors
        self._clock = clock

    async def authorize(self, received: Received) -> Answer:
        """RFC 6749, 4.1.1, as RFC 9126 leaves it: a client, and the name of what it pushed."""
        asked = _query(received.query)
        pushed = None
        if asked is not None:
            pushed = self._requests.take(asked["request_uri"], asked["client_id"])
        if pushed is None or self._entrance.client(pushed.client_id) is None:
            return self._pages.stopped(400, AGAIN)
        visit = self._visits.begin(pushed)
        return self._entrance.login_page(pushed, visit.name, cookie=visit.set_cookie)

    async def login(self, received: Received) -> Answer:
        """Who they are, by password and code."""
        found = self._entrance.found(received)
        if found is None or found.visit.user_id is not None:
            return self._pages.stopped(400, AGAIN)
        form, user_id, peer = found.form, found.form.get("user", "")[:64], received.peer
        wait_s = self._throttle.charge(user_id, peer)
        if wait_s > 0:
            _log.warning("login.throttled", peer=peer, person=self._entrance.shown(user_id))
            return self._pages.stopped(429, TOO_MANY)
        try:
            person = await self._proven(user_id, form.get("password", ""), form.get("code", ""))
        except (Busy, StoreUnavailable):
            self._throttle.refund(user_id, peer)
            return self._pages.stopped(503, NOBODY)
        if person is None:
            _log.warning("login.failed", peer=peer, person=self._entrance.shown(user_id))
            return self._entrance.login_page(found.visit.pushed, found.name, wrong=WRONG)
        self._throttle.succeeded(user_id, peer)
        if found.visit.pushed.two_factors and person.totp is None:
            self._visits.end(found.name)
            _log.info("login.too_weak", client_id=found.visit.pushed.client_id, person=person.user_id)
            return self._back(found.visit, {"error": "unmet_authentication_requirements"})
        acr = PASSWORD_ONLY if person.totp is None else TWO_FACTORS
        return self._entrance.let_in(found, person, acr=acr, by="password")

    async def consent(self, received: Received) -> Answer:
        """What they allow; with that the visit is over."""
        found = self._entrance.found(received)
        if found is None or found.visit.user_id is None:
            return self._pages.stopped(400, AGAIN)
        form, visit = found.form, found.visit
        self._visits.end(found.name)
        person, client = self._entrance.insider(visit), self._entrance.client(visit.pushed.client_id)
        if client is None or person is None:
            return self._pages.stopped(400, AGAIN)
        scopes = visit.pushed.scopes & person.scopes & client.scopes
        if form.get("decision") != "allow" or not scopes:
            _log.info("consent.denied", client_id=client.client_id, person=person.user_id)
            return self._back(visit, {"error": "access_denied"})
        code = secrets.token_urlsafe(32)
        try:
            # Whoever was kept out, or has another password, since the last look has ended this login, too.
            if await self._entrance.insider_now(visit, self._store) is None:
                return self._pages.stopped(400, AGAIN)
            await self._make_room(person)
            await self._store.put_grant(self._grant(visit, person, scopes, code))
        except StoreUnavailable:
            return self._back(visit, {"error": "temporarily_unavailable"})
        _log.info("consent.given", client_id=client.client_id, person=person.user_id)
        return self._back(visit, {"code": code})

    async def _proven(self, user_id: str, password: str, code: str) -> Person | None:
        """The person, when all of it is right; the same work for whoever is not there."""
        usable = self._entrance.person(user_id)
        knows = await self._factors.knows(usable, password)
        if usable is None or not knows:
            return None
        return usable if await self._factors.has(usable, code) else None

    async def _make_room(self, person: Person) -> None:
        """For one login more than those they may keep."""
        now = int(self._clock.now().timestamp())
        ended = await self._store.end_logins(person.user_id, keep=LOGINS_MAX - 1, now=now)
        if ended:
            _log.info("logins.ended", person=person.user_id, number=ended, why="too many at once")
            await self._directory.read_again()

    def _grant(self, visit: Visit, person: Person, scopes: frozenset[Scope], code: str) -> Grant:
        now = int(self._clock.now().timestamp())
        return Grant(
            grant_id=secrets.token_urlsafe(18),
            client_id=visit.pushed.client_id,
            user_id=person.user_id,
            scopes=scopes,
            auth_time=visit.auth_time,
            acr=visit.acr,
            bound_to=visit.pushed.bound_to,
            redirect_uri=visit.pushed.redirect_uri,
            challenge=visit.pushed.challenge,
            code_hash=secret_hash(code),
            code_expires_at=now + CODE_S,
            used_at=now,
        )

    def _back(self, visit: Visit, told: dict[str, str]) -> Answer:
        """To the program, with who answers (RFC 9207)."""
        state = {} if visit.pushed.state is None else {"state": visit.pushed.state}
        query = urlencode({**told, **state, "iss": self._profile.issuer})
        headers = {"location": f"{visit.pushed.redirect_uri}?{query}", "cache-control": "no-store"}
        return Answer(status=303, headers=headers, body=b"")


def _query(text: str) -> dict[str, str] | None:
    """Exactly the two parameters, once each."""
    if len(text) > QUERY_LENGTH_MAX:
        return None
    try:
        pairs = parse_qsl(text, strict_parsing=True, errors="strict", max_num_fields=4)
    except ValueError:
        return None
    asked = dict(pairs)
    return asked if len(pairs) == 2 and asked.keys() == {"client_id", "request_uri"} else None
