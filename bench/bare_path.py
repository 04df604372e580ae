"""The least that an order costs on the gateway's own parts: it is carried, and nothing is decided about it.

The loop, the decoder, the driver and the counterparty are the gateway's, and so are the waits: an order is
read and decoded, everything that waits is committed as one row, then the client is answered and the broker
asked, and what the broker says is decoded and committed with whatever waits next. There is no permission, no
key, no control, no account, no seal, no subscriber and no table to read from. A gateway that did all of that
for nothing would be as fast as this.

    python -m bench.bare_path         # the database is in DATABASE, the counterparty's port in BROKER_PORT
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal, cast

import asyncpg
import msgspec
import uvloop

from bench.processes import never_collect

LINES: Final = 64
KEY: Final = "bare"
TABLE: Final = "create table bare (id bigserial primary key, units integer not null, body bytea not null)"
_WRITE: Final = "insert into bare (units, body) values ($1, $2)"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_UPGRADED: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
_CREATED: Final = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_ANSWER: Final = b'{"type":"answer","id":"%b","status":201,"body":%b}'
_ASK: Final = (
    b"POST /v2/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAPCA-API-KEY-ID: bare\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)

Done = Callable[[], None]


class Order(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The body of POST /v1/orders."""

    account_id: str
    symbol: str
    side: Literal["buy", "sell"]
    type: Literal["market", "limit", "stop", "stop_limit"]
    quantity: Decimal
    limit_price: Decimal | None = None
    time_in_force: Literal["day", "gtc", "ioc", "fok"] = "day"
    client_order_id: str | None = None
    extended_hours: bool = False
    strategy: str | None = None


