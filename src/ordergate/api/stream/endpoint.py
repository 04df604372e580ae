"""Where a stream begins: who may open one at all, before the socket is upgraded."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive, Scope
from starlette.types import Send as AsgiSend

from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.edge import peer_of
from ordergate.api.exchange import CORRELATION_KEY, HEADERS_KEY, refused
from ordergate.api.measures import Measures
from ordergate.api.places import Place, Places
from ordergate.api.protocols import SOCKET_KEY
from ordergate.api.stream.actions import Limits, Send
from ordergate.api.stream.connection import Connection
from ordergate.api.stream.guest import Guest
from ordergate.api.stream.hub import Hub
from ordergate.api.stream.session import Session
from ordergate.api.stream.tickets import Tickets
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal


class StreamEndpoint:
    def __init__(self, deps: Deps, hub: Hub, door: Door, measures: Measures, tickets: Tickets) -> None:
        self._deps = deps
        self._hub = hub
        self._bearer = door.bearer
        self._charge = door.meter.take
        self._measures = measures
        self._tickets = tickets
        self._commands: set[asyncio.Task[Send]] = set()
        self._places = Places(deps.bounds.streams)
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
        place = self._place(scope)
        if isinstance(place, Refusal):
            await self._refuse(place, scope, receive, send)
            return
        try:
            principal = await self._admitted(scope, place)
            if isinstance(principal, Refusal):
                place.leave()
                await self._refuse(principal, scope, receive, send)
            else:
                await self._open(scope, receive, send, place, principal)
        finally:
            place.leave()

    async def _open(
        self, scope: Scope, receive: Receive, send: AsgiSend, place: Place, principal: Principal | None
    ) -> None:
        await receive()  # the handshake, which has arrived before the application was called
        await send({"type": "websocket.accept"})
        self._deps.metrics.stream_clients.inc()
        guest = Guest(self._bearer, self._tickets, scope, place.admit, principal)
        try:
            await self._connection(scope, guest).run(receive, principal)
        finally:
            self._deps.metrics.stream_clients.dec()

    async def _refuse(self, no: Refusal, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        correlation: str = scope[CORRELATION_KEY]
        await refused(no, correlation, self._bearer.challenge(no))(scope, receive, send)

    def _place(self, scope: Scope) -> Place | Refusal:
        """Room for a stream that may be opened from there."""
        headers: dict[bytes, bytes] = scope[HEADERS_KEY]
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in self._deps.bounds.origins:
            return Refusal(Code.FORBIDDEN, "pages of this origin may not open a stream")
        if SOCKET_KEY not in scope["extensions"]:
            return Refusal(Code.UNAVAILABLE, "this server was started without its own WebSocket protocol")
        return self._places.enter(peer_of(scope))

    async def _admitted(self, scope: Scope, place: Place) -> Principal | Refusal | None:
        """The principal, None for one who will log in by its first frame, or why not."""
        headers: dict[bytes, bytes] = scope[HEADERS_KEY]
        if b"authorization" not in headers:
            return place.wait_for_login()
        found = await self._bearer.principal(scope, peer_of(scope))
        return found if isinstance(found, Refusal) else place.admit(found) or found

    def _connection(self, scope: Scope, guest: Guest) -> Connection:
        socket: Any = scope["extensions"][SOCKET_KEY]
        session = Session(
            env=self._deps.env,
            name=scope[CORRELATION_KEY],
            limits=self._limits,
            symbols=self._deps.instruments,
            charge=self._charge,
            opened_at=self._deps.clock.monotonic(),
        )
        connection = Connection(
            self._deps,
            self._hub,
            session,
            socket,
            guest=guest,
            measures=self._measures,
            commands=self._commands,
        )
        socket.on_relief = connection.flush
        return connection
