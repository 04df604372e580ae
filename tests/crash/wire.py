"""A wire that can be made bad while it is in use: slow, narrow, chopped, half dead, cut in the middle.

Stands on loopback between any two processes and forwards bytes, both ways, through whatever its
two directions suffer at that moment. It knows nothing of what it carries.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from random import Random
from typing import Final, Self

import msgspec

from tests.e2e.pacing import PACE

READ_BYTES: Final = 1 << 16
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of nothing: closing tells the other side at once


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What one direction suffers. Nothing of it, unless said.

    `latency_s` and up to `jitter_s` more before each piece; `bytes_per_s` at most; pieces of at most
    `slice_bytes`; `reset` is the chance that a piece is forwarded half and the connection then
    reset; `swallow` lets the connection stand and everything in it vanish.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: int | None = None
    slice_bytes: int | None = None
    reset: float = 0.0
    swallow: bool = False


NONE: Final = Trouble()
Target = Path | tuple[str, int]


class Cut(Exception):
    """The wire breaks here."""


class Wire:
    """Set `target` before the first connection. `up` is from whoever connects, `down` to it."""

    def __init__(self, seed: int) -> None:
        self.target: Target | None = None
        self.up = self.down = NONE
        self.refusing = False
        self.struck = 0
        self._chance = Random(seed)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def suffer(self, *, up: Trouble = NONE, down: Trouble = NONE) -> None:
        self.up, self.down = up, down

    def heal(self) -> None:
        """Good from now on; what hangs in swallowed connections is cut, as both sides would find out."""
        hung = self.up.swallow or self.down.swallow
        self.up = self.down = NONE
        self.refusing = False
        if hung:
            self.cut()

    def cut(self) -> None:
        """Reset every connection now."""
        for writer in tuple(self._open):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            if self.refusing:
                self.struck += 1
                return
            await self._between(reader, writer)
        except OSError:
            return
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            _reset(writer)

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._reach()
        self._open.add(far_writer)
        ways = [
            asyncio.create_task(self._carry(reader, far_writer, upward=True)),
            asyncio.create_task(self._carry(far_reader, writer, upward=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(far_writer)
            _reset(far_writer)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self.target is not None
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(*self.target)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upward: bool
    ) -> None:
        dead = False
        try:
            while data := await reader.read(READ_BYTES):
                trouble = self.up if upward else self.down
                self.struck += trouble is not NONE
                dead = dead or trouble.swallow
                if not dead:
                    await self._forward(data, writer, trouble)
        except (OSError, Cut):
            return

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, trouble: Trouble) -> None:
        if trouble.latency_s or trouble.jitter_s:
            await PACE.sleep(trouble.latency_s + self._chance.uniform(0, trouble.jitter_s))
        torn = trouble.reset > 0 and self._chance.random() < trouble.reset
        if torn:
            data = data[: len(data) // 2]
        size = trouble.slice_bytes or len(data) or 1
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            writer.write(piece)
            await writer.drain()
            if trouble.bytes_per_s:
                await PACE.sleep(len(piece) / trouble.bytes_per_s)
            elif trouble.slice_bytes:
                await asyncio.sleep(0)
        if torn:
            raise Cut


def _reset(writer: asyncio.StreamWriter) -> None:
    ours = writer.get_extra_info("socket")
    if ours is not None and ours.family != socket.AF_UNIX and ours.fileno() >= 0:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
