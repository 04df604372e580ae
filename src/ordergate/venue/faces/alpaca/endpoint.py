"""The socket side of the face: from a request to a call, from an answer to a response.

The order of things is fixed: body, caller, rate limit, route, faults. Streams begin here and are
driven elsewhere. Nothing here knows what an order is.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl
from uuid import uuid4

from aiohttp import web

from ordergate.venue.faces.alpaca import codec, interference
from ordergate.venue.faces.alpaca.access import Allowance, Doorkeeper, RateLimiter
from ordergate.venue.faces.alpaca.calls import Answer, Call, Counter, denied
from ordergate.venue.faces.alpaca.conversation import (
    FRAME_BYTES_MAX,
    GOING_AWAY,
    HEARTBEAT_S,
    POLICY_VIOLATION,
    Session,
    converse,
)
from ordergate.venue.faces.alpaca.errors import NO_ENDPOINT, RATE_LIMITED, TOO_LARGE, UNAUTHORIZED
from ordergate.venue.faces.alpaca.market_data import MarketHub, MarketSession
from ordergate.venue.faces.alpaca.outlet import Outlet
from ordergate.venue.faces.alpaca.router import Route, resolve
from ordergate.venue.faces.alpaca.trade_updates import UpdatesHub, UpdatesSession
from ordergate.venue.faults import FaultPlan, StreamScope
from ordergate.venue.settings import StreamBounds
from ordergate.venue.words import OrderUpdated, QuoteChanged, TradePrinted, VenueEvent

BODY_BYTES_MAX: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
STOCK_FEEDS: Final = frozenset({"/v2/iex", "/v2/sip", "/v2/delayed_sip", "/v2/boats", "/v2/test"})
CRYPTO_FEEDS: Final = frozenset({"/v1beta3/crypto/us", "/v1beta3/crypto/global"})
_NO_HEADERS: Final[dict[str, str]] = {}


class AlpacaFace:
    """One venue as Alpaca. `epoch_s` is the wall clock in seconds, for the rate limit alone."""

    def __init__(
        self,
        counter: Counter,
        doorkeeper: Doorkeeper,
        limiter: RateLimiter,
        faults: FaultPlan,
        *,
        epoch_s: Callable[[], float],
        bounds: StreamBounds,
    ) -> None:
        self._counter = counter
        self._doorkeeper = doorkeeper
        self._limiter = limiter
        self._faults = faults
        self._epoch_s = epoch_s
        self._bounds = bounds
        self._updates = UpdatesHub()
        self._market = MarketHub()
        self._sessions: set[Session] = set()
        self._stopping = asyncio.Event()
        self._request_prefix = uuid4().hex[:16]
        self._requests = 0
        self._unsubscribe = counter.exchange.subscribe(self._hear)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or hold one stream until it ends."""
        path = request.path
        if path == "/stream":
            return await self._trade_updates(request)
        if path in STOCK_FEEDS or path in CRYPTO_FEEDS:
            return await self._market_data(request, crypto=path in CRYPTO_FEEDS)
        return await self._answer(request, path)

    async def stop(self) -> None:
        """Let held requests go and close every stream."""
        self._stopping.set()
        self._unsubscribe()
        for session in self._sessions:
            session.outbox.end(GOING_AWAY, "going away")

    def end_streams_of(self, proof: str) -> int:
        """Close every stream that this key or token has opened; how many there were."""
        found = [one for one in self._sessions if one.account is not None and one.opened_by == proof]
        for session in found:
            session.outbox.end(POLICY_VIOLATION, "credentials revoked")
        return len(found)

    def is_heard_by(self, account: str) -> bool:
        return self._updates.has_listener(account)

    def is_watched(self, symbol: str) -> bool:
        return self._market.has_watcher(symbol)

    # -- requests

    async def _answer(self, request: web.BaseRequest, path: str) -> web.Response:
        body = await self._body(request)
        if body is None:
            return self._response(denied(TOO_LARGE))
        account = self._doorkeeper.by_headers(request.headers)
        if account is None:
            return self._response(denied(UNAUTHORIZED))
        allowance = self._limiter.take(account, self._epoch_s())
        headers = _NO_HEADERS if allowance is None else _rate_headers(allowance)
        if allowance is not None and not allowance.allowed:
            return self._response(denied(RATE_LIMITED), headers)
        found = resolve(request.method, path)
        if found is None:
            return self._response(denied(NO_ENDPOINT), headers)
        route, target = found
        return await self._serve(request, route, Call(account, target, _query(request), body), headers)

    async def _serve(
        self, request: web.BaseRequest, route: Route, call: Call, headers: dict[str, str]
    ) -> web.Response:
        fault = self._faults.strike(route.scope, call.account)
        if fault is None:
            return self._response(route.handle(self._counter, call), headers)
        if interference.stops(fault):
            if fault.kind == "timeout_before":
                await interference.hold(fault, self._stopping)
                return self._unwritten(request)
            answer, extra = interference.stopped(fault, call.target)
            return self._response(answer, headers | extra)
        true = route.handle(self._counter, call)
        if fault.kind in ("delay", "timeout_after"):
            await interference.hold(fault, self._stopping)
        if fault.kind == "timeout_after":
            return self._unwritten(request)
        if fault.kind == "truncated":
            interference.truncate(request, true)
            return web.Response(status=500)  # the connection is closing; this has nowhere to go
        return self._response(interference.changed(fault, true), headers)

    def _unwritten(self, request: web.BaseRequest) -> web.Response:
        """Cut the connection; the response the server insists on has nowhere to go."""
        interference.cut(request)
        return web.Response(status=500)

    async def _body(self, request: web.BaseRequest) -> bytes | None:
        """The whole body; None when it is too large or does not come in time."""
        if not request.can_read_body:
            return b""
        if (request.content_length or 0) > BODY_BYTES_MAX:
            return None
        if request.content.is_eof():
            body = request.content.read_nowait()  # it came with the head: nothing to wait for
            return body if len(body) <= BODY_BYTES_MAX else None
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.read()
        except (TimeoutError, web.HTTPRequestEntityTooLarge):
            return None
        return body if len(body) <= BODY_BYTES_MAX else None

    def _response(self, answer: Answer, headers: dict[str, str] = _NO_HEADERS) -> web.Response:
        self._requests += 1
        sent = {"X-Request-ID": f"{self._request_prefix}{self._requests:016x}", **headers}
        if answer.status == 204:
            return web.Response(status=204, headers=sent)
        sent["Content-Type"] = "application/json; charset=utf-8"
        return web.Response(status=answer.status, body=answer.body, headers=sent)

    # -- streams

    def _hear(self, event: VenueEvent) -> None:
        match event:
            case OrderUpdated():
                self._updates.publish(event, self._counter.class_of(event.order.ticket.symbol))
            case QuoteChanged(quote):
                self._market.publish_quote(quote, crypto=self._counter.class_of(quote.symbol) == "crypto")
            case TradePrinted(trade):
                self._market.publish_trade(trade, crypto=self._counter.class_of(trade.symbol) == "crypto")

    async def _trade_updates(self, request: web.BaseRequest) -> web.StreamResponse:
        # Alpaca's paper environment sends its JSON in binary frames.
        speech = codec.chosen(request.headers.get("Content-Type", ""), binary_json=True)
        session = UpdatesSession(self._doorkeeper, self._updates, speech, self._bounds.updates_max)
        try:
            return await self._converse(request, session, "stream", binary=speech.binary)
        finally:
            self._updates.leave(session)

    async def _market_data(self, request: web.BaseRequest, *, crypto: bool) -> web.StreamResponse:
        speech = codec.chosen(request.headers.get("Content-Type", ""), binary_json=False)
        session = MarketSession(self._doorkeeper, speech, self._bounds.trades_max, crypto=crypto)
        self._market.join(session)
        try:
            return await self._converse(request, session, "market", binary=speech.binary)
        finally:
            self._market.leave(session)

    async def _converse(
        self, request: web.BaseRequest, session: Session, scope: StreamScope, *, binary: bool
    ) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=FRAME_BYTES_MAX, timeout=CLOSE_TIMEOUT_S, compress=False
        )
        if not socket.can_prepare(request):
            return self._response(denied(NO_ENDPOINT))
        await socket.prepare(request)
        self._sessions.add(session)
        try:
            outlet = Outlet(
                socket,
                strike=lambda: self._faults.strike(scope, session.account),
                cut=lambda: interference.cut(request),
                binary=binary,
            )
            await converse(socket, session, outlet)
        finally:
            self._sessions.discard(session)
        return socket


def _query(request: web.BaseRequest) -> dict[str, str]:
    """What is given, empty or not. Decoded once: a client order id may look like an escape itself."""
    raw = request.rel_url.raw_query_string
    return dict(parse_qsl(raw, keep_blank_values=True)) if raw else {}


def _rate_headers(allowance: Allowance) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(allowance.limit),
        "X-RateLimit-Remaining": str(allowance.remaining),
        "X-RateLimit-Reset": str(allowance.reset_at),
    }
