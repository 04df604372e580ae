"""An independent OpenID provider judges our reading of its tokens and logins. Needs npm to fetch it."""

import asyncio
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Code, Refusal
from ordergate.security.external import COOL_DOWN_S, FRESH_S, ExternalIssuer, IssuerSettings, http_client
from tests.security.world import SetClock, World, world

pytestmark = pytest.mark.fetches

SOURCE = Path(__file__).parent / "oidc_provider"
AUDIENCE = "urn:gateway:paper"
BACK = "http://127.0.0.1:9/back"
ROLES = {
    "trader": frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
    "watcher": frozenset({Scope.ORDERS_READ}),
}
INSTALL_S = 300

# What npm says when there is no way to an index; whatever else it says is a failure.
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT")


class WallClock(SetClock):
    """The provider has its own clock, so ours is the real one; what is remembered can still be made old."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() + self.passed


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's folder with its packages in it, exactly those of the lock file."""
    npm = shutil.which("npm")
    # The build installs npm where it may; nothing of ours can stand in for an independent provider.
    if npm is None or shutil.which("node") is None:
        pytest.skip("the independent OpenID provider was not asked: there is no npm on this machine")
    folder = tmp_path_factory.mktemp("provider")
    for file in SOURCE.iterdir():
        shutil.copy(file, folder / file.name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    if any(word in ended.stderr for word in UNREACHABLE):
        pytest.skip("the independent OpenID provider was not asked: npm reaches no package index from here")
    assert ended.returncode == 0, ended.stderr
    return folder


class Provider:
    """A provider that runs: its issuer, the secret of its client, and its people's logins."""

    def __init__(self, process: asyncio.subprocess.Process, issuer: str, secret: str) -> None:
        self.issuer = issuer
        self.secret = secret
        self._process = process

    async def tokens(self, user: str) -> dict[str, str]:
        """What the user's login leads to, through the provider's redirects and a page, with PKCE."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": "app",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid orders:read orders:write",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        async with httpx.AsyncClient(timeout=60, trust_env=False) as browser:
            page = await browser.get(f"{self.issuer}/auth", params=asked, follow_redirects=True)
            form = re.search(r'action="([^"]+)"', page.text)
            assert form is not None, page.text
            login = {"username": user, "password": f"{user}-password"}
            answer = await browser.post(urljoin(self.issuer, form[1]), data=login)
            assert answer.status_code == 303, answer.text
            sent = await browser.get(answer.headers["location"])
            assert sent.headers["location"].startswith(f"{BACK}?"), sent.headers
            told = parse_qs(urlsplit(sent.headers["location"]).query)
            assert told["iss"] == [self.issuer]
            redeemed = {
                "grant_type": "authorization_code",
                "client_id": "app",
                "code": told["code"][0],
                "redirect_uri": BACK,
                "code_verifier": verifier,
            }
            granted = await browser.post(f"{self.issuer}/token", data=redeemed)
        assert granted.status_code == 200, granted.text
        found: dict[str, str] = granted.json()
        return found

    async def token(self, user: str) -> str:
        return (await self.tokens(user))["access_token"]

    async def do(self, what: str) -> None:
        """`rotate`: another key signs, and the first is published beside it; `drop`: it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n".encode())
        async with asyncio.timeout(60):  # it warns of what is for development, too
            while await self._line() != f'{{"done":"{what}"}}\n'.encode():
                pass

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


@asynccontextmanager
async def provider(folder: Path, algorithm: str) -> AsyncIterator[Provider]:
    secret = secrets.token_urlsafe(32)
    process = await asyncio.create_subprocess_exec(
        "node",
        "provider.mjs",
        cwd=folder,
        env={
            **os.environ,
            "AUDIENCE": AUDIENCE,
            "ALGORITHM": algorithm,
            "BACK": BACK,
            "CLIENT_SECRET": secret,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = await asyncio.wait_for(process.stdout.readline(), 60)
        yield Provider(process, json.loads(told)["issuer"], secret)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


async def ask(folder: Path, algorithm: str, audience: str = AUDIENCE) -> tuple[World, Principal | Refusal]:
    async with provider(folder, algorithm) as idp, http_client() as http:
        clock = WallClock()
        settings = IssuerSettings(
            name="corp",
            issuer=idp.issuer,
            audience=audience,
            tenant="acme",
            strong_acr=frozenset({"gold"}),
        )
        here = await world(clock=clock, issuers=(ExternalIssuer(settings, http, clock),))
        form = {"grant_type": "client_credentials", "scope": "orders:read"}
        login = httpx.BasicAuth("desk", idp.secret)
        granted = await http.post(f"{idp.issuer}/token", data=form, auth=login)
        assert granted.status_code == 200, granted.text
        return here, await here.bearer.authenticate(granted.json()["access_token"])


@pytest.mark.timeout(INSTALL_S + 120)
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
async def test_a_token_of_an_independent_provider_is_understood(installed: Path, algorithm: str) -> None:
    here, principal = await ask(installed, algorithm)

    assert isinstance(principal, Principal)
    assert principal.client_id == "corp:desk"
    assert principal.scopes == {Scope.ORDERS_READ}
    assert list(principal.accounts) == ["P-alpha"]
    assert here.bearer.still_valid(principal)
    assert not here.bearer.stepped_up(principal), "nobody has logged in"


@pytest.mark.timeout(INSTALL_S + 120)
@pytest.mark.parametrize(("algorithm", "audience"), [("RS256", AUDIENCE), ("ES256", "urn:gateway:live")])
async def test_its_weak_algorithm_and_its_tokens_for_others_are_refused(
    installed: Path, algorithm: str, audience: str
) -> None:
    _, refusal = await ask(installed, algorithm, audience)

    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.UNAUTHENTICATED


@pytest.mark.timeout(INSTALL_S + 120)
async def test_logins_roles_and_keys_of_an_independent_provider(installed: Path) -> None:
    async with provider(installed, "ES256") as idp, http_client() as http:
        clock = WallClock()
        settings = IssuerSettings(
            name="corp",
            issuer=idp.issuer,
            audience=AUDIENCE,
            tenant="acme",
            roles_claim="desk.roles",
            roles=ROLES,
            strong_acr=frozenset({"gold"}),
        )
        here = await world(clock=clock, issuers=(ExternalIssuer(settings, http, clock),))

        # A login, and what its role is here.
        tokens = await idp.tokens("alice")
        first = tokens["access_token"]
        alice, walt = [await here.bearer.authenticate(t) for t in (first, await idp.token("walt"))]
        assert isinstance(alice, Principal), alice
        assert isinstance(walt, Principal), walt
        assert (alice.tenant, alice.subject, set(alice.accounts)) == ("acme", "corp:alice", {"P-alpha"})
        assert (alice.scopes, walt.scopes) == (ROLES["trader"], ROLES["watcher"])
        assert (alice.client_id, walt.client_id) == ("corp:app:alice", "corp:app:walt")
        assert here.bearer.stepped_up(alice), "it told when she logged in, and that it was gold"
        assert not here.bearer.stepped_up(walt), "his was tin"
        assert isinstance(await here.bearer.authenticate(tokens["id_token"]), Refusal)

        # Another key signs: nothing of ours is restarted, and who was let in stays in.
        await idp.do("rotate")
        second = await idp.token("alice")
        assert second.split(".")[0] != first.split(".")[0]
        clock.advance(COOL_DOWN_S + 1)
        assert isinstance(await here.bearer.authenticate(second), Principal)
        assert here.bearer.still_valid(alice)

        # The first key is gone: what it signed is nothing any more, to us as to whoever has to look.
        await idp.do("drop")
        clock.advance(FRESH_S + 1)
        newer = await idp.token("alice")
        assert isinstance(await here.bearer.authenticate(newer), Principal)
        assert not here.bearer.still_valid(alice)
        elsewhere = await world(clock=clock, issuers=(ExternalIssuer(settings, http, clock),))
        for gateway in (here, elsewhere):
            gone = await gateway.bearer.authenticate(first)
            assert isinstance(gone, Refusal)
            assert gone.code is Code.UNAUTHENTICATED
            assert isinstance(await gateway.bearer.authenticate(second), Principal)
