"""Where a stream begins: who may open one at all, before the socket is upgraded."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from ordergate.api.bearer import Bearer, challenge
from ordergate.api.deps import Deps
from ordergate.api.edge import peer_of
from ordergate.api.exchange import CORRELATION_KEY, HEADERS_KEY, refused
from ordergate.api.measures import Measures
from ordergate.api.protocols import SOCKET_KEY
from ordergate.api.stream.actions import Limits, Send
from ordergate.api.stream.connection import Connection
from ordergate.api.stream.hub import Hub
from ordergate.api.stream.session import Session
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal


class StreamEndpoint:
    def __init__(self, deps: Deps, hub: Hub, bearer: Bearer, measures: Measures) -> None:
        self._deps = deps
        self._hub = hub
        self._bearer = bearer
        self._measures = measures
        self._commands: set[asyncio.Task[Send]] = set()
        self._sessions_of: dict[tuple[str, str], int] = {}
        bounds = deps.bounds
        self._limits = Limits(
            messages=bounds.stream_messages,
            commands_in_flight_max=bounds.stream_commands_in_flight_max,
            subscriptions_max=bounds.stream_subscriptions_max,
            symbols_max=bounds.stream_symbols_max,
            login_s=bounds.stream_login_s,
            heartbeat_s=bounds.heartbeat_s,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        principal = await self._admitted(scope)
        if isinstance(principal, Refusal):
            correlation: str = scope[CORRELATION_KEY]
            await refused(principal, correlation, challenge(principal))(scope, receive, send)
            return
        await receive()  # the handshake, which has arrived before the application was called
        await send({"type": "websocket.accept"})
        key = None if principal is None else (principal.tenant, principal.client_id)
        if key is not None:
            self._sessions_of[key] = self._sessions_of.get(key, 0) + 1
        self._deps.metrics.stream_clients.inc()
        try:
            await self._connection(scope).run(receive, principal)
        finally:
            self._deps.metrics.stream_clients.dec()
            if key is not None:
                self._sessions_of[key] -= 1
                if not self._sessions_of[key]:
                    del self._sessions_of[key]

    async def _admitted(self, scope: Scope) -> Principal | Refusal | None:
        """The principal, None for one who will send a token as its first frame, or why not."""
        headers: dict[bytes, bytes] = scope[HEADERS_KEY]
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in self._deps.bounds.origins:
            return Refusal(Code.FORBIDDEN, "pages of this origin may not open a stream")
        if SOCKET_KEY not in scope["extensions"]:
            return Refusal(Code.UNAVAILABLE, "this server was started without its own WebSocket protocol")
        if self._hub.sessions >= self._deps.bounds.stream_sessions_max:
            return Refusal(Code.UNAVAILABLE, "too many streams are open")
        authorization = headers.get(b"authorization")
        if authorization is None:
            return None
        found = await self._bearer.principal(authorization, peer_of(scope))
        if isinstance(found, Refusal):
            return found
        if self._sessions_of.get((found.tenant, found.client_id), 0) >= self._of_one_max:
            return Refusal(Code.RATE_LIMITED, "this client has too many streams open")
        return found

    @property
    def _of_one_max(self) -> int:
        return self._deps.bounds.stream_sessions_of_principal_max

    def _connection(self, scope: Scope) -> Connection:
        socket: Any = scope["extensions"][SOCKET_KEY]
        session = Session(
            env=self._deps.env,
            name=scope[CORRELATION_KEY],
            limits=self._limits,
            symbols=self._deps.instruments,
            opened_at=self._deps.clock.monotonic(),
        )
        connection = Connection(
            self._deps,
            self._hub,
            session,
            socket,
            bearer=self._bearer,
            measures=self._measures,
            peer=peer_of(scope),
            commands=self._commands,
        )
        socket.on_relief = connection.flush
        return connection
