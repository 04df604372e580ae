"""One HTTP request and its answer, as thin as they can be.

The hot routes speak these two instead of a framework's objects: headers are looked up once, a body is
read once and with a bound, and an answer is bytes that somebody else has encoded already.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from ordergate.api import problems
from ordergate.api.deps import Bounds
from ordergate.api.json_bodies import decode
from ordergate.api.quotas import too_soon
from ordergate.core.refusals import Code, Refusal

T = TypeVar("T")

Headers = list[tuple[bytes, bytes]]

JSON: Final = b"application/json"
PROBLEM: Final = problems.MEDIA_TYPE.encode()
INSTEAD: Final = frozenset({b"content-security-policy", b"cache-control"})
"""What an answer may say of itself, instead of what holds for every other."""

HEADERS_KEY: Final = "ordergate.headers"
CORRELATION_KEY: Final = "ordergate.correlation"
ROUTE_KEY: Final = "ordergate.route"
STATUS_KEY: Final = "ordergate.status"
MARKS_KEY: Final = "ordergate.marks"
WHOLE_KEY: Final = "ordergate.whole"
REFUSED_KEY: Final = "ordergate.refused"
CERTIFICATE_KEY: Final = "ordergate.certificate"
BESIDES_KEY: Final = "ordergate.besides"
ORIGIN_KEY: Final = "ordergate.origin"


class Whole(Protocol):
    """A server that takes an answer in one piece (`protocols.BoundedHttp` has it in the extensions)."""

    def body(self) -> bytes | None:
        """The request's body, when all of it is here already."""
        ...

    def answer(self, status: int, head: bytes, body: bytes) -> bool:
        """Write it all; False when the answer has to go the long way. `head` is whole header lines."""
        ...


class Reply:
    """A status, a body, and headers besides the ones that every answer has.

    `refused` is the code that it tells, for the one who counts.
    """

    __slots__ = ("body", "headers", "media_type", "refused", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        headers: Headers | None = None,
        media_type: bytes = JSON,
        *,
        refused: Code | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or []
        self.media_type = media_type
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.refused is not None:
            scope[REFUSED_KEY] = self.refused
        marks: bytes | None = scope.get(MARKS_KEY)
        if marks is not None and self._written(scope, marks):
            scope[STATUS_KEY] = self.status
            return
        headers = [
            (b"content-type", self.media_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        # A stream that is not opened is answered like any request, in the WebSocket's words for it.
        kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
        await send({"type": f"{kind}.start", "status": self.status, "headers": headers})
        await send({"type": f"{kind}.body", "body": self.body})

    def _written(self, scope: Scope, marks: bytes) -> bool:
        """The same answer in one write, which costs a tenth."""
        whole: Whole = scope["extensions"][WHOLE_KEY]
        head = self.head(marks)
        return head is not None and whole.answer(self.status, head, self.body)

    def head(self, marks: bytes) -> bytes | None:
        """The lines of the headers; `marks` are those of every answer, and None where they do not fit."""
        lines = [b"content-type: %b\r\ncontent-length: %d\r\n" % (self.media_type, len(self.body)), marks]
        for name, value in self.headers:
            if name in INSTEAD:
                return None
            lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join(lines)


class Call:
    """One request. Header names are lower-case bytes; of the headers that matter each came once."""

    __slots__ = ("_read", "correlation", "headers", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.headers: dict[bytes, bytes] = scope[HEADERS_KEY]
        self.correlation: str = scope[CORRELATION_KEY]
        self._read: bytes | None = None

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def part(self, name: str) -> str:
        """A named part of the path."""
        value: Any = self.scope["path_params"][name]
        return str(value)

    async def json_body(self, bounds: Bounds) -> bytes | Refusal:
        """The body, when it is declared as JSON and within its bound."""
        kind = self.headers.get(b"content-type", b"")
        if kind != JSON and not _is_json(kind):
            return Refusal(Code.UNSUPPORTED_MEDIA_TYPE, "send the body as application/json")
        return await self.body(bounds)

    async def asked(self, bounds: Bounds, decoder: msgspec.json.Decoder[T]) -> T | Refusal:
        """What the body asks for, or why it asks for nothing."""
        body = await self.json_body(bounds)
        if isinstance(body, Refusal):
            return body
        return decode(body, decoder)

    async def whole_body(self, bounds: Bounds) -> bytes | Refusal:
        """The body, for somebody before the one who asks for it by `body`."""
        body = await self.body(bounds)
        if not isinstance(body, Refusal):
            self._read = body
        return body

    async def body(self, bounds: Bounds) -> bytes | Refusal:
        if self._read is not None:
            return self._read
        if MARKS_KEY in self.scope:
            whole: Whole = self.scope["extensions"][WHOLE_KEY]
            arrived = whole.body()
            if arrived is not None:
                return arrived if len(arrived) <= bounds.body_bytes_max else _too_large(bounds)
        message = await self._next(bounds)
        if isinstance(message, Refusal):
            return message
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body if len(body) <= bounds.body_bytes_max else _too_large(bounds)
        return await self._rest(bytearray(body), bounds)

    async def _rest(self, body: bytearray, bounds: Bounds) -> bytes | Refusal:
        more = True
        while more:
            if len(body) > bounds.body_bytes_max:
                return _too_large(bounds)
            message = await self._next(bounds)
            if isinstance(message, Refusal):
                return message
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body) if len(body) <= bounds.body_bytes_max else _too_large(bounds)

    async def _next(self, bounds: Bounds) -> dict[str, Any] | Refusal:
        try:
            async with asyncio.timeout(bounds.body_timeout_s):
                message = await self.receive()
        except TimeoutError:
            return Refusal(Code.DEADLINE, "the body did not arrive in time")
        if message["type"] == "http.disconnect":
            return Refusal(Code.MALFORMED, "the connection ended before the body did")
        return dict(message)


def refused(refusal: Refusal, correlation: str, headers: Headers | None = None) -> Reply:
    """The problem that tells a refusal, with the headers that its code calls for."""
    told = problems.problem(refusal, correlation)
    extra = list(headers or [])
    if told.retry_after_s is not None:
        extra.append((b"retry-after", b"%d" % told.retry_after_s))
    return Reply(told.status, problems.encode(told), extra, PROBLEM, refused=refusal.code)


def besides(scope: Scope, name: bytes, value: bytes) -> None:
    """Put a header on whatever the request is answered with."""
    scope.setdefault(BESIDES_KEY, []).append((name, value))
    if MARKS_KEY in scope:
        scope[MARKS_KEY] += b"%b: %b\r\n" % (name, value)


def rate_limited(wait_s: float, correlation: str) -> Reply:
    return refused(too_soon(wait_s), correlation)


def _is_json(kind: bytes) -> bool:
    """application/json, with no parameter but charset=utf-8."""
    media, _, rest = kind.lower().partition(b";")
    return media.strip() == JSON and rest.strip() in (b"", b"charset=utf-8", b'charset="utf-8"')


def _too_large(bounds: Bounds) -> Refusal:
    return Refusal(Code.TOO_LARGE, f"the body is over {bounds.body_bytes_max} bytes")
