"""A stream whose client has stopped reading comes to an end all the same, and so does its socket."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from ordergate.api import protocols
from ordergate.api.deps import Bounds
from tests.api.books import Books
from tests.api.ledger import ACCOUNT, STREAM_ID
from tests.api.people import StillClock, deps_of
from tests.api.served import Served, serving
from tests.api.test_stream import Deaf

GOODBYE = bytes((0x88, 0x82)) + bytes(4) + (1_000).to_bytes(2)
RESUME = {"stream_id": STREAM_ID, "after_seq": 1}
NONSENSE = bytes((0x83, 0x80)) + bytes(4)


class Slow(Deaf):
    """One that reads a little at a time, and never stops."""

    def resume_to(self, last: int) -> bool:
        """Whether it was told everything up to there before it was sent away."""
        self.say({"type": "subscribe", "account_id": ACCOUNT, "channels": ["orders"], "resume": RESUME})
        heard = b""
        while data := self.socket.recv(32):
            heard = (heard + data)[-256:]
            if b'"seq":%d,' % last in heard:
                return True
        return False


def narrowed(served: Served) -> Any:
    """The server's end of the only stream, over which little is under way at once."""
    (connection,) = served.deps.hub._connections
    line: Any = connection._socket  # type: ignore[attr-defined]  # the twin of a hub has none
    line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    return line


async def a_frozen_client(served: Served, books: Books) -> tuple[Deaf, Any]:
    """One that has stopped reading before it read everything, and what is at the server's end of it."""
    deaf = Deaf(served.port)
    await asyncio.to_thread(deaf.subscribe)
    line = narrowed(served)
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
    # It never answers a ping, and has until the first one to log in and to be frozen.
    async with serving(deps, ws_ping_interval=3.0, ws_ping_timeout=0.2) as served:
        deaf, line = await a_frozen_client(served, books)
        if last_words is not None:
            deaf.socket.sendall(last_words)
        for _ in range(3_000):
            if line.disconnected and not deps.hub.sessions:
                break
            await asyncio.sleep(0.01)
        ended = (deps.hub.sessions, line.disconnected)
        deaf.socket.close()
    assert ended == (0, True)


async def test_a_client_that_reads_slowly_is_told_all_of_what_it_missed(books: Books) -> None:
    """Nobody is closed for not reading who reads, however long it takes."""
    clock = StillClock()
    for _ in range(3_000):
        books.accept_an_order()
    last = len(books.rows[ACCOUNT])
    deps = deps_of(books, clock=clock, bounds=Bounds(heartbeat_s=0.01))
    async with serving(deps) as served:
        slow = Slow(served.port)
        await asyncio.to_thread(slow.log_in)
        narrowed(served)
        reading = asyncio.create_task(asyncio.to_thread(slow.resume_to, last))
        while not reading.done():
            clock.seconds += 1
            await asyncio.sleep(0.01)
        assert reading.result()
        slow.socket.close()
