"""A person with a browser, and the program that sends them to our pages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.security.clients import Client
from ordergate.security.hashing import hash_secret
from ordergate.security.oauth_requests import Answer
from ordergate.security.people.totp import Totp
from ordergate.security.persons import Person
from ordergate.telemetry.secret import Secret
from tests.security.world import FACTOR_KEY, SCOPES, World

BACK: Final = "https://desk.example/back"
PASSWORD: Final = "correct horse battery staple"
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}

# Hashing is slow on purpose; one hash serves every test.
_HASH: Final = hash_secret(Secret(PASSWORD))


class Visitor:
    """Alice, at the public program `app`. `verifier` is the program's, for PKCE."""

    def __init__(self, here: World, factor: str | None) -> None:
        self.here = here
        self.factor = factor
        self.verifier = secrets.token_urlsafe(48)
        self.cookie = ""
        self.visit = ""

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def code(self) -> str:
        assert self.factor is not None
        secret = parse_qs(urlsplit(self.factor).query)["secret"][0]
        padded = secret + "=" * (-len(secret) % 8)
        return TOTP(base64.b32decode(padded), 6, SHA1(), 30).generate(self.here.clock.epoch).decode()

    def request(self, **changes: str | None) -> dict[str, str]:
        asked = {
            "client_id": "app",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "orders:read orders:write",
            "state": "the-state",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value is not None}

    async def push(self, *, proof: str | None = None, **changes: str | None) -> Answer:
        return await self.here.ask("/oauth/par", self.request(**changes), proof=proof)

    async def open(self, name: str, client_id: str = "app", **more: str) -> Answer:
        return await self.follow(urlencode({"client_id": client_id, "request_uri": name, **more}))

    async def follow(self, query: str) -> Answer:
        return self._seen(await self.here.send("/oauth/authorize", b"", {}, query=query))

    async def log_in(
        self, user: str = "alice", password: str = PASSWORD, code: str | None = None, **headers: str
    ) -> Answer:
        if code is None:
            code = "" if self.factor is None else self.code()
        form = {"visit": self.visit, "user": user, "password": password, "code": code}
        return await self.send_form("/oauth/login", form, **headers)

    async def decide(self, decision: str = "allow", **headers: str) -> Answer:
        form = {"visit": self.visit, "decision": decision}
        return await self.send_form("/oauth/consent", form, **headers)

    async def change_password(
        self, new: str, *, user: str = "alice", password: str = PASSWORD, **changes: str | None
    ) -> Answer:
        """From the form for it. A change to None leaves a field out, as a box without a tick is."""
        code = "" if self.factor is None else self.code()
        form = {"user": user, "password": password, "new": new, "again": new, "code": code, "end": "logins"}
        kept = {name: value for name, value in {**form, **changes}.items() if value is not None}
        return await self.send_form("/oauth/password/keep", {"visit": self.visit, **kept})

    async def redeem(self, a_code: str, *, proof: str | None = None, **changes: str | None) -> Answer:
        asked = {
            "grant_type": "authorization_code",
            "client_id": "app",
            "code": a_code,
            "redirect_uri": BACK,
            "code_verifier": self.verifier,
            **changes,
        }
        kept = {name: value for name, value in asked.items() if value is not None}
        return await self.here.ask("/oauth/token", kept, proof=proof)

    async def refresh(self, token: str, *, proof: str | None = None, **changes: str) -> Answer:
        asked = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": token, **changes}
        return await self.here.ask("/oauth/token", asked, proof=proof)

    async def a_code(self, **changes: str | None) -> str:
        """All the way to a code."""
        pushed = json.loads((await self.push(**changes)).body)
        assert (await self.open(pushed["request_uri"])).status == 200
        assert (await self.log_in()).status == 200
        return led_to(await self.decide())["code"]

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        """All the way to tokens."""
        answer = await self.redeem(await self.a_code(**changes))
        assert answer.status == 200, answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def send_form(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        sent = {**FORM, "cookie": self.cookie, **headers}
        return self._seen(await self.here.send(path, urlencode(form).encode(), sent))

    def _seen(self, answer: Answer) -> Answer:
        """As a browser does: keep the cookie and the form's hidden field."""
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        found = re.search(rb'name="visit" value="([^"]+)"', answer.body)
        if found is not None:
            self.visit = found[1].decode()
        return answer


def led_to(answer: Answer) -> dict[str, str]:
    """What the redirect told the program."""
    assert answer.status == 303, answer.body
    where = answer.headers["location"]
    assert where.startswith(f"{BACK}?")
    return {name: value for name, (value,) in parse_qs(urlsplit(where).query).items()}


async def visitor(here: World, *, two_factors: bool = False, **changes: Any) -> Visitor:
    sealed, uri = Totp(here.profile.env, FACTOR_KEY).fresh("alice") if two_factors else (None, None)
    person = Person(
        user_id="alice",
        tenant="acme",
        password_hash=_HASH,
        totp=sealed,
        scopes=SCOPES,
        accounts=frozenset({AccountId(f"{here.profile.env.letter}-alpha")}),
    )
    await here.security.people.put_person(person)
    described = {"tenant": "acme", "scopes": SCOPES | {Scope.RISK_WRITE}, "accounts": here.accounts}
    app = Client(client_id="app", **{**described, "redirect_uris": (BACK,), **changes})
    await here.security.directory.put_client(app)
    await here.security.directory.refresh()
    return Visitor(here, None if uri is None else uri.reveal())
