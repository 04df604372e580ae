"""How uvicorn speaks for us: bounded heads of requests, and a WebSocket that takes ready-made frames.

Both change as little of uvicorn's own protocols as possible. The WebSocket hands its socket to the
application, which writes whole batches of frames that it shares between clients and is never
blocked by a client that does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidHandshake, InvalidState
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import OPEN

from ordergate.api import problems
from ordergate.api.certificates import proven
from ordergate.api.client_requests import PATH, ClientRequest, client_request
from ordergate.api.client_texts import client_text
from ordergate.api.exchange import WHOLE_KEY
from ordergate.api.json_bodies import BYTES_MAX
from ordergate.core.refusals import Code, Refusal
from ordergate.telemetry.log import logger

log = logger("api")

HEAD_BYTES_MAX: Final = 32 * 1024
HEAD_TIMEOUT_S: Final = 10.0
PING_S: Final = 15.0
SOCKET_KEY: Final = "ordergate.socket"
CLOSE_TIMEOUT_S: Final = 5.0
KEEPALIVE_LOST: Final = 1011

_MALFORMED: Final = Refusal(Code.MALFORMED, "this is not a well-formed HTTP request")
_NO_HANDSHAKE: Final = Refusal(Code.MALFORMED, "this is not a well-formed WebSocket handshake")


class Express(Protocol):
    """The short way of a new order (`api.express`), where the application has one."""

    def take(self, request: ClientRequest, peer: str, write: Callable[[int, bytes, bytes], None]) -> bool: ...


class Marks(Protocol):
    """What the application puts on every answer (`api.edge`), where it has one."""

    def correlation(self, headers: Mapping[bytes, bytes]) -> str: ...

    def marks(self, correlation: str) -> bytes: ...


def bad_request(refusal: Refusal, marks: Marks | None) -> bytes:
    """A whole answer to what no application is asked about, marked as every other; the connection ends."""
    correlation = "none" if marks is None else marks.correlation({})
    body = problems.encode(problems.problem(refusal, correlation))
    lines = (
        b"HTTP/1.1 400 Bad Request",
        b"content-type: " + problems.MEDIA_TYPE.encode(),
        b"content-length: %d" % len(body),
        b"connection: close",
    )
    marked = b"" if marks is None else marks.marks(correlation)
    return b"\r\n".join(lines) + b"\r\n" + marked + b"\r\n" + body


class BoundedHttp(HttpToolsProtocol):
    """A request's head arrives within a bound of bytes and of time, or the connection ends.

    A new order that has arrived whole is offered to the application's short way first. uvicorn gets to
    know what is not taken.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self._express: Express | None = getattr(self.config.app, "express", None)
        self._peer = "unknown" if self.client is None else self.client[0]
        self._proven = proven(transport)
        self._is_between_messages = True
        self._in_head = True
        self._head_bytes = 0
        self._moved_on = False  # what was read last had more in it than a part of what is bounded
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_since = self.loop.time()
        self._time_head()

    def data_received(self, data: bytes) -> None:
        if self._is_between_messages and self._express is not None and self._is_free:
            request = client_request(data)
            if request is not None and self._is_taken(request):
                data = data[request.ends :]
                if not data:
                    return
        self._moved_on = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._moved_on:
            self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self.send_400_response("head too large")
        elif self._in_head and self._head_timer is None:
            self._time_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_between_messages = False
        self._in_head = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """What stands behind a body is no header: whoever is before us has not looked at it as one."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._end_head()
        self._begin_count()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            extensions: Any = {WHOLE_KEY: WholeAnswer(self.cycle), **self._proven}
            self.scope["extensions"] = extensions

    def on_body(self, body: bytes) -> None:
        self._begin_count()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_between_messages = True
        self._begin_count()

    def _begin_count(self) -> None:
        """Of what is read before something comes of it: a head, or what stands behind a body."""
        self._moved_on = True
        self._head_bytes = 0

    @property
    def _is_free(self) -> bool:
        """Nothing is being answered, and what is answered now can be written."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self.flow.write_paused and not self.transport.is_closing()

    def _is_taken(self, request: ClientRequest) -> bool:
        if self._express is None:
            return False
        before = self.cycle
        cycle: Any = ExpressCycle(self)
        self.cycle = cycle
        try:
            taken = self._express.take(request, self._peer, cycle.write)
        except Exception:
            # The long way meets the same defect, and answers it.
            log.exception("api.fault", path=PATH)
            taken = cycle.response_complete
        if not taken:
            cycle.disconnected = True
            self.cycle = before
        elif self._in_head:
            self._end_head()
        return taken

    def express_answered(self) -> None:
        """A request on its short way is answered: as uvicorn after every answer, but for the timer.

        One timer looks after the time in which nothing was asked, however much is asked before it ends.
        """
        if self.pipeline:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._await_request(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self.cycle is not None and not self.cycle.response_complete:
            return  # its answer sets the timer anew
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._await_request(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _await_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """The same refusal for everything that is not HTTP, in our shape.

        A request that is being answered gets its own answer and no other: garbage behind it only
        ends the connection.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self.transport.write(bad_request(_MALFORMED, getattr(self.config.app, "edge", None)))
        self.transport.close()

    def _time_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._end)

    def _end(self) -> None:
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    def _end_head(self) -> None:
        self._in_head = False
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class ExpressCycle:
    """A request on its short way, with as much of a cycle as uvicorn asks of one that is being answered."""

    __slots__ = ("_protocol", "disconnected", "keep_alive", "response_complete")

    def __init__(self, protocol: BoundedHttp) -> None:
        self._protocol = protocol
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    @property
    def message_event(self) -> ExpressCycle:
        return self

    def set(self) -> None:
        """As an event: nobody waits for one here."""

    def write(self, status: int, head: bytes, body: bytes) -> None:
        self.response_complete = True
        protocol = self._protocol
        if self.disconnected or protocol.transport.is_closing():
            return
        lines = [b"%b: %b\r\n" % header for header in protocol.server_state.default_headers]  # the date
        protocol.transport.write(b"".join((STATUS_LINE[status], *lines, head, b"\r\n", body)))
        protocol.express_answered()
        if not self.keep_alive:
            protocol.transport.close()


class WholeAnswer:
    """One request's way around the messages of ASGI, for a body that is here and an answer that is whole.

    Does what uvicorn's cycle does for them, without looking at every header again: ours are made by us.
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        return bytes(cycle.body)

    def answer(self, status: int, head: bytes, body: bytes) -> bool:
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        if not cycle.keep_alive or cycle.scope["method"] == "HEAD":
            return False
        cycle.response_started = True
        lines = [b"%b: %b\r\n" % header for header in cycle.default_headers]  # the date
        cycle.transport.write(b"".join((STATUS_LINE[status], *lines, head, b"\r\n", body)))
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True


class FramedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, with a way for the application to write frames it has made itself."""

    on_relief: Callable[[], None] | None = None
    on_text: Callable[[bytes], None] | None = None
    """Given whole messages as they arrive, while it is set; else they wait for `receive`."""

    def data_received(self, data: bytes) -> None:
        at = 0
        if self.on_text is not None and self._is_between_messages:
            at = self._hand_over(data)
        if at < len(data):
            super().data_received(data[at:] if at else data)

    @property
    def _is_between_messages(self) -> bool:
        conn = self.conn
        whole = conn.current_size is None and not conn.reader.buffer
        return whole and conn.state is OPEN and self.queue.empty() and not self.close_sent

    def _hand_over(self, data: bytes) -> int:
        """Hand over messages of the usual form; where what uvicorn shall read begins."""
        at = 0
        while self.on_text is not None and (found := client_text(data, at)) is not None:
            text, ends = found
            if len(text) > BYTES_MAX or not _is_utf8(text):
                break
            at = ends
            self.on_text(text)
        return at

    def handle_connect(self, event: Request) -> None:
        try:
            self.conn.process_request(event)
        except InvalidHandshake:
            # What websockets itself would say to it has none of our marks.
            self.handshake_complete = self.close_sent = True
            self.transport.write(bad_request(_NO_HANDSHAKE, getattr(self.config.app, "edge", None)))
            self.transport.close()
            return
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"].update({SOCKET_KEY: self, **proven(self.transport)})

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._cut_in_a_while()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._cut_in_a_while()

    def keepalive_timeout(self) -> None:
        """uvicorn tells nobody, and waits for a client that does not answer to read what was written."""
        super().keepalive_timeout()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": KEEPALIVE_LOST})
        self._cut_in_a_while()

    def _cut_in_a_while(self) -> None:
        """A socket that closes is closed, also when the other end leaves what was written unread."""
        if self.close_timer is None and not self.disconnected:
            self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    @property
    def is_backed_up(self) -> bool:
        """The client reads slower than it is written to."""
        return not self.writable.is_set()

    @property
    def unsent(self) -> int:
        """How many bytes of what was written wait for the client to read."""
        return self.transport.get_write_buffer_size()

    def write_frames(self, frames: bytes) -> None:
        """Whole server frames, one after another. Nothing is written to a socket that is closing."""
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frames)

    def close_now(self, code: int, reason: str) -> None:
        """Say why and end, also when the client does not read: then the socket is cut in a while."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            self.transport.abort()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._cut_in_a_while()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_relief is not None:
            self.on_relief()


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def server_options() -> dict[str, Any]:
    """What to give to uvicorn.Config besides the application, the host and the port."""
    return {
        "http": BoundedHttp,
        "ws": FramedWebSocket,
        "ws_max_size": BYTES_MAX,
        "ws_per_message_deflate": False,
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "loop": "uvloop",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "lifespan": "off",
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 10,
    }
