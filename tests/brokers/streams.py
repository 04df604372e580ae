"""A WebSocket server that plays one scene per connection."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.brokers.world import WAIT_S

Scene = Callable[["Stage"], Awaitable[None]]


@dataclass
class Stage:
    """One connection, as the server sees it."""

    socket: web.WebSocketResponse
    request: web.Request
    heard: list[Any]
    over: asyncio.Event

    async def hear(self) -> Any:
        """The next message of the client, as JSON."""
        message = await self.socket.receive(timeout=WAIT_S)
        assert message.type is WSMsgType.TEXT, message
        self.heard.append(json.loads(message.data))
        return self.heard[-1]

    async def say(self, document: Any, *, binary: bool = False) -> None:
        await self.say_text(json.dumps(document), binary=binary)

    async def say_text(self, text: str, *, binary: bool = False) -> None:
        """Exactly this text, whether it is JSON or not."""
        await (self.socket.send_bytes(text.encode()) if binary else self.socket.send_str(text))

    async def stay(self) -> None:
        """Keep the line open and silent, answering pings, until the test or the client ends it."""
        over = asyncio.ensure_future(self.over.wait())
        reading = asyncio.ensure_future(self._read())
        await asyncio.wait((over, reading), return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        reading.cancel()

    async def freeze(self) -> None:
        """Keep the line open and answer nothing, pings included."""
        await self.over.wait()

    def abort(self) -> None:
        assert self.request.transport is not None
        self.request.transport.abort()

    async def _read(self) -> None:
        async for message in self.socket:
            self.heard.append(message.data)


@dataclass
class StreamServer:
    """Plays the scenes in order, the last one for every connection that follows."""

    scenes: list[Scene]
    heard: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        self.paths.append(request.path)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        scene = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        await scene(Stage(socket, request, self.heard, self.over))
        await socket.close()
        return socket


@asynccontextmanager
async def stream_server(*scenes: Scene, tls: ssl.SSLContext | None = None) -> AsyncIterator[StreamServer]:
    server = StreamServer(list(scenes))
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    place = f"127.0.0.1:{runner.addresses[0][1]}"
    server.url = f"http://{place}" if tls is None else f"https://localhost:{place.rpartition(':')[2]}"
    try:
        yield server
    finally:
        server.over.set()
        await runner.cleanup()
