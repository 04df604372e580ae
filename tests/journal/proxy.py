"""A wire to PostgreSQL that can be cut at an exact moment."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Self


class Cut(StrEnum):
    """Where the next answer is lost. Only after `ANSWERED` is it certain what the server did."""

    BEFORE_REQUEST = "before the request is forwarded"
    AFTER_REQUEST = "after the request is forwarded"
    ANSWERED = "after the server answered"


class Proxy:
    """Listens on loopback and forwards to the server's socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._plan: Cut | None = None
        self._countdown = 0
        self.cuts = 0
        self.refusing = False
        self.seen = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        await self._server.wait_closed()

    def dsn(self, database: str) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://ordergate@127.0.0.1:{port}/{database}?sslmode=disable"

    def cut(self, where: Cut, *, after: int = 0) -> None:
        """Cut once, when `after` more requests have gone through."""
        self._plan, self._countdown = where, after

    def calm(self) -> None:
        """Cut no more."""
        self._plan = None

    def drop_all(self) -> None:
        """Cut every wire now."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.refusing:
                await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        back = asyncio.create_task(_copy(server_reader, writer))
        try:
            while data := await reader.read(1 << 20):
                plan = self._due()
                if plan is Cut.BEFORE_REQUEST:
                    return
                if plan is Cut.ANSWERED:
                    back.cancel()
                    await asyncio.wait({back})
                server_writer.write(data)
                await server_writer.drain()
                if plan is Cut.ANSWERED:
                    await asyncio.wait_for(server_reader.read(1 << 20), timeout=10)
                if plan is not None:
                    return
        finally:
            back.cancel()
            await asyncio.wait({back})
            server_writer.close()

    def _due(self) -> Cut | None:
        if self._plan is None:
            return None
        if self._countdown > 0:
            self._countdown -= 1
            return None
        plan, self._plan = self._plan, None
        self.cuts += 1
        self.seen.set()
        return plan


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 20):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    writer.transport.abort()
