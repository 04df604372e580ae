"""What a trading program has: a token, REST, one stream for commands, and one that watches.

Both ways of giving a command answer with the same `Answer`. Losing the connection is an answer too:
`LOST`, after which a careful program asks again with the same key.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from tests.e2e.floor import Floor

ANSWER_S_MAX: Final = 15.0
PRICES_S_MAX: Final = 20.0
LOST: Final = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A command's end. `status` is LOST where the connection broke before there was one."""

    status: int
    body: Mapping[str, Any] = {}
    replayed: bool = False
    retry_after: str | None = None

    @property
    def order(self) -> Mapping[str, Any]:
        """The order that was accepted, or that risk denied."""
        shown: Mapping[str, Any] = self.body if "cum_qty" in self.body else self.body.get("order", {})
        return shown

    @property
    def code(self) -> str:
        """The problem's stable code; empty for a yes."""
        return str(self.body.get("code", ""))


def lost(why: str) -> Answer:
    return Answer(status=LOST, body={"code": why})


class Commands(Protocol):
    """Either way of giving commands. The key is the caller's, so that it can ask again."""

    async def place(self, order: Mapping[str, Any], *, key: str, wait_s: int = 0) -> Answer: ...
    async def cancel(self, order_id: str, *, key: str) -> Answer: ...
    async def replace(self, order_id: str, changes: Mapping[str, str], *, key: str) -> Answer: ...


class Rest:
    """Commands and questions over HTTP."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.headers: dict[str, str] = {}

    async def log_in(self) -> None:
        """Get a token by client credentials; it outlives every test and every restart."""
        self.headers = {"Authorization": f"Bearer {await self.floor.token()}"}

    async def place(self, order: Mapping[str, Any], *, key: str, wait_s: int = 0) -> Answer:
        return await self.ask("POST", "/v1/orders", key=key, body=order, wait_s=wait_s)

    async def cancel(self, order_id: str, *, key: str) -> Answer:
        return await self.ask("DELETE", f"/v1/orders/{order_id}", key=key)

    async def replace(self, order_id: str, changes: Mapping[str, str], *, key: str) -> Answer:
        return await self.ask("PATCH", f"/v1/orders/{order_id}", key=key, body=changes)

    async def cancel_all(self, account: str, *, key: str) -> Answer:
        return await self.ask("DELETE", f"/v1/orders?account_id={account}", key=key)

    async def ask(self, method: str, path: str, *, key: str, body: object = None, wait_s: int = 0) -> Answer:
        headers = {**self.headers, "Idempotency-Key": key}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else msgspec.json.encode(body)
        url = self.floor.base_url + path
        try:
            async with (
                asyncio.timeout(ANSWER_S_MAX),
                self.floor.http.request(method, url, data=data, headers=headers) as answer,
            ):
                content = msgspec.json.decode(await answer.read())
                return Answer(
                    status=answer.status,
                    body=content,
                    replayed=answer.headers.get("Idempotent-Replayed") == "true",
                    retry_after=answer.headers.get("Retry-After"),
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            return lost(repr(fault))

    async def get(self, path: str) -> dict[str, Any]:
        async with self.floor.http.get(self.floor.base_url + path, headers=self.headers) as answer:
            told = await answer.json()
            assert answer.status == 200, f"{path}: {answer.status} {told}"
            shown: dict[str, Any] = told
            return shown

    async def every(self, path: str, name: str) -> list[dict[str, Any]]:
        """All pages of a listing."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(f"{path}{'&' if '?' in path else '?'}limit=500{cursor}")
            found += page[name]
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"


class Stream:
    """Commands over one WebSocket; a connection that broke is opened again by the next command."""

    def __init__(self, floor: Floor, rest: Rest) -> None:
        self._floor = floor
        self._rest = rest
        self._ids = count(1)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._opening = asyncio.Lock()
        self.quotes: dict[str, dict[str, Any]] = {}
        self._quoted = asyncio.Event()

    async def place(self, order: Mapping[str, Any], *, key: str, wait_s: int = 0) -> Answer:
        frame = {"type": "place", "idempotency_key": key, "order": order}
        return await self._ask(frame | ({"wait_s": wait_s} if wait_s else {}))

    async def cancel(self, order_id: str, *, key: str) -> Answer:
        return await self._ask({"type": "cancel", "idempotency_key": key, "order_id": order_id})

    async def replace(self, order_id: str, changes: Mapping[str, str], *, key: str) -> Answer:
        frame = {"type": "replace", "idempotency_key": key, "order_id": order_id}
        return await self._ask(frame | dict(changes))

    async def watch_quotes(self, symbols: Sequence[str]) -> None:
        """Follow the market of these symbols, once each has a price to judge orders by."""
        socket = await self._opened()
        assert socket is not None
        await socket.send_json({"type": "subscribe", "channel": "quotes", "symbols": list(symbols)})
        async with asyncio.timeout(PRICES_S_MAX):
            while not self.quotes.keys() >= set(symbols):
                self._quoted.clear()
                await self._quoted.wait()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _ask(self, frame: dict[str, Any]) -> Answer:
        socket = await self._opened()
        if socket is None:
            return lost("no stream could be opened")
        frame_id = frame["id"] = f"c{next(self._ids)}"
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[frame_id] = waiting
        try:
            await socket.send_json(frame)
            return await asyncio.wait_for(waiting, ANSWER_S_MAX)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            return lost(repr(fault))
        finally:
            self._waiting.pop(frame_id, None)

    async def _opened(self) -> aiohttp.ClientWebSocketResponse | None:
        async with self._opening:
            if self._socket is not None and not self._socket.closed:
                return self._socket
            try:
                self._socket = await open_stream(self._floor, self._rest)
            except (aiohttp.ClientError, TimeoutError, OSError, AssertionError):
                return None
            self._reader = asyncio.create_task(self._read(self._socket))
            return self._socket

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            frame = msgspec.json.decode(message.data)
            match frame["type"]:
                case "answer":
                    self._answered(frame)
                case "quote":
                    self.quotes[frame["symbol"]] = frame
                    self._quoted.set()
                case "error":
                    raise AssertionError(f"a frame was refused: {frame}")
                case _:
                    continue
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(lost(f"the stream closed with {socket.close_code}"))

    def _answered(self, frame: dict[str, Any]) -> None:
        waiting = self._waiting.get(frame["id"])
        if waiting is None or waiting.done():
            return
        body = frame["order"] if "order" in frame else frame["problem"]
        waiting.set_result(Answer(status=frame["status"], body=body, replayed=frame.get("replayed", False)))


async def open_stream(floor: Floor, rest: Rest) -> aiohttp.ClientWebSocketResponse:
    """A stream that knows who we are. Raises ClientError, OSError or TimeoutError."""
    url = f"{floor.base_url}/v1/stream"
    async with asyncio.timeout(ANSWER_S_MAX):
        socket = await floor.http.ws_connect(url, headers=rest.headers)
        for expected in ("welcome", "authenticated"):
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise aiohttp.ClientConnectionError("the stream closed at once")
            frame = msgspec.json.decode(message.data)
            assert frame["type"] == expected, frame
    return socket


@asynccontextmanager
async def clients(floor: Floor) -> AsyncIterator[tuple[Rest, Stream]]:
    """Both ways of giving commands, logged in."""
    rest = Rest(floor)
    await rest.log_in()
    stream = Stream(floor, rest)
    try:
        yield rest, stream
    finally:
        with contextlib.suppress(aiohttp.ClientError):
            await stream.close()
