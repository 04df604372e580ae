"""HTTP/1.1 over kept-alive connections, reduced to what proof needs.

Knows exactly whether a byte of a request left: until a line is connected and free, nothing has;
from the write on, only a whole response says anything. A line carries one request at a time and
is thrown away at the first irregularity. Never retries and never reads more than it may.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Final, cast

import httptools
import msgspec
from yarl import URL

from ordergate.brokers._shared.trust import KeyNotPinned
from ordergate.ports.broker import Veto
from ordergate.telemetry import failpoints

# Head, and what chunks need beside their content: that is not bounded by the body's bound.
_AROUND_BYTES_MAX: Final = 256 * 1024
_TLS: Final = "https"
_LOOK_S_MAX: Final = 0.25
# One place of so many is kept for what is urgent.
_PLACES_TO_ONE_KEPT: Final = 8


class NotSent(Exception):
    """Certainly not a byte of the request left."""


class Broken(Exception):
    """The request may have arrived, and no whole response came."""


class HttpLimits(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Every bound of an exchange.

    `connect_s` holds for getting a line (a free place, the name, the handshake), `total_s` from
    the first byte sent to the last byte read. An idle line is not used after `idle_s`, because
    servers close theirs at their own time. Of `connections_max` an eighth serves only what is urgent.
    """

    connect_s: float = 2.0
    total_s: float = 8.0
    idle_s: float = 15.0
    connections_max: int = 64
    body_bytes_max: int = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        if min(self.connect_s, self.total_s, self.idle_s, self.connections_max, self.body_bytes_max) <= 0:
            raise ValueError("every limit of an exchange must be positive")


class Response(msgspec.Struct, frozen=True, gc=False):
    """A whole response. Names of headers are in lower case; a repeated one is joined with a comma."""

    status: int
    headers: dict[str, str]
    body: bytes


class Lines:
    """The connections to one origin."""

    def __init__(self, origin: URL, limits: HttpLimits, tls: ssl.SSLContext | None = None) -> None:
        """Without `tls` whatever the machine trusts may vouch for the origin."""
        self._host = origin.host or ""
        self._port = origin.port or 0
        self._tls = (tls or ssl.create_default_context()) if origin.scheme == _TLS else None
        self._limits = limits
        self._places = Places(limits.connections_max, kept=limits.connections_max // _PLACES_TO_ONE_KEPT)
        self._idle: deque[_Line] = deque()
        self._lines: set[_Line] = set()
        self._loop = asyncio.get_running_loop()
        self._look_every_s = min(limits.total_s / 8, _LOOK_S_MAX)
        self._looking: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes, veto: Veto, *, urgent: bool = False) -> Response:
        """Send `request` once, unless `veto` speaks against it. Raises NotSent or Broken.

        What is urgent goes before whatever else waits for a line, and may have those that are kept for it.
        """
        places = self._places
        if not places.take_now(urgent) and not await places.take(self._limits.connect_s, urgent):
            raise NotSent("no free connection within the time allowed")
        try:
            line = self._idle_line() or await self._new_line()
            if (why := veto()) is not None:
                self._idle.append(line)
                raise NotSent(why)
            try:
                if self._looking is None:
                    self._looking = self._loop.call_later(self._look_every_s, self._look)
                response = await line.exchange(request, self._limits.total_s)
            except BaseException:
                self._drop(line)
                raise
            if line.is_open:
                self._idle.append(line)
            else:
                self._drop(line)
            return response
        finally:
            places.give_back()

    def _look(self) -> None:
        """Give up what takes too long: one look at all lines instead of a timer for each request."""
        self._looking = None
        now = self._loop.time()
        busy = False
        for line in self._lines:
            busy = line.give_up_if_late(now) or busy
        if busy:
            self._looking = self._loop.call_later(self._look_every_s, self._look)

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for line in tuple(self._lines):
            self._drop(line)
        self._idle.clear()

    def _idle_line(self) -> _Line | None:
        """The line used last, if the server can be expected to keep it still."""
        oldest = self._loop.time() - self._limits.idle_s
        while self._idle:
            line = self._idle.pop()
            if line.is_open and line.used_at >= oldest:
                return line
            self._drop(line)
        return None

    async def _new_line(self) -> _Line:
        loop = self._loop
        line = _Line(loop, self._limits.body_bytes_max)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                await loop.create_connection(lambda: line, self._host, self._port, ssl=self._tls)
        except TimeoutError:
            raise NotSent("no connection within the time allowed") from None
        except KeyNotPinned as fault:
            raise NotSent(f"no connection: {fault}") from fault
        except OSError as fault:
            raise NotSent(f"no connection: {type(fault).__name__}") from fault
        except BaseException:
            line.abort()
            raise
        self._lines.add(line)
        return line

    def _drop(self, line: _Line) -> None:
        self._lines.discard(line)
        line.abort()


