"""What every page of a login shares: the visit it belongs to, who may come, and what comes after.

Nothing here decides whether somebody is who they say. A form counts when it comes from a page of ours, in the
browser that got the page.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from ordergate.core.access import TWO_FACTORS
from ordergate.ports.clock import Clock
from ordergate.security import oauth_requests as oauth
from ordergate.security.clients import Client
from ordergate.security.directory import Directory
from ordergate.security.oauth_requests import Answer, Received, Rejected
from ordergate.security.passkeys import PasskeyStore
from ordergate.security.people.pages import Asking, Pages
from ordergate.security.people.visits import Visit, Visits
from ordergate.security.persons import Person
from ordergate.security.profile import Profile
from ordergate.security.pushed import Pushed
from ordergate.security.throttle import Throttle
from ordergate.telemetry import log

_log = log.logger("security")

AGAIN: Final = "This page is not good any more. Go back to the program and begin again."
TOO_MANY: Final = "Too many tries. Wait a minute and begin again."
NOBODY: Final = "Nobody can be let in now. Try again in a moment."


class Found(msgspec.Struct, frozen=True):
    """A form of ours, and the visit that it belongs to under the name `name`."""

    form: dict[str, str]
    name: str
    visit: Visit


class Entrance:
    """One per process, on the event loop."""

    def __init__(self, profile: Profile, directory: Directory, clock: Clock, *, passkeys: bool) -> None:
        self.profile = profile
        self.directory = directory
        self.clock = clock
        self.visits = Visits(clock.monotonic)
        self.throttle = Throttle(clock.monotonic)
        self.pages = Pages(profile.env, passkeys=passkeys)
        address = urlsplit(profile.issuer)
        self._origin = f"{address.scheme}://{address.netloc}"

    def found(self, received: Received) -> Found | None:
        """The form of a page of ours, sent by the page itself."""
        headers = received.headers
        # No page of ours tells where it comes from, so browsers send no origin with its forms, or "null".
        if headers.get("origin", "null") not in {"null", self._origin}:
            return None
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return None
        try:
            form = oauth.form_of(received)
        except Rejected:
            return None
        name = form.get("visit", "")
        visit = self.visits.find(name, headers.get("cookie", ""))
        return None if visit is None else Found(form, name, visit)

    def client(self, client_id: str) -> Client | None:
        client = self.directory.client(client_id)
        usable = client is not None and client.enabled and client.acts_for_people
        return client if usable else None

    def person(self, user_id: str | None) -> Person | None:
        person = None if user_id is None else self.directory.person(user_id)
        return person if person is not None and person.enabled else None

    def insider(self, visit: Visit) -> Person | None:
        """Who has logged in at this visit; nobody, once they are kept out or have another password."""
        person = self.person(visit.user_id)
        return person if person is not None and person.password_hash == visit.password_hash else None

    async def insider_now(self, visit: Visit, passkeys: PasskeyStore) -> Person | None:
        """The same by what is written now; nobody, once their passkey is gone or doubted, if it was by one.

        Raises StoreUnavailable.
        """
        await self.directory.read_again()
        if visit.passkey is not None:
            shown = await passkeys.passkey(visit.passkey)
            if shown is None or shown.suspect:
                return None
        return self.insider(visit)

    def shown(self, user_id: str) -> str:
        """A name for the log; what is not one may be anything, even a mistyped password."""
        return user_id if self.directory.person(user_id) is not None else "unknown"

    def login_page(
        self,
        pushed: Pushed,
        name: str,
        *,
        cookie: str | None = None,
        wrong: str | None = None,
        said: str = "",
        asked: Asking | None = None,
    ) -> Answer:
        """A login that may be too weak ends at the program; every other one at what the person allows."""
        may_end_at = pushed.redirect_uri if pushed.two_factors else None
        return self.pages.login(
            pushed.client_id,
            name,
            cookie=cookie,
            wrong=wrong,
            said=said,
            asked=asked,
            may_end_at=may_end_at,
        )

    def let_in(
        self, found: Found, person: Person, *, acr: str, by: str, passkey: str | None = None
    ) -> Answer:
        """They are who they say. What the program may do they say on the next page."""
        opened = self.visits.logged_in(
            found.name, person, auth_time=int(self.clock.now().timestamp()), acr=acr, passkey=passkey
        )
        if opened is None:
            return self.pages.stopped(400, AGAIN)
        client_id = found.visit.pushed.client_id
        _log.info("login.succeeded", client_id=client_id, person=person.user_id, by=by)
        visit = msgspec.structs.replace(found.visit, acr=acr)
        return self.ask(visit, opened.name, person, cookie=opened.set_cookie)

    def ask(
        self,
        visit: Visit,
        name: str,
        person: Person,
        *,
        cookie: str | None = None,
        said: str = "",
        wrong: str = "",
        asked: Asking | None = None,
    ) -> Answer:
        """The page on which they say what the program may do, and may make a passkey."""
        client = self.client(visit.pushed.client_id)
        if client is None:
            return self.pages.stopped(400, AGAIN)
        return self.pages.consent(
            client_id=client.client_id,
            user_id=person.user_id,
            scopes=visit.pushed.scopes & person.scopes,
            accounts=frozenset(person.accounts & client.accounts),
            visit=name,
            cookie=cookie,
            redirect_uri=visit.pushed.redirect_uri,
            said=said,
            wrong=wrong,
            makes=visit.acr == TWO_FACTORS,
            asked=asked,
        )
