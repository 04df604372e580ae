"""A stream whose client has stopped reading comes to an end all the same, and so does its socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from ordergate.api import protocols
from tests.api.books import Books
from tests.api.people import deps_of
from tests.api.served import Served, serving
from tests.api.test_stream import Deaf

GOODBYE = bytes((0x88, 0x82)) + bytes(4) + (1_000).to_bytes(2)
NONSENSE = bytes((0x83, 0x80)) + bytes(4)


async def a_frozen_client(served: Served, books: Books) -> tuple[Deaf, Any]:
    """One that has stopped reading before it read everything, and what is at the server's end of it."""
    deaf = Deaf(served.port)
    await asyncio.to_thread(deaf.subscribe)
    (connection,) = served.deps.hub._connections
    line: Any = connection._socket  # type: ignore[attr-defined]
    line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    while not line.close_sent and line.transport.get_write_buffer_size() < 16_384:
        for _ in range(10):
            books.accept_an_order()
        await asyncio.sleep(0.01)
    assert not line.is_backed_up
    return deaf, line


@pytest.mark.parametrize("last_words", [None, GOODBYE, NONSENSE], ids=["silent", "goodbye", "nonsense"])
async def test_a_client_that_does_not_read_keeps_neither_its_stream_nor_its_socket(
    books: Books, monkeypatch: pytest.MonkeyPatch, last_words: bytes | None
) -> None:
    monkeypatch.setattr(protocols, "CLOSE_TIMEOUT_S", 0.1)
    deps = deps_of(books)
    async with serving(deps, ws_ping_interval=1.0, ws_ping_timeout=0.2) as served:
        deaf, line = await a_frozen_client(served, books)
        if last_words is not None:
            deaf.socket.sendall(last_words)
        for _ in range(500):
            if line.disconnected and not deps.hub.sessions:
                break
            await asyncio.sleep(0.01)
        ended = (deps.hub.sessions, line.disconnected)
        deaf.socket.close()
    assert ended == (0, True)
