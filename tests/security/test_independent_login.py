"""An independent OAuth client judges our login of people: discovery, PAR, PKCE, `iss`, DPoP, refresh."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from aiohttp import web

from ordergate.core.access import Principal
from ordergate.core.refusals import Code
from ordergate.ports.identity import Shown
from tests.security.idp import served
from tests.security.test_independent_client import mounted
from tests.security.test_oidc_provider import INSTALL_S, WallClock, installed
from tests.security.visitor import BACK, Visitor, visitor
from tests.security.world import World, world

pytestmark = pytest.mark.fetches

__all__ = ["installed"]

RESOURCE = "/v1/accounts"


async def resource(here: World, request: web.Request) -> web.Response:
    """A protected resource, as the API is one."""
    scheme, _, token = request.headers["authorization"].partition(" ")
    shown = Shown(
        dpop=scheme == "DPoP", method=request.method, path=request.path, proof=request.headers["dpop"]
    )
    found = await here.bearer.authenticate(token, shown)
    if isinstance(found, Principal):
        return web.Response(status=200)
    wanted = "use_dpop_nonce" if found.code is Code.PROOF_NONCE else "invalid_dpop_proof"
    headers = {"www-authenticate": f'DPoP error="{wanted}"', "dpop-nonce": here.bearer.nonce()}
    return web.Response(status=401, headers=headers)


async def sent_back(alice: Visitor, where: str) -> str:
    """Alice opens the page, logs in, allows, and her browser is sent back."""
    assert (await alice.follow(where.partition("?")[2])).status == 200
    assert (await alice.log_in()).status == 200
    return (await alice.decide()).headers["location"]


@pytest.mark.timeout(INSTALL_S + 120)
async def test_an_independent_client_logs_a_person_in(installed: Path) -> None:  # a fixture
    worlds: list[World] = []
    async with served(app_of(worlds)) as url:
        here = await world(base_url=url, clock=WallClock())
        worlds.append(here)
        alice = await visitor(here)
        process = await asyncio.create_subprocess_exec(
            "node",
            "client.mjs",
            cwd=installed,
            env={
                **os.environ,
                "ISSUER": url,
                "CLIENT_ID": "app",
                "REDIRECT_URI": BACK,
                "RESOURCE": url + RESOURCE,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
            assert line, (await process.stderr.read()).decode()
            back = await sent_back(alice, json.loads(line)["open"])
            process.stdin.write(json.dumps({"back": back}).encode() + b"\n")
            said = await process.stdout.readline()
            assert said, (await process.stderr.read()).decode()
            await process.wait()

    assert json.loads(said) == {
        "type": "dpop",
        "scope": "orders:read",
        "replaced": True,
        "status": 200,
        "revoked": 200,
        "servers": [url],
    }


def app_of(worlds: list[World]) -> web.Application:
    """The endpoints of the world that is there by the time one is asked: its issuer is our own address."""

    async def dispatch(request: web.Request) -> web.StreamResponse:
        (here,) = worlds
        if request.path == RESOURCE:
            return await resource(here, request)
        endpoint = next(one for one in here.security.endpoints() if one.path == request.path)
        answer: web.StreamResponse = await mounted(endpoint)(request)
        return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", dispatch)
    return app
