"""Drives one WebSocket: reads the client, writes what its session has to say, ends when either is done.

What is said is the session's business and it has no socket; here are only waits, deadlines and closing.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

from aiohttp import WSMsgType, web
from msgspec import Struct

from ordergate.venue.faces.alpaca.outlet import ConnectionCut, Outlet

AUTH_TIMEOUT_S: Final = 10.0
HEARTBEAT_S: Final = 20.0
FRAME_BYTES_MAX: Final = 64 * 1024
CONTROL_FRAMES_MAX: Final = 256
POLICY_VIOLATION: Final = 1008
GOING_AWAY: Final = 1001


class Saying(Struct, frozen=True):
    """One frame to send. Faults strike data only."""

    frame: bytes
    is_data: bool


class Outbox:
    """What a session has to say, waiting for the socket. Ends once: what was said before still leaves."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ended: tuple[int, str] | None = None
        self._control: deque[bytes] = deque()

    def control(self, frame: bytes) -> None:
        if len(self._control) >= CONTROL_FRAMES_MAX:
            self.end(POLICY_VIOLATION, "too many requests")
            return
        self._control.append(frame)
        self.ready.set()

    def end(self, code: int, reason: str) -> None:
        if self.ended is None:
            self.ended = (code, reason)
        self.ready.set()

    def take(self) -> list[Saying]:
        """Everything that waits, answers first."""
        sayings = [Saying(frame, False) for frame in self._control]
        self._control.clear()
        return sayings


class Session(Protocol):
    """One side of a conversation, without a socket."""

    account: str | None
    opened_by: str
    outbox: Outbox

    def opened(self) -> None:
        """The connection is there."""

    def heard(self, data: bytes) -> None:
        """The client said this."""

    def late(self) -> None:
        """The client did not authenticate in time."""


async def converse(socket: web.WebSocketResponse, session: Session, outlet: Outlet) -> None:
    """Returns when the conversation is over; whatever ended it, the socket is closed then."""
    session.opened()
    writing = asyncio.create_task(_write(socket, session.outbox, outlet))
    try:
        await _read(socket, session)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _read(socket: web.WebSocketResponse, session: Session) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + AUTH_TIMEOUT_S
    while not socket.closed:
        # Once authenticated, the heartbeat ends a connection whose peer is gone.
        patience = None if session.account is not None else max(deadline - loop.time(), 0.001)
        try:
            message = await socket.receive(timeout=patience)
        except TimeoutError:
            session.late()
            deadline = loop.time() + AUTH_TIMEOUT_S
            continue
        if message.type is WSMsgType.TEXT:
            session.heard(message.data.encode())
        elif message.type is WSMsgType.BINARY:
            session.heard(message.data)
        else:
            return


async def _write(socket: web.WebSocketResponse, outbox: Outbox, outlet: Outlet) -> None:
    try:
        while True:
            try:
                async with asyncio.timeout(outlet.held_s):
                    await outbox.ready.wait()
            except TimeoutError:
                await outlet.release()
                continue
            outbox.ready.clear()
            for saying in outbox.take():
                await (outlet.data(saying.frame) if saying.is_data else outlet.control(saying.frame))
            if outbox.ended is not None:
                code, reason = outbox.ended
                await socket.close(code=code, message=reason.encode())
                return
    except (ConnectionCut, ConnectionError, TimeoutError):
        # Nobody is listening any more, or too slowly to count; the reader must not wait for them.
        await socket.close()
