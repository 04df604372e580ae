"""A real server for these tests: uvicorn with our protocols on a port of its own, in this loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
import uvicorn
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.protocols import server_options
from tests.api.people import TRADER

PATIENCE_S = 10.0


class Served:
    def __init__(self, port: int, deps: ApiDeps, admin_port: int = 0) -> None:
        self.port = port
        self.admin_url = f"http://127.0.0.1:{admin_port}"
        self.deps = deps
        self.base_url = f"http://127.0.0.1:{port}"
        self.stream_url = f"ws://127.0.0.1:{port}/v1/stream"

    def client(self, token: str | None = TRADER) -> httpx.AsyncClient:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=PATIENCE_S)

    @asynccontextmanager
    async def stream(self, token: str | None = TRADER, **options: Any) -> AsyncIterator[Talk]:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        options.setdefault("max_size", None)
        async with connect(self.stream_url, additional_headers=headers, **options) as socket:
            yield Talk(socket)

    async def raw(self, request: bytes) -> bytes:
        """Bytes in, everything that comes back out; the server ends the connection or we do."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(PATIENCE_S):
                answer = await reader.readuntil(b"\r\n\r\n")
                return answer + await _rest(reader, answer)
        finally:
            writer.close()


class Talk:
    """A stream's client: sends objects, and waits for what it is told to wait for."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send(msgspec.json.encode(frame).decode())

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            text = await self.socket.recv()
        found: dict[str, Any] = msgspec.json.decode(text)
        return found

    async def until(self, type_: str, **having: Any) -> dict[str, Any]:
        """The next frame of this type; those before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = await self.next()
                if frame["type"] == type_ and having.items() <= frame.items():
                    return frame

    async def closed(self) -> tuple[int, str]:
        """The code and reason that the server closed with."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        close = self.socket.protocol.close_rcvd
        assert close is not None
        return close.code, close.reason


@asynccontextmanager
async def serving(
    deps: ApiDeps, *, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app, port: int = 0, **more: Any
) -> AsyncIterator[Served]:
    app = create_app(deps)
    async with AsyncExitStack() as stack:
        main_port = await stack.enter_async_context(_listening(wrap(app), more, port))
        apart = app.administration
        admin_port = 0 if apart is None else await stack.enter_async_context(_listening(apart, more, 0))
        stack.callback(deps.hub.shut_down)
        yield Served(main_port, deps, admin_port)


@asynccontextmanager
async def _listening(app: ASGIApp, more: Mapping[str, Any], port: int) -> AsyncIterator[int]:
    options = server_options() | {"loop": "none"} | dict(more)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, **options))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown()


async def _rest(reader: asyncio.StreamReader, head: bytes) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.split(b":")[1]))
    return b""
