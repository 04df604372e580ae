"""Servers that do exactly what a test tells them, down to the byte."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.brokers.world import WAIT_S

Json = dict[str, Any] | list[Any]
# What a server does with one request: it may write, hang until the test ends, or cut the line.
Act = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request as it arrived, and the line to answer on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    over: asyncio.Event

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ByteServer:
    """Plays one act per request; the last one is played for all that follow."""

    acts: list[Act] = field(default_factory=list)
    seen: list[Exchange] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def play(self, *acts: Act) -> None:
        self.acts[:] = acts

    def paths(self) -> list[str]:
        return [f"{it.method} {it.path}" for it in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await self._request(reader, writer)) is not None:
                async with self._more:
                    self.seen.append(request)
                    self._more.notify_all()
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                await act(request)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Exchange(method, path, headers, body, writer, self._over)

    async def reached(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.seen) >= count)

    async def stop(self) -> None:
        self._over.set()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def byte_server(*acts: Act) -> AsyncIterator[ByteServer]:
    server = ByteServer(list(acts))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# -- acts


def raw(answer: bytes) -> Act:
    """Exactly these bytes, and the line stays open."""

    async def act(exchange: Exchange) -> None:
        exchange.writer.write(answer)

    return act


def says(status: int, body: Json | bytes | None = None, **headers: str) -> Act:
    """A complete answer; JSON unless a content type is given."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Type": "application/json", "Content-Length": str(len(content))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in named.items())
    return raw(head.encode() + b"\r\n" + content)


def then_cuts(act: Act) -> Act:
    async def cut(exchange: Exchange) -> None:
        await act(exchange)
        await exchange.writer.drain()
        exchange.writer.close()

    return cut


async def hangs(exchange: Exchange) -> None:
    """Say nothing until the test is over."""
    await exchange.over.wait()


async def resets(exchange: Exchange) -> None:
    """Cut the line without an answer."""
    exchange.writer.transport.abort()


async def all_ended(server: asyncio.Server) -> None:
    """Wait for connections that nobody holds any more, also for one whose handshake is being refused.

    One that has just come is no connection of the server's for its first turns.
    """
    still = 0
    async with asyncio.timeout(WAIT_S):
        while still < 10:
            await asyncio.sleep(0)
            still = 0 if getattr(server, "_active_count", 0) else still + 1