class Place(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The stream's command."""

    type: Literal["place"]
    id: str
    idempotency_key: str
    order: Order


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """What is written of an order, and told its client."""

    id: str
    status: str
    order: Order


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What the broker is asked."""

    symbol: str
    qty: Decimal
    side: str
    type: str
    time_in_force: str
    client_order_id: str
    limit_price: Decimal | None = None


class Told(msgspec.Struct, frozen=True, gc=False):
    """What is read of the broker's order."""

    id: str
    client_order_id: str
    status: str
    qty: Decimal
    filled_qty: Decimal


class Update(msgspec.Struct, frozen=True, gc=False):
    """What is read of the broker's news of it."""

    event: str
    order: Told


class News(msgspec.Struct, frozen=True, gc=False):
    """A frame of the broker's stream."""

    data: Update


_order: Final = msgspec.json.Decoder(Order).decode
_place: Final = msgspec.json.Decoder(Place).decode
_told: Final = msgspec.json.Decoder(Told).decode
_news: Final = msgspec.json.Decoder(News).decode
_encode: Final = msgspec.json.Encoder(decimal_format="string").encode


class Journal:
    """Everything that waits is one row and one commit."""

    def __init__(self, database: asyncpg.Connection[Any]) -> None:
        self._database = database
        self._waiting: list[bytes] = []
        self._then: list[Done] = []
        self._more = asyncio.Event()

    def write(self, unit: bytes, done: Done | None = None) -> None:
        self._waiting.append(unit)
        if done is not None:
            self._then.append(done)
        self._more.set()

    async def run(self) -> None:
        statement = await self._database.prepare(_WRITE)
        while True:
            await self._more.wait()
            self._more.clear()
            units, self._waiting = self._waiting, []
            then, self._then = self._then, []
            await statement.fetchval(len(units), b"\n".join(units))
            for done in then:
                done()


class Line(asyncio.Protocol):
    """One kept connection to the broker; it asks one thing at a time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        length = _LENGTH.search(buffer) if head > 0 else None
        if length is None or len(buffer) < head + 4 + int(length[1]):
            return
        self._buffer = b""
        self._broker.heard(self, _told(buffer[head + 4 :]))


class Broker:
    """The lines to it, and what waits for one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._idle: list[Line] = []
        self._waiting: deque[bytes] = deque()

    async def connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(LINES):
            _, line = await loop.create_connection(lambda: Line(self), "127.0.0.1", port)
            self._idle.append(line)
        await loop.create_connection(Listener, "127.0.0.1", port)

    def ask(self, name: str, order: Order) -> None:
        body = _encode(
            Asked(
                order.symbol,
                order.quantity,
                order.side,
                order.type,
                order.time_in_force,
                name,
                order.limit_price,
            )
        )
        request = _ASK % (len(body), body)
        if self._idle:
            self._idle.pop().write(request)
        else:
            self._waiting.append(request)

    def heard(self, line: Line, told: Told) -> None:
        if self._waiting:
            line.write(self._waiting.popleft())
        else:
            self._idle.append(line)
        self._journal.write(_encode(told))


class Listener(asyncio.Protocol):
    """The broker's stream, of which everything is read and nothing is new."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write
        self._write(
            b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        buffer, at = self._buffer + data, 0
        if not self._is_open:
            head = buffer.find(b"\r\n\r\n")
            self._is_open, at = True, head + 4
            self._say({"action": "authenticate", "data": {"key_id": KEY, "secret_key": KEY}})
            self._say({"action": "listen", "data": {"streams": ["trade_updates"]}})
        while (frame := _frame(buffer, at)) is not None:
            payload, at = frame
            if payload.startswith(b'{"stream":"trade_updates"'):
                _news(payload)
        self._buffer = buffer[at:]

    def _say(self, what: object) -> None:
        payload = json.dumps(what).encode()
        self._write(bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload)


class Client(asyncio.Protocol):
    """One connection: requests one after another, or once upgraded frames."""

    def __init__(self, journal: Journal, broker: Broker) -> None:
        self._journal = journal
        self._broker = broker
        self._buffer = b""
        self._is_stream = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        self._buffer = self._frames(buffer) if self._is_stream else self._request(buffer)

    def _frames(self, buffer: bytes) -> bytes:
        at = 0
        while (frame := _frame(buffer, at)) is not None:
            payload, at = frame
            asked = _place(payload)
            self._take(asked.order, asked.id.encode())
        return buffer[at:]

    def _request(self, buffer: bytes) -> bytes:
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return buffer
        if buffer.startswith(b"GET /v1/stream"):
            self._is_stream = True
            self._write(_UPGRADED + b'\x81\x18{"type":"authenticated"}')
            return b""
        length = _LENGTH.search(buffer)
        if length is None or len(buffer) < head + 4 + int(length[1]):
            return buffer
        self._take(_order(buffer[head + 4 :]), None)
        return b""

    def _take(self, order: Order, asked: bytes | None) -> None:
        name = f"P{next(_numbers):018d}001"
        body = _encode(Accepted(name, "accepted", order))

        def durable() -> None:
            if asked is None:
                self._write(_CREATED % (len(body), body))
            else:
                answer = _ANSWER % (asked, body)
                self._write(b"\x81\x7e" + len(answer).to_bytes(2) + answer)
            self._broker.ask(name, order)

        self._journal.write(body, durable)


_numbers: Final = itertools.count()


def _frame(buffer: bytes, at: int) -> tuple[bytes, int] | None:
    """The payload of the frame that begins there, if it is whole, and where it ends. A mask is of zeros."""
    if len(buffer) - at < 2:
        return None
    size, begin = buffer[at + 1] & 0x7F, at + 2
    if size == 126:
        size, begin = int.from_bytes(buffer[at + 2 : at + 4]), at + 4
    begin += 4 if buffer[at + 1] & 0x80 else 0
    return None if len(buffer) < begin + size else (buffer[begin : begin + size], begin + size)


async def main() -> None:
    database = await asyncpg.connect(os.environ["DATABASE"])
    await database.execute(TABLE)
    journal = Journal(database)
    broker = Broker(journal)
    await broker.connect(int(os.environ["BROKER_PORT"]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(journal, broker), "127.0.0.1", 0)
    writing = asyncio.create_task(journal.run())
    loop.add_signal_handler(signal.SIGTERM, writing.cancel)
    never_collect()
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.wait((writing,))


if __name__ == "__main__":
    uvloop.run(main())
