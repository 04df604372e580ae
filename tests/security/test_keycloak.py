"""Keycloak judges our reading of its tokens: logins, roles, and keys that change while we run."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Code, Refusal
from ordergate.security.external import COOL_DOWN_S, FRESH_S, ExternalIssuer, IssuerSettings, http_client
from tests.security.test_oidc_provider import UNREACHABLE
from tests.security.world import SetClock, World, world

pytestmark = pytest.mark.fetches

VERSION: Final = "26.0.7"
ARTIFACT: Final = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
SOURCE: Final = Path(__file__).parent / "keycloak"
START_S: Final = 420
OUTPUT_MAX: Final = 2**20
BACK: Final = "http://127.0.0.1:9/back"
AUDIENCE: Final = "urn:gateway:paper"
OF_BOT: Final = secrets.token_urlsafe(32)
"""What the program `bot` proves itself with."""

ROLES: Final = {
    "trader": frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
    "watcher": frozenset({Scope.ORDERS_READ}),
}


class MovableClock(SetClock):
    """Keycloak has its own clock, so ours is the real one; what is remembered can still be made old."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keycloak's folder, from the package index that Java's own client reads."""
    maven = shutil.which("mvn")
    # The build installs Java where it may; nothing of ours can stand in for an independent provider.
    if maven is None or shutil.which("java") is None:
        pytest.skip("Keycloak was not asked: there is no Java and Maven on this machine")
    folder = tmp_path_factory.mktemp("keycloak")
    command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=START_S, check=False)
    said = ended.stdout + ended.stderr
    if ended.returncode != 0 and any(word in said for word in (*UNREACHABLE, "Unknown host", "timed out")):
        pytest.skip("Keycloak was not asked: Maven reaches no package index from here")
    assert ended.returncode == 0, said
    with zipfile.ZipFile(next(folder.glob("*.zip"))) as archive:
        archive.extractall(folder)
    home = folder / f"keycloak-{VERSION}"
    (home / "data" / "import").mkdir(parents=True)
    realm = json.loads((SOURCE / "realm.json").read_bytes())
    (bot,) = (client for client in realm["clients"] if client["clientId"] == "bot")
    bot["secret"] = OF_BOT
    (home / "data" / "import" / "desk-realm.json").write_text(json.dumps(realm), encoding="utf-8")
    return home


