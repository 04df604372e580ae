"""A connection is asked only while it can be answered on."""

from __future__ import annotations

import asyncio

import pytest

from ordergate.brokers._shared.lines import NotSent, _Line


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


async def test_a_line_whose_end_was_seen_is_not_asked() -> None:
    """Between the other side's end and the connection's own there is a turn of the loop."""
    line, wire = _Line(asyncio.get_running_loop(), 2_000), Wire()
    line.connection_made(wire)
    line.eof_received()
    with pytest.raises(NotSent):
        await line.exchange(b"GET / HTTP/1.1\r\n\r\n", 1.0)
    assert wire.written == b""
