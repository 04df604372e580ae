"""Connections that ask and count, and do nothing else: plain protocols over bytes.

Each has `ask(request)` and calls back with every whole answer, in the order they come. Whatever is not
a 201 is remembered, so that a measurement of refusals cannot pass for one of orders.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Final, Self, cast

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OPENED: Final = b'"authenticated"'

OnAnswer = Callable[[bytes], None]


class NotAccepted(Exception):
    """An order was refused, or a connection was lost: there is nothing to measure."""


class Client(asyncio.Protocol):
    """What both kinds share."""

    def __init__(self) -> None:
        self.on_answer: OnAnswer = _ignore
        self.trouble: str | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.trouble = self.trouble or "the server closed a connection"

    def ask(self, request: bytes) -> None:
        if self._transport is not None and self.trouble is None:
            self._transport.write(request)

    def fail(self, said: bytes) -> None:
        """Something else than a yes; whoever runs the loop looks here."""
        self.trouble = self.trouble or said[:2000].decode("latin-1")
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class RestClient(Client):
    """One keep-alive connection. The next request follows the answer to the one before."""

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> Self:
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port, ssl=tls)
        return client

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if length is None or not head.startswith(b"HTTP/1.1 20"):
            self.fail(self._buffer)
            return
        if len(rest) >= int(length[1]):
            self._buffer = b""
            self.on_answer(rest)


class StreamClient(Client):
    """One stream, logged in. Frames that answer nothing are passed over."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, port: int, token: str, tls: ssl.SSLContext | None = None) -> Self:
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: cls(token), "127.0.0.1", port, ssl=tls
        )
        async with asyncio.timeout(10):
            await client.opened
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.ask(
            b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + self._token.encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head[:20]:
                self.opened.set_exception(NotAccepted(self._buffer[:2000].decode("latin-1")))
                return
            if _OPENED not in rest:
                return
            self.opened.set_result(None)
            self._buffer = rest
        self._frames()

    def _frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 4:
            size, begin = buffer[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(buffer[at + 2 : at + 4]), at + 4
            end = begin + size
            if len(buffer) < end:
                break
            if buffer.startswith(b'{"type":"answer"', begin):
                if b'"status":201' not in buffer[begin : begin + 60]:
                    self.fail(buffer[begin:end])
                    return
                self.on_answer(buffer[begin:end])
            at = end
        self._buffer = buffer[at:]


def _ignore(answer: bytes) -> None:
    """Nobody has asked yet."""
