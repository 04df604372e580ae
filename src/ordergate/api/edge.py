"""The outermost layer: what holds for every request, whatever its route.

A correlation id on every answer, the environment and the security headers, bounds on headers and on
how often an address may ask, and the last resort: whatever escapes becomes a problem that says
nothing but the id under which the log has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ordergate.api import exchange
from ordergate.api.deps import Deps
from ordergate.api.exchange import Reply, rate_limited, refused
from ordergate.api.forwarded import HEADER, Proxies
from ordergate.api.measures import Measures
from ordergate.api.of_address import OfAddress
from ordergate.core.faults import JournalUnavailable
from ordergate.core.refusals import Code, Refusal
from ordergate.telemetry.log import bind, logger, unbind

log = logger("api")

_CORRELATION: Final = re.compile(rb"[A-Za-z0-9_.-]{8,64}")

# A request with two of one of these is ambiguous, and somebody before us may have read the other one.
_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"dpop",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"transfer-encoding",
    }
)

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
)
# What an answer says of itself instead, where it does.
NOTHING_KEPT: Final = (b"cache-control", b"no-store")
NOTHING_LOADED: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Edge:
    """Raw ASGI around the whole application."""

    def __init__(self, app: ASGIApp, deps: Deps, measures: Measures) -> None:
        self._app = app
        self._clock = deps.clock
        self._chance = deps.chance
        self._bounds = deps.bounds
        self._proxies = Proxies(deps.bounds.proxies)
        self._measures = measures
        self._count_refused = deps.metrics.refused
        self._of_peer = OfAddress(deps.bounds.requests_of_peer)
        self._headers = [(b"x-ordergate-env", deps.env.value.encode()), *SECURITY_HEADERS]
        plain = (*self._headers, NOTHING_KEPT, NOTHING_LOADED)
        self._lines = b"".join(b"%b: %b\r\n" % header for header in plain)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # Whoever composes the process starts and ends what the application needs.
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope[exchange.HEADERS_KEY] = headers
        correlation = scope[exchange.CORRELATION_KEY] = self.correlation(headers)
        if HEADER in headers:
            scope["client"] = (self._proxies.client(peer_of(scope), headers[HEADER]), 0)
        bound = bind(correlation)
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send)
            else:
                await self._stream(scope, receive, send)
        finally:
            unbind(bound)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The handshake of a stream is marked and bounded like a request; after it the stream is its own."""
        correlation: str = scope[exchange.CORRELATION_KEY]
        every = [(b"x-correlation-id", correlation.encode()), *self._headers, NOTHING_KEPT]

        async def send_marked(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                message["headers"] = [*(message.get("headers") or ()), *every]
            await send(message)

        turned_away = self._turned_away(scope, self._clock.monotonic())
        await (turned_away or self._app)(scope, receive, send_marked)
        if exchange.REFUSED_KEY in scope:
            self._count_refused(scope[exchange.REFUSED_KEY])

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self._clock.monotonic()
        correlation: str = scope[exchange.CORRELATION_KEY]
        every = [(b"x-correlation-id", correlation.encode()), *self._headers]
        if exchange.WHOLE_KEY in scope.get("extensions", ()):
            scope[exchange.MARKS_KEY] = self.marks(correlation)
        status = 0
        told = False

        async def send_marked(message: Message) -> None:
            nonlocal status, told
            told = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                given = message.get("headers") or []
                unless = [one for one in (NOTHING_KEPT, NOTHING_LOADED) if not _says(given, one[0])]
                message["headers"] = [*given, *every, *unless, *scope.get(exchange.BESIDES_KEY, ())]
            await send(message)

        turned_away = self._turned_away(scope, began)
        try:
            await (turned_away or self._app)(scope, receive, send_marked)
        except Exception as fault:
            no = self.met(fault, scope["method"])
            if not status and exchange.STATUS_KEY not in scope:
                await refused(no, correlation)(scope, receive, send_marked)
            elif not told:
                raise
        seconds = self._clock.monotonic() - began
        status = scope.get(exchange.STATUS_KEY, status)
        if exchange.REFUSED_KEY in scope:
            self._count_refused(scope[exchange.REFUSED_KEY])
        self._measures.answered(_method(scope), _route(scope), status, seconds)

    def _turned_away(self, scope: Scope, now: float) -> Reply | None:
        correlation: str = scope[exchange.CORRELATION_KEY]
        if self._is_over(scope["headers"]):
            words = f"the headers are over {self._bounds.header_bytes_max} bytes"
            return refused(Refusal(Code.TOO_LARGE, words), correlation)
        if len(scope["headers"]) != len(scope[exchange.HEADERS_KEY]):
            names = [name for name, _ in scope["headers"]]
            twice = next((name for name in names if name in _ONCE and names.count(name) > 1), None)
            if twice is not None:
                return refused(Refusal(Code.MALFORMED, f"{twice.decode()} is given twice"), correlation)
        if (no := _unfit(scope)) is not None:
            return refused(no, correlation)
        wait_s = self._of_peer.take(peer_of(scope), scope.get("method", "GET"), scope["path"], now)
        return rate_limited(wait_s, correlation) if wait_s else None

    def _is_over(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        size = 0
        for name, value in headers:
            size += len(name) + len(value)
        return size > self._bounds.header_bytes_max

    # What the short way of an order asks for instead of passing through

    def client(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The address that asks, when the connection is with `peer`."""
        return self._proxies.client(peer, headers.get(HEADER))

    def would_turn_away(self, head_size: int, peer: str, now: float) -> bool:
        """True when the request may not pass, or might not; counts nothing. The head holds its headers."""
        return head_size > self._bounds.header_bytes_max or self._of_peer.is_spent(peer, now)

    def passed(self, peer: str, now: float) -> None:
        """Count an order that did not come through here."""
        self._of_peer.passed(peer, now)

    def told(self, status: int, refused_as: Code | None, began: float, method: str, route: str) -> None:
        """Count and time its answer."""
        if refused_as is not None:
            self._count_refused(refused_as)
        self._measures.answered(method, route, status, self._clock.monotonic() - began)

    def met(self, fault: Exception, method: str) -> Refusal:
        """What is told of a fault that is being handled. The last resort: the log has what happened."""
        if isinstance(fault, JournalUnavailable):
            log.warning("api.unavailable", why=str(fault))
            return NO_DATABASE
        log.exception("api.fault", method=method)
        self._measures.faults.inc()
        return DEFECT

    def marks(self, correlation: str) -> bytes:
        """The headers of every answer, as lines."""
        return b"x-correlation-id: %b\r\n%b" % (correlation.encode(), self._lines)

    def correlation(self, headers: Mapping[bytes, bytes]) -> str:
        """The client's own id, where it is one, or a new one."""
        given = headers.get(b"x-correlation-id")
        if given is not None and _CORRELATION.fullmatch(given):
            return given.decode()
        return f"{self._chance.bits(96):024x}"


DEFECT: Final = Refusal(
    Code.INTERNAL, "a defect of the gateway; whether the request took effect, its idempotency key will tell"
)
NO_DATABASE: Final = Refusal(Code.UNAVAILABLE, "the database cannot be asked now; try again")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def peer_of(scope: Scope) -> str:
    """The address that asks: the other end of the connection, or what a proxy of ours says is behind it."""
    client: tuple[str, int] | None = scope.get("client")
    return "unknown" if client is None else client[0]


def _unfit(scope: Scope) -> Refusal | None:
    """What nobody before us can have understood as we would."""
    headers: Mapping[bytes, bytes] = scope[exchange.HEADERS_KEY]
    if b"host" not in headers and scope.get("http_version") == "1.1":
        return Refusal(Code.MALFORMED, "the request has no Host header")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return Refusal(Code.UNSUPPORTED_MEDIA_TYPE, "send the body as it is, without a Content-Encoding")
    return None


def _says(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bool:
    return any(name == wanted for name, _ in headers)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def _route(scope: Scope) -> str:
    named: str | None = scope.get(exchange.ROUTE_KEY)
    if named is not None:
        return named
    route: Any = scope.get("route")
    return getattr(route, "path", "unmatched")
