"""Sends frames to one WebSocket and carries out the stream faults that strike them.

Frames leave in the order they were given, except where a fault says otherwise. Never decides which
fault strikes; never looks into a frame.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from ordergate.venue.faults import Fault

SEND_TIMEOUT_S: Final = 30.0


class ConnectionCut(Exception):
    """A fault cut the connection; there is nobody to send to any more."""


class Outlet:
    """`strike` draws the fault for the next data frame, `cut` ends the connection without a word."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        strike: Callable[[], Fault | None],
        cut: Callable[[], None],
        *,
        binary: bool,
    ) -> None:
        self._socket = socket
        self._strike = strike
        self._cut = cut
        self._binary = binary
        self._silent = False
        self._held: bytes | None = None
        self.held_s: float | None = None  # how long the held frame may wait for its successor

    async def control(self, frame: bytes) -> None:
        """An answer of the conversation itself: no fault strikes it, but a silent stream swallows it."""
        await self._send(frame)

    async def data(self, frame: bytes) -> None:
        fault = self._strike()
        kind = None if fault is None else fault.kind
        if fault is None:
            await self._send(frame)
        elif kind == "delay":
            await asyncio.sleep(fault.seconds)
            await self._send(frame)
        elif kind == "duplicate":
            await self._send(frame)
            await self._send(frame)
        elif kind == "reorder" and self._held is None:
            self._held, self.held_s = frame, fault.seconds
            return
        elif kind == "reorder":
            await self._send(frame)
        elif kind == "silent":
            self._silent = True
        elif kind == "disconnect":
            self._cut()
            raise ConnectionCut
        await self.release()

    async def release(self) -> None:
        """Send the frame that was held back, after its successor or when none came."""
        held, self._held, self.held_s = self._held, None, None
        if held is not None:
            await self._send(held)

    async def _send(self, frame: bytes) -> None:
        if self._silent:
            return
        async with asyncio.timeout(SEND_TIMEOUT_S):
            if self._binary:
                await self._socket.send_bytes(frame)
            else:
                await self._socket.send_str(frame.decode())
