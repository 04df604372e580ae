"""What a connection does between requests, and when its short way breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from ordergate.api.client_requests import ClientRequest
from ordergate.api.protocols import HEAD_BYTES_MAX, BoundedHttp, server_options

ORDER = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"

Write = Callable[[int, bytes, bytes], None]


class Wire(asyncio.Transport):
    """Takes what is written, and can be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing more is given to the protocol than the test gives."""

    def resume_reading(self) -> None:
        """As above."""


class Application:
    """One whose short way is the test's own; it counts who came the long way."""

    def __init__(self) -> None:
        self.express = self
        self.asked: list[Write] = []
        self.breaks: Exception | None = None
        self.long_way = 0

    def take(self, request: ClientRequest, peer: str, write: Write) -> bool:
        self.asked.append(write)
        if self.breaks is not None:
            raise self.breaks
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.long_way += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def application() -> Application:
    return Application()


def written(line: BoundedHttp) -> list[bytes]:
    assert isinstance(line.transport, Wire)
    return line.transport.written


@pytest.fixture
async def line(application: Application) -> BoundedHttp:
    config = uvicorn.Config(application, **{**server_options(), "loop": "none"})
    config.load()
    protocol = BoundedHttp(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(Wire())
    return protocol


def answer(write: Write) -> None:
    write(201, b"content-length: 0\r\n", b"")


async def until(true: Callable[[], bool], turns: int = 100) -> None:
    for _ in range(turns):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError(f"not within {turns} turns of the loop")


async def test_one_timer_looks_after_a_connection_however_much_is_asked(
    line: BoundedHttp, application: Application
) -> None:
    line.data_received(ORDER)
    answer(application.asked[0])
    timer = line.timeout_keep_alive_task
    assert timer is not None
    for number in (1, 2):
        line.data_received(ORDER)
        answer(application.asked[number])
    assert line.timeout_keep_alive_task is timer
    assert len(written(line)) == 3
    line.connection_lost(None)
    assert timer.cancelled()


async def test_only_a_connection_that_has_asked_nothing_for_so_long_is_closed(
    line: BoundedHttp, application: Application
) -> None:
    line.data_received(ORDER)
    answer(application.asked[0])
    line.timeout_keep_alive_handler()
    assert not line.transport.is_closing()
    assert line.timeout_keep_alive_task is not None
    line._idle_since -= line.timeout_keep_alive + 1
    line.timeout_keep_alive_handler()
    assert line.transport.is_closing()


async def test_a_connection_whose_order_is_under_way_is_not_closed(
    line: BoundedHttp, application: Application
) -> None:
    line.data_received(ORDER)
    line._idle_since -= line.timeout_keep_alive + 1
    line.timeout_keep_alive_handler()
    assert not line.transport.is_closing()
    answer(application.asked[0])
    assert line.timeout_keep_alive_task is not None


async def test_an_order_whose_short_way_breaks_is_answered_once_and_by_the_long_way(
    line: BoundedHttp, application: Application
) -> None:
    application.breaks = RuntimeError("a defect")
    line.data_received(ORDER)
    await until(lambda: line.cycle.response_complete)
    assert application.long_way == 1
    answer(application.asked[0])  # whatever the short way began may end, and says nothing
    assert len([one for one in written(line) if one.startswith(b"HTTP/1.1 ")]) == 1


async def test_what_comes_in_pieces_and_what_follows_an_order_is_read_by_all_of_http(
    line: BoundedHttp, application: Application
) -> None:
    line.data_received(ORDER[:20])
    line.data_received(ORDER[20:])
    assert not application.asked
    await until(lambda: line.cycle.response_complete)
    line.data_received(ORDER + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(application.asked) == 1
    await asyncio.sleep(0)
    assert application.long_way == 1
    answer(application.asked[0])
    await until(lambda: application.long_way == 2)


async def test_a_head_that_is_cut_off_behind_many_requests_is_read_on(
    line: BoundedHttp, application: Application
) -> None:
    """They were read at once, and are together larger than a head may be."""
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    many = 1 + HEAD_BYTES_MAX // len(request)
    line.data_received(request * many + request[:9])
    assert not line.transport.is_closing()
    line.data_received(request[9:])
    await until(lambda: application.long_way == many + 1 or line.transport.is_closing(), turns=4 * many)
    assert not line.transport.is_closing()
