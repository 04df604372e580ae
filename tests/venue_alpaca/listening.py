"""Listens: to the official SDK's streams, and to bare WebSockets for what the SDK does not show."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.trading.stream import TradingStream

from tests.venue_alpaca.floor import ALICE

PATIENCE_S: Final = 15.0


class Heard:
    """What arrived, in order, and waiting until enough has."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._more = asyncio.Condition()

    async def add(self, item: Any) -> None:
        async with self._more:
            self.items.append(item)
            self._more.notify_all()

    async def until(self, enough: Callable[[list[Any]], bool]) -> list[Any]:
        async with asyncio.timeout(PATIENCE_S), self._more:
            await self._more.wait_for(lambda: enough(self.items))
            return list(self.items)

    async def count(self, number: int) -> list[Any]:
        return await self.until(lambda items: len(items) >= number)


@asynccontextmanager
async def sdk_running(stream: Any, subscribed: Callable[[], bool]) -> AsyncIterator[None]:
    """Run an SDK stream until the block ends; begins once the venue knows what it wants to hear."""
    task = asyncio.create_task(stream._run_forever())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (stream._running and subscribed()):
                assert not task.done(), task
                await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.close()


def trading_stream(base_url: str, heard: Heard) -> TradingStream:
    stream = TradingStream(ALICE.key, ALICE.secret, url_override=f"{_ws(base_url)}/stream")
    stream.subscribe_trade_updates(heard.add)
    return stream


def stock_stream(base_url: str) -> StockDataStream:
    return StockDataStream(ALICE.key, ALICE.secret, url_override=f"{_ws(base_url)}/v2/iex")


def crypto_stream(base_url: str) -> CryptoDataStream:
    return CryptoDataStream(ALICE.key, ALICE.secret, url_override=f"{_ws(base_url)}/v1beta3/crypto/us")


class Line:
    """A bare WebSocket that remembers every frame it was sent, and of which kind."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[Any] = []
        self.kinds: set[aiohttp.WSMsgType] = set()

    async def say(self, frame: Any) -> None:
        await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def hear(self) -> Any:
        message = await self.socket.receive(timeout=PATIENCE_S)
        self.kinds.add(message.type)
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise ConnectionError(f"{message.type!r} {self.socket.close_code}")
        frame = json.loads(message.data)
        self.frames.append(frame)
        return frame

    async def ask(self, frame: Any) -> Any:
        await self.say(frame)
        return await self.hear()


@asynccontextmanager
async def line(base_url: str, path: str, **options: Any) -> AsyncIterator[Line]:
    async with aiohttp.ClientSession() as session, session.ws_connect(base_url + path, **options) as socket:
        yield Line(socket)


@asynccontextmanager
async def updates_line(base_url: str) -> AsyncIterator[Line]:
    """A bare trade updates stream that is already listening as alice."""
    async with line(base_url, "/stream") as updates:
        await updates.ask(
            {"action": "authenticate", "data": {"key_id": ALICE.key, "secret_key": ALICE.secret}}
        )
        await updates.ask({"action": "listen", "data": {"streams": ["trade_updates"]}})
        updates.frames.clear()
        yield updates


def _ws(base_url: str) -> str:
    return base_url.replace("http://", "ws://")
