"""Others judge us: Authlib's client talks to our endpoints over HTTP, and its validator reads our tokens."""

import json
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ordergate.security.authorization_server import Endpoint
from ordergate.security.oauth_requests import Received
from tests.security.idp import served
from tests.security.world import SetClock, World, world

with warnings.catch_warnings():
    # Authlib would like its client to speak through another HTTP library by now.
    warnings.simplefilter("ignore")
    from authlib.integrations.httpx_client import AsyncOAuth2Client


def mounted(endpoint: Endpoint) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        received = Received(
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            peer=request.remote or "",
        )
        answer = await endpoint.call(received)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    return handle


@asynccontextmanager
async def over_http() -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    """Our endpoints on a real socket; the issuer is the socket's own address."""
    calls: dict[str, Callable[[web.Request], Any]] = {}

    async def dispatch(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await calls[request.path](request)
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", dispatch)
    async with served(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        here = await world(base_url=url, clock=SetClock())
        calls.update((endpoint.path, mounted(endpoint)) for endpoint in here.security.endpoints())
        yield here, http


def client(here: World, method: str) -> AsyncOAuth2Client:
    return AsyncOAuth2Client(
        "desk", here.secret.reveal(), token_endpoint_auth_method=method, scope="orders:read", trust_env=False
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_an_oauth_client_discovers_gets_uses_and_revokes_a_token(method: str) -> None:
    async with over_http() as (here, http):
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
        AuthorizationServerMetadata(found).validate()

        async with client(here, method) as session:
            token = await session.fetch_token(found["token_endpoint"], grant_type="client_credentials")
            assert token["scope"] == "orders:read"
            assert here.security.bearer.own(token["access_token"]) is not None
            seen = await session.introspect_token(
                found["introspection_endpoint"], token=token["access_token"]
            )
            assert seen.json()["active"] is True
            revoked = await session.revoke_token(found["revocation_endpoint"], token=token["access_token"])
            assert revoked.status_code == 200
            seen = await session.introspect_token(
                found["introspection_endpoint"], token=token["access_token"]
            )
            assert seen.json() == {"active": False}


async def test_a_verifier_with_only_our_documents_accepts_our_token_and_no_other() -> None:
    async with over_http() as (here, http):
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
        keys = KeySet.import_key_set((await http.get(found["jwks_uri"])).json())
        token = await here.token()
        await here.security.signer.rotate()

        registry = jwt.JWTClaimsRegistry(
            now=here.clock.epoch,
            iss={"essential": True, "value": found["issuer"]},
            aud={"essential": True, "value": f"{found['issuer']}/paper"},
            exp={"essential": True},
        )
        seen = jwt.decode(token, keys, algorithms=["ES256"])
        registry.validate(seen.claims)
        with pytest.raises(JoseError):
            jwt.decode(await here.token(), keys, algorithms=["ES256"])
        later = KeySet.import_key_set((await http.get(found["jwks_uri"])).json())
        registry.validate(jwt.decode(await here.token(), later, algorithms=["ES256"]).claims)
        registry.validate(jwt.decode(token, later, algorithms=["ES256"]).claims)


async def test_every_answer_of_the_endpoints_is_json_and_is_not_stored_when_it_may_hold_a_token() -> None:
    async with over_http() as (here, http):
        login = {"client_id": "desk", "client_secret": here.secret.reveal()}
        for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
            for form in (login, {**login, "grant_type": "client_credentials"}, {}, {"client_id": "desk"}):
                answer = await http.post(path, data=form)
                assert answer.headers["cache-control"] == "no-store"
                assert isinstance(json.loads(answer.content), dict)
