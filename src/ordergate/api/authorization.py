"""Mounts the authorization server's endpoints, which know nothing of the web framework."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ordergate.api.deps import Asked, AuthorizationEndpoint, Bounds
from ordergate.api.edge import peer_of
from ordergate.api.exchange import CERTIFICATE_KEY, ROUTE_KEY, Call, Reply, refused
from ordergate.core.refusals import Refusal


class AuthorizationRoute(Route):
    def __init__(self, endpoint: AuthorizationEndpoint, bounds: Bounds) -> None:
        if not endpoint.path.startswith(("/oauth/", "/.well-known/")):
            raise ValueError(f"{endpoint.path} is not a path of an authorization server")
        super().__init__(endpoint.path, _Endpoint(endpoint, bounds), methods=list(endpoint.methods))
        self.methods = set(endpoint.methods)


class _Endpoint:
    def __init__(self, endpoint: AuthorizationEndpoint, bounds: Bounds) -> None:
        self._endpoint = endpoint
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE_KEY] = self._endpoint.path
        call = Call(scope, receive)
        body = await call.body(self._bounds)
        if isinstance(body, Refusal):
            await refused(body, call.correlation)(scope, receive, send)
            return
        told = await self._endpoint.call(_asked(call, body))
        headers = [(name.lower().encode(), value.encode()) for name, value in told.headers.items()]
        kind = next((value for name, value in headers if name == b"content-type"), b"application/json")
        rest = [(name, value) for name, value in headers if name not in (b"content-type", b"content-length")]
        await Reply(told.status, told.body, rest, kind)(scope, receive, send)


def _asked(call: Call, body: bytes) -> Asked:
    scope = call.scope
    return Asked(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()},
        body=body,
        peer=peer_of(scope),
        certificate=(scope.get("extensions") or {}).get(CERTIFICATE_KEY),
    )
