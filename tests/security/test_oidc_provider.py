"""An independent OpenID provider judges our reading of its tokens. Needs npm to fetch it."""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Code, Refusal
from ordergate.security.external import ExternalIssuer, IssuerSettings, http_client
from tests.security.world import SetClock, World, world

pytestmark = pytest.mark.fetches

SOURCE = Path(__file__).parent / "oidc_provider"
AUDIENCE = "urn:gateway:paper"
INSTALL_S = 300

# What npm says when there is no way to an index; whatever else it says is a failure.
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT")


class WallClock(SetClock):
    """The provider has its own clock, so here ours must be the real one."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


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


@asynccontextmanager
async def provider(folder: Path, algorithm: str) -> AsyncIterator[tuple[str, str]]:
    """The provider's issuer and the secret of its client."""
    secret = secrets.token_urlsafe(32)
    process = await asyncio.create_subprocess_exec(
        "node",
        "provider.mjs",
        cwd=folder,
        env={**os.environ, "AUDIENCE": AUDIENCE, "ALGORITHM": algorithm, "CLIENT_SECRET": secret},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = await asyncio.wait_for(process.stdout.readline(), 60)
        yield json.loads(told)["issuer"], secret
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


async def ask(folder: Path, algorithm: str, audience: str = AUDIENCE) -> tuple[World, Principal | Refusal]:
    async with provider(folder, algorithm) as (issuer, secret), http_client() as http:
        clock = WallClock()
        settings = IssuerSettings(name="corp", issuer=issuer, audience=audience, tenant="acme")
        here = await world(clock=clock, issuers=(ExternalIssuer(settings, http, clock),))
        form = {"grant_type": "client_credentials", "scope": "orders:read"}
        granted = await http.post(f"{issuer}/token", data=form, auth=httpx.BasicAuth("desk", secret))
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


@pytest.mark.timeout(INSTALL_S + 120)
@pytest.mark.parametrize(("algorithm", "audience"), [("RS256", AUDIENCE), ("ES256", "urn:gateway:live")])
async def test_its_weak_algorithm_and_its_tokens_for_others_are_refused(
    installed: Path, algorithm: str, audience: str
) -> None:
    _, refusal = await ask(installed, algorithm, audience)

    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.UNAUTHENTICATED
