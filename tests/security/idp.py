"""A small identity provider on a real socket, made with joserfc, that can also misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from joserfc.jwk import ECKey, Key

from tests.security.world import forge

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """`discovery` and `jwks` may be replaced by a test; `asked` lists the paths that were fetched."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys: dict[str, Key] = {}
        self.asked: list[str] = []
        self.discovery: Handler | None = None
        self.jwks: Handler | None = None
        self.changes: dict[str, Any] = {}
        self.down = False

    def new_key(self, kid: str) -> ECKey:
        key = ECKey.generate_key("P-256", private=True)
        self.keys[kid] = key
        return key

    def token(self, claims: dict[str, Any], *, kid: str = "k1", key: Key | None = None, **header: Any) -> str:
        head = {"alg": "ES256", "typ": "at+jwt", "kid": kid, **header}
        return forge(head, {"iss": self.issuer, **claims}, key or self.keys[kid])

    async def serve_discovery(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.down:
            return web.Response(status=503)
        if self.discovery is not None:
            return await self.discovery(request)
        document = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **self.changes}
        return web.json_response(document)

    async def serve_keys(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.jwks is not None:
            return await self.jwks(request)
        keys = [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]
        return web.Response(body=json.dumps({"keys": keys}), content_type="application/jwk-set+json")


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    made.new_key("k1")
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.serve_discovery)
    app.router.add_get("/keys", made.serve_keys)
    async with served(app) as url:
        made.issuer = url
        yield made


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The application on a free port of the loopback interface; its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await asyncio.wait_for(runner.cleanup(), 10)