class Places:
    """So many at once, the last `kept` of them for who is urgent; nobody waits for longer than they allow.

    Who comes first goes first, among the urgent and after them among the others. A semaphore under
    a timeout, for a twentieth of what those two cost.
    """

    def __init__(self, places: int, *, kept: int = 0) -> None:
        self._free = places
        self._kept = kept
        self._urgent: deque[asyncio.Future[bool]] = deque()
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def take_now(self, urgent: bool = False) -> bool:
        """True with a place, when one is free; nobody who may have it waits then."""
        if self._free > self._kept or (urgent and self._free > 0):
            self._free -= 1
            return True
        return False

    async def take(self, wait_s: float, urgent: bool = False) -> bool:
        """True with a place; False when none became free in time."""
        if self.take_now(urgent):
            return True
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[bool] = loop.create_future()
        (self._urgent if urgent else self._waiting).append(granted)
        late = loop.call_later(wait_s, _settle, granted, False)
        try:
            return await granted
        except asyncio.CancelledError:
            if not granted.cancelled() and granted.result():
                self.give_back()
            raise
        finally:
            late.cancel()

    def give_back(self) -> None:
        """To whoever is urgent, or has waited longest and leaves what is kept."""
        if self._urgent and _granted(self._urgent):
            return
        if self._waiting and self._free >= self._kept and _granted(self._waiting):
            return
        self._free += 1


def _granted(waiting: deque[asyncio.Future[bool]]) -> bool:
    """Whether one of them still waited, and has the place now."""
    while waiting:
        granted = waiting.popleft()
        if not granted.done():
            granted.set_result(True)
            return True
    return False


def _settle(granted: asyncio.Future[bool], answer: bool) -> None:
    if not granted.done():
        granted.set_result(answer)


class _Line(asyncio.Protocol):
    """One connection, and the response that is being read from it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body_bytes_max: int) -> None:
        self.is_open = False
        self.used_at = 0.0
        self._loop = loop
        self._body_bytes_max = body_bytes_max
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Response] | None = None
        self._late_at = 0.0
        self._start()

    async def exchange(self, request: bytes, total_s: float) -> Response:
        """Raises NotSent when the line closed before the first byte, and Broken after it."""
        if self._transport is None or not self.is_open:
            raise NotSent("the connection closed before anything was sent")
        self._start()
        waiting: asyncio.Future[Response] = self._loop.create_future()
        self._waiting = waiting
        self._late_at = self._loop.time() + total_s
        failpoints.reach("C5")
        self._transport.write(failpoints.torn("C6", request))
        failpoints.reach_soon("C7")
        try:
            return await waiting
        finally:
            self._waiting = None

    def give_up_if_late(self, now: float) -> bool:
        """Whether an answer is still waited for."""
        if self._waiting is not None and now >= self._late_at:
            self._fail("no answer within the time allowed")
        return self._waiting is not None

    def abort(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every event loop's transports are subclasses of asyncio's; all keep its promises.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.abort()  # nobody asked: whatever it is, it must not answer the next question
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("the answer is not HTTP")
        if self._read - len(self._body) > _AROUND_BYTES_MAX:
            self._fail("the answer has too much around its body")

    def eof_received(self) -> None:
        """The other side has ended, and the line will in a moment: nothing is asked on it until then."""
        self.is_open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("cut off" if exc is None else f"broken off: {type(exc).__name__}")

    # -- the parser's calls

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > self._body_bytes_max:
            self._fail("the answer is longer than it may be")

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._start()  # an interim response: the one that counts is still to come
            return
        if self._waiting is None or self._waiting.done():
            self.abort()  # a second answer to one question
            return
        self.used_at = self._loop.time()
        self.is_open = self.is_open and self._parser.should_keep_alive()
        self._waiting.set_result(Response(status, self._headers, bytes(self._body)))
        self._start()

    def _start(self) -> None:
        """Nothing of what came before belongs to what comes now."""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._read = 0

    def _fail(self, why: str) -> None:
        self.is_open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Broken(why))
        if self._transport is not None:
            self._transport.abort()
