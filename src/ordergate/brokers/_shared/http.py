"""Decides what an HTTP exchange proves: a definite answer, certainly nothing sent, or unknown.

Certainly nothing sent: our own rate limit, a name that does not resolve, a refused or failed
connection, and 429, by which a broker says that it took nothing. A definite answer: a complete,
well-formed JSON document (or none where the status allows none) under a status that only the
application itself gives. Everything else is unknown: after the first byte may have left, silence
proves nothing. Never retries, never follows a redirect, never leaves its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

from ordergate.brokers._shared.documents import NotOneDocument, check_document
from ordergate.brokers._shared.rate import Allowance, Need
from ordergate.ports.broker import Unknown, Unsent
from ordergate.telemetry.log import logger

log = logger("brokers.http")

# A status outside these says nothing certain about whether the request was carried out.
_DEFINITE: Final = frozenset({200, 201, 202, 204, 207, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422})
_BODILESS: Final = 204
_THROTTLED: Final = 429


class Answer(msgspec.Struct, frozen=True):
    """A definite answer. `body` is one well-formed JSON document, or empty."""

    status: int
    body: bytes
    request_id: str | None = None


Reply = Answer | Unsent | Unknown


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Every bound of the exchange. `total_s` holds for one request, from first to last byte."""

    connect_s: float = 2.0
    read_s: float = 5.0
    total_s: float = 8.0
    idle_s: float = 15.0
    connections_max: int = 16
    body_bytes_max: int = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        # A connection attempt that outlives the request would turn "not sent" into "unknown".
        if not 0 < self.connect_s < self.total_s:
            raise ValueError("connect_s must be positive and less than total_s")
        if not 0 < self.read_s <= self.total_s:
            raise ValueError("read_s must be positive and at most total_s")


class HttpClient:
    """Requests to one origin, with one set of headers, counted against one allowance."""

    def __init__(
        self, origin: URL, *, headers: Mapping[str, str], allowance: Allowance, limits: HttpLimits
    ) -> None:
        self._origin = origin
        self._headers = dict(headers)
        self._allowance = allowance
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    def url(self, path: str) -> URL:
        """The URL of a path that is already encoded; made once where the path never changes."""
        return URL(f"{self._origin}{path}", encoded=True)

    async def ask(
        self, method: str, url: URL, *, need: Need = Need.ORDINARY, body: bytes | None = None
    ) -> Reply:
        """Ask once."""
        wait_s = self._allowance.take(need)
        if wait_s > 0:
            return Unsent("own rate limit", wait_s)
        try:
            return await self._exchange(method, url, body)
        except aiohttp.ConnectionTimeoutError:
            return Unsent("no connection within the time allowed")
        except aiohttp.ClientConnectorError as fault:
            return Unsent(f"no connection: {type(fault).__name__}")
        except TimeoutError:
            return _unclear("no answer within the time allowed", method)
        except (aiohttp.ClientError, OSError) as fault:
            return _unclear(f"the exchange broke off: {type(fault).__name__}", method)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, method: str, url: URL, body: bytes | None) -> Reply:
        session = self._session or self._opened()
        async with session.request(method, url, data=body, allow_redirects=False) as response:
            content = await self._content(response)
            return self._judged(method, response, content)

    async def _content(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The whole body, or None when it is longer than it may be."""
        bound = self._limits.body_bytes_max
        if (response.content_length or 0) > bound:
            return None
        read = bytearray()
        while chunk := await response.content.readany():
            read += chunk
            if len(read) > bound:
                return None
        return bytes(read)

    def _judged(self, method: str, response: aiohttp.ClientResponse, content: bytes | None) -> Reply:
        headers = response.headers
        request_id = headers.get("X-Request-ID")
        reset_at = _number(headers, "X-RateLimit-Reset")
        if response.status == _THROTTLED:
            retry_after_s = _number(headers, "Retry-After")
            pause = self._allowance.refused(retry_after_s=retry_after_s, reset_at=reset_at)
            return Unsent("the broker's rate limit", pause)
        self._allowance.answered(
            limit=_number(headers, "X-RateLimit-Limit"),
            remaining=_number(headers, "X-RateLimit-Remaining"),
            reset_at=reset_at,
        )
        if response.status not in _DEFINITE:
            return _unclear(f"status {response.status}", method, request_id)
        if content is None:
            return _unclear("the answer is longer than it may be", method, request_id)
        return _definite(method, response, content, request_id)

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first request, because a session belongs to a running event loop."""
        limits = self._limits
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(
                limit=limits.connections_max, keepalive_timeout=limits.idle_s, ttl_dns_cache=60
            ),
            timeout=aiohttp.ClientTimeout(
                total=limits.total_s, connect=limits.connect_s, sock_read=limits.read_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session


def _definite(
    method: str, response: aiohttp.ClientResponse, content: bytes, request_id: str | None
) -> Reply:
    if not content and response.status == _BODILESS:
        return Answer(response.status, content, request_id)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return _unclear("an encoding that was not asked for", method, request_id)
    if response.content_type != "application/json":
        return _unclear(f"the answer is {response.content_type}, not JSON", method, request_id)
    try:
        check_document(content)
    except NotOneDocument as fault:
        return _unclear(f"the answer is {fault}", method, request_id)
    return Answer(response.status, content, request_id)


def _unclear(why: str, method: str, request_id: str | None = None) -> Unknown:
    log.warning("broker.answer_unclear", why=why, method=method, request_id=request_id)
    return Unknown(why)


def _number(headers: CIMultiDictProxy[str], name: str) -> int | None:
    """A header that counts something; anything but plain digits is as good as absent."""
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
