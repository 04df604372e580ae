"""A broker that answers at once: the least that Alpaca's Trading API is to a gateway.

Takes every order, answers with the order as Alpaca writes it, and says `new` on the account's trade
updates. It keeps what it was sent, so that it can be asked about it, and a note of the moment at
which each order arrived. It costs a few microseconds an order, so that it is never what is measured.

    python -m bench.counterparty
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit

import httptools
import msgspec
import uvloop

from bench.counterparty_streams import Conversation, Prices, Updates, Write, framed
from bench.processes import never_collect

CASH: Final = "10000000000"
OPEN_PAGE: Final = 500
_WEBSOCKET: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ORDER: Final = (
    b'{"id":"%b","client_order_id":"%b","created_at":"%b","updated_at":"%b","submitted_at":"%b",'
    b'"filled_at":null,"expired_at":null,"canceled_at":null,"failed_at":null,"replaced_at":null,'
    b'"replaced_by":null,"replaces":null,"asset_id":"b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",'
    b'"symbol":"%b","asset_class":"us_equity","notional":null,"qty":"%b","filled_qty":"0",'
    b'"filled_avg_price":null,"order_class":"simple","order_type":"%b","type":"%b","side":"%b",'
    b'"time_in_force":"%b","limit_price":%b,"stop_price":null,"status":"%b","extended_hours":false,'
    b'"legs":null,"trail_percent":null,"trail_price":null,"hwm":null}'
)
_NEW: Final = b'{"stream":"trade_updates","data":{"event":"new","timestamp":"%b","order":%b}}'
_ANSWER: Final = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Asked(msgspec.Struct):
    """The body of POST /v2/orders."""

    symbol: str
    qty: str
    side: str
    type: str
    time_in_force: str
    client_order_id: str
    limit_price: str | None = None


_decode: Final = msgspec.json.Decoder(Asked).decode


class Account:
    """One login's orders and listeners."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.orders: list[tuple[bytes, ...]] = []
        self.place_of: dict[bytes, int] = {}
        self.arrived_at: dict[str, int] = {}
        self.listeners: set[Write] = set()

    def place(self, asked: Asked, at_ns: int) -> tuple[bytes, bytes]:
        """The answer's body, and what the stream says."""
        place = len(self.orders)
        name = asked.client_order_id.encode()
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z").encode()
        kind = asked.type.encode()
        limit = b"null" if asked.limit_price is None else b'"%b"' % asked.limit_price.encode()
        order = (
            b"%08x-0000-4000-8000-%012x" % (self.number, place),
            name,
            *(now, now, now),
            asked.symbol.encode(),
            asked.qty.encode(),
            *(kind, kind),
            asked.side.encode(),
            asked.time_in_force.encode(),
            limit,
        )
        self.orders.append(order)
        self.place_of[name] = place
        self.arrived_at[asked.client_order_id] = at_ns
        return _ORDER % (*order, b"accepted"), _NEW % (now, _ORDER % (*order, b"new"))

    def open_after(self, broker_order_id: bytes | None) -> Iterator[bytes]:
        first = 0 if broker_order_id is None else int(broker_order_id[-12:], 16) + 1
        for order in itertools.islice(self.orders, first, first + OPEN_PAGE):
            yield _ORDER % (*order, b"new")

    def about(self) -> bytes:
        return json.dumps(
            {
                "id": f"{self.number:08x}-0000-4000-8000-aaaaaaaaaaaa",
                "account_number": f"PA{self.number:08d}",
                "status": "ACTIVE",
                "currency": "USD",
                "cash": CASH,
                "buying_power": CASH,
                "trading_blocked": False,
                "account_blocked": False,
                "trade_suspended_by_user": False,
            }
        ).encode()


class Floor:
    """Every account, by its key; the first use opens one."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def account(self, key: str) -> Account:
        return self._accounts.setdefault(key, Account(len(self._accounts) + 1))


class Wire(asyncio.Protocol):
    """One connection: requests, or after an upgrade a stream."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._parser = httptools.HttpRequestParser(self)
        self._account: Account | None = None
        self._stream: Conversation | None = None
        self._url = b""
        self._body = b""
        self._headers: dict[bytes, bytes] = {}
        self._out: list[bytes] = []
        self._news: list[bytes] = []
        self._read_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stream is not None:
            self._stream.end()

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.feed(data)
            return
        self._read_ns = time.monotonic_ns()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
            return
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()
        if self._news and self._account is not None:
            told = b"".join(self._news)
            self._news.clear()
            for listener in self._account.listeners:
                listener(told)

    # What httptools calls

    def on_message_begin(self) -> None:
        self._body = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        if self._account is None:
            self._account = self._floor.account(self._headers.get(b"apca-api-key-id", b"").decode())
        if self._url == b"/v2/orders" and self._parser.get_method() == b"POST":
            answer, news = self._account.place(_decode(self._body), self._read_ns)
            self._news.append(framed(news))
            self._say(b"200 OK", answer)
        else:
            self._say(*self._looked_up(self._account, self._url.decode()))

    def _looked_up(self, account: Account, url: str) -> tuple[bytes, bytes]:
        parts = urlsplit(url)
        asked = {name: values[0].encode() for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/v2/account":
                return b"200 OK", account.about()
            case "/v2/orders":
                page = b",".join(account.open_after(asked.get("after_order_id")))
                return b"200 OK", b"[%b]" % page
            case "/v2/orders:by_client_order_id":
                place = account.place_of.get(asked["client_order_id"])
                if place is None:
                    return b"404 Not Found", b'{"code":40410000,"message":"order not found"}'
                return b"200 OK", _ORDER % (*account.orders[place], b"new")
            case "/arrivals":
                told, account.arrived_at = account.arrived_at, {}
                return b"200 OK", msgspec.json.encode(told)
            case _:
                return b"200 OK", b"[]"

    def _say(self, status: bytes, body: bytes) -> None:
        self._out.append(_ANSWER % (status, len(body), body))

    def _upgrade(self) -> None:
        key = self._headers[b"sec-websocket-key"]
        accepted = base64.b64encode(hashlib.sha1(key + _WEBSOCKET).digest())  # as RFC 6455 has it
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accepted
        )
        write = self._transport.write
        if self._url == b"/stream":
            self._stream = Updates(write, lambda key: self._floor.account(key).listeners)
        else:
            self._stream = Prices(write)
        self._stream.begin()


async def main() -> None:
    never_collect()
    floor = Floor()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(floor), "127.0.0.1", 0)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stopped.wait()


if __name__ == "__main__":
    uvloop.run(main())