class Keycloak:
    def __init__(self, base_url: str, http: httpx.AsyncClient, password: str) -> None:
        self.base_url = base_url
        self.issuer = f"{base_url}/realms/desk"
        self._http = http
        self._password = password

    async def tokens(self, user: str) -> dict[str, str]:
        """What the user's login leads to, through Keycloak's own pages, with PKCE."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": "app",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        openid = f"{self.issuer}/protocol/openid-connect"
        self._http.cookies.clear()
        page = await self._http.get(f"{openid}/auth", params=asked)
        form = re.search(r'action="([^"]+)"', page.text)
        assert form is not None, page.text
        # Its cookies are for secure pages, which this machine's own are to a browser and not to this client.
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in page.cookies.jar)
        login = {"username": user, "password": f"{user}-password"}
        back = await self._http.post(unescape(form[1]), data=login, headers={"cookie": cookies})
        assert back.status_code == 302, back.text
        code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
        redeemed = {
            "grant_type": "authorization_code",
            "client_id": "app",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": verifier,
        }
        answer = await self._http.post(f"{openid}/token", data=redeemed)
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = answer.json()
        return found

    async def token(self, user: str) -> str:
        return (await self.tokens(user))["access_token"]

    async def token_of_program(self) -> str:
        """What a program gets for itself."""
        asked = {"grant_type": "client_credentials", "client_id": "bot", "client_secret": OF_BOT}
        answer = await self._http.post(f"{self.issuer}/protocol/openid-connect/token", data=asked)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def replace_key(self) -> None:
        """A new signing key, and the first one is gone."""
        components = f"{self.base_url}/admin/realms/desk/components"
        fresh = {
            "name": "second",
            "providerId": "ecdsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {
                "ecdsaEllipticCurveKey": ["P-256"],
                "priority": ["200"],
                "enabled": ["true"],
                "active": ["true"],
            },
        }
        headers = await self._as_administrator()
        made = await self._http.post(components, json=fresh, headers=headers)
        assert made.status_code == 201, made.text

    async def drop_first_key(self) -> None:
        components = f"{self.base_url}/admin/realms/desk/components"
        headers = await self._as_administrator()
        listed = await self._http.get(
            components, params={"type": "org.keycloak.keys.KeyProvider"}, headers=headers
        )
        (first,) = (one["id"] for one in listed.json() if one["name"] == "first")
        gone = await self._http.delete(f"{components}/{first}", headers=headers)
        assert gone.status_code == 204, gone.text

    async def _as_administrator(self) -> dict[str, str]:
        asked = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": "admin",
            "password": self._password,
        }
        url = f"{self.base_url}/realms/master/protocol/openid-connect/token"
        answer = await self._http.post(url, data=asked)
        assert answer.status_code == 200, answer.text
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Keycloak]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(16)
    process = await asyncio.create_subprocess_exec(
        "bash",
        str(home / "bin" / "kc.sh"),
        "start-dev",
        "--import-realm",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
        f"--hostname=http://127.0.0.1:{port}",
        env={
            **os.environ,
            "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
            "JAVA_OPTS_KC_HEAP": "-Xmx512m",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=OUTPUT_MAX,
    )
    base_url = f"http://127.0.0.1:{port}"
    drained: asyncio.Task[bytes] | None = None
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            said = await process.stdout.readuntil(b"Listening on: ")
        drained = asyncio.create_task(process.stdout.read())
        assert b"ERROR" not in said, said.decode(errors="replace")
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            yield Keycloak(base_url, http, password)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 60)
        if drained is not None:
            await asyncio.wait_for(drained, 60)


async def seen(here: World, token: str) -> Principal | Refusal:
    found: Principal | Refusal = await here.bearer.authenticate(token)
    return found


def settings(issuer: str, **changes: Any) -> IssuerSettings:
    described = {
        "name": "corp",
        "issuer": issuer,
        "audience": AUDIENCE,
        "tenant": "acme",
        "roles_claim": "realm_access.roles",
        "roles": ROLES,
        # This release calls all its tokens JWT; that an id token is none for us, its audience says.
        "token_types": frozenset({"jwt"}),
        # What a login through its pages is called, where nobody has told it of levels.
        "strong_acr": frozenset({"1"}),
        **changes,
    }
    return IssuerSettings(**described)


@pytest.mark.timeout(2 * START_S)
async def test_keycloaks_logins_roles_and_keys(installed: Path) -> None:
    """One start of Keycloak for everything, because a start is what costs."""
    async with running(installed) as keycloak, http_client() as http:
        clock = MovableClock()
        issuer = ExternalIssuer(settings(keycloak.issuer), http, clock)
        here = await world(clock=clock, issuers=(issuer,))

        # A login, and what its role is here.
        tokens = await keycloak.tokens("alice")
        first = tokens["access_token"]
        alice, walt = await seen(here, first), await seen(here, await keycloak.token("walt"))
        assert isinstance(alice, Principal), alice
        assert isinstance(walt, Principal), walt
        assert (alice.tenant, set(alice.accounts)) == ("acme", {"P-alpha"})
        assert alice.scopes == {Scope.ORDERS_READ, Scope.ORDERS_WRITE}
        assert walt.scopes == {Scope.ORDERS_READ}
        assert alice.client_id.startswith("corp:app:")
        assert alice.client_id != walt.client_id, "two people at one program are two"
        assert here.bearer.stepped_up(alice), "Keycloak told when she logged in"

        # A program of its own account is nobody who logged in.
        bot = await seen(here, await keycloak.token_of_program())
        assert isinstance(bot, Principal), bot
        assert not here.bearer.stepped_up(bot)

        # Its other tokens are none for us.
        for other_token in (tokens["id_token"], tokens["refresh_token"]):
            assert isinstance(await seen(here, other_token), Refusal)

        # The same token where it is for somebody else, or its login is too weak.
        for changes in (
            {"audience": "urn:gateway:live"},
            {"algorithms": frozenset({"PS256"})},
            {"token_types": frozenset({"at+jwt"})},
        ):
            other = ExternalIssuer(settings(keycloak.issuer, **changes), http, clock)
            refused = await seen(await world(clock=clock, issuers=(other,)), first)
            assert isinstance(refused, Refusal)
            assert refused.code is Code.UNAUTHENTICATED
        strict = settings(keycloak.issuer, strong_acr=frozenset({"gold"}))
        weak = await world(clock=clock, issuers=(ExternalIssuer(strict, http, clock),))
        weakly = await seen(weak, first)
        assert isinstance(weakly, Principal)
        assert not weak.bearer.stepped_up(weakly)

        # Another key signs: nothing is restarted, and who was let in stays in.
        await keycloak.replace_key()
        second = await keycloak.token("alice")
        assert second.split(".")[0] != first.split(".")[0]
        clock.advance(COOL_DOWN_S + 1)
        assert isinstance(await seen(here, second), Principal)
        assert isinstance(await seen(here, first), Principal)

        # The first key is gone: what it signed is nothing to whoever has to look.
        await keycloak.drop_first_key()
        clock.advance(FRESH_S + 1)
        unread = await world(clock=clock, issuers=(issuer,))
        gone = await seen(unread, first)
        assert isinstance(gone, Refusal)
        assert gone.code is Code.UNAUTHENTICATED
        assert isinstance(await seen(unread, second), Principal)
