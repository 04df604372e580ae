"""Decides what an HTTP exchange proves: a definite answer, certainly nothing sent, or unknown.

Certainly nothing sent: our own rate limit, a name that does not resolve, a refused or failed
connection, and 429, by which a broker says that it took nothing. A definite answer: a complete,
well-formed JSON document (or none where the status allows none) under a status that only the
application itself gives. Everything else is unknown: after the first byte may have left, silence
proves nothing. Never retries, never follows a redirect, never leaves its origin.
"""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec
from yarl import URL

from ordergate.brokers._shared.documents import NotOneDocument, check_document
from ordergate.brokers._shared.lines import Broken, HttpLimits, Lines, NotSent, Response
from ordergate.brokers._shared.rate import Allowance, Need
from ordergate.ports.broker import Unknown, Unsent, Veto, no_veto
from ordergate.telemetry.log import logger

log = logger("brokers.http")

# A status outside these says nothing certain about whether the request was carried out.
_DEFINITE: Final = frozenset({200, 201, 202, 204, 207, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422})
_BODILESS: Final = 204
_JSON: Final = "application/json"
_THROTTLED: Final = 429
_HEADER: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_TARGET: Final = re.compile(r"/[!-~]*")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A definite answer. `body` is one well-formed JSON document, or empty."""

    status: int
    body: bytes
    request_id: str | None = None


Reply = Answer | Unsent | Unknown


def _never() -> None:
    """Always open."""


class HttpClient:
    """Requests to one origin, with one set of headers, counted against one allowance."""

    def __init__(
        self,
        origin: URL,
        *,
        headers: Mapping[str, str],
        allowance: Allowance,
        limits: HttpLimits,
        closed: Callable[[], str | None] = _never,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`closed` says why nothing may be asked now, or None. `tls` is as in `Lines`."""
        self._origin = origin
        self._limits = limits
        self._allowance = allowance
        self._closed = closed
        self._tls = tls
        self._use(headers)
        self._under_way: Counter[bytes] = Counter()
        self._lines: Lines | None = None

    async def ask(
        self,
        method: str,
        target: str,
        *,
        need: Need = Need.ORDER,
        body: bytes | None = None,
        veto: Veto = no_veto,
    ) -> Reply:
        """Ask once. `target` is a path, with its query if any, already encoded."""
        if why := self._closed():
            return Unsent(why)
        veto = partial(self._vetoed, veto)
        wait_s = self._allowance.take(need)
        if wait_s > 0:
            return Unsent("own rate limit", wait_s)
        request, head = self._request(method, target, body), self._head
        self._under_way[head] += 1
        try:
            response = await self._open_lines().ask(request, veto, urgent=need is Need.CANCEL)
        except NotSent as fault:
            return Unsent(str(fault))
        except Broken as fault:
            return _unclear(str(fault), method)
        finally:
            self._under_way[head] -= 1
            if head is not self._head and not self._under_way[head]:
                del self._under_way[head]
        return self._judged(method, need, response)

    def use(self, headers: Mapping[str, str]) -> None:
        """From the next request on. What is under way ends as it began."""
        self._use(headers)

    @property
    def earlier_under_way(self) -> int:
        """How many requests have not ended that went with other headers than these."""
        return self._under_way.total() - self._under_way[self._head]

    async def close(self) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _vetoed(self, veto: Veto) -> str | None:
        """Asked when a line is free: it may have been waited for longer than anything may be asked."""
        return self._closed() or veto()

    def _use(self, headers: Mapping[str, str]) -> None:
        self._head = _head({"Host": self._origin.host_port_subcomponent or "", **headers})

    def _open_lines(self) -> Lines:
        """Made at the first request, because connections belong to a running event loop."""
        if self._lines is None:
            self._lines = Lines(self._origin, self._limits, self._tls)
        return self._lines

    def _request(self, method: str, target: str, body: bytes | None) -> bytes:
        if _TARGET.fullmatch(target) is None:
            raise ValueError("a target is an encoded path on the same origin")
        start = f"{method} {target} HTTP/1.1\r\n".encode()
        if body is None:
            return start + self._head + b"\r\n"
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (start, self._head, len(body), body)

    def _judged(self, method: str, need: Need, response: Response) -> Reply:
        headers = response.headers
        request_id = headers.get("x-request-id")
        reset_at = _number(headers, "x-ratelimit-reset")
        if response.status == _THROTTLED:
            retry_after_s = _number(headers, "retry-after")
            pause = self._allowance.refused(need, retry_after_s=retry_after_s, reset_at=reset_at)
            return Unsent("the broker's rate limit", pause)
        self._allowance.answered(
            limit=_number(headers, "x-ratelimit-limit"),
            remaining=_number(headers, "x-ratelimit-remaining"),
            reset_at=reset_at,
        )
        if response.status not in _DEFINITE:
            return _unclear(f"status {response.status}", method, request_id)
        return _definite(method, response, request_id)


def _head(headers: Mapping[str, str]) -> bytes:
    """The same for every request. A value that would end its line and begin another is refused."""
    for name, value in headers.items():
        if _HEADER.fullmatch(value) is None:
            raise ValueError(f"the header {name} has a value that cannot be sent")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def _definite(method: str, response: Response, request_id: str | None) -> Reply:
    if not response.body and response.status == _BODILESS:
        return Answer(response.status, response.body, request_id)
    if response.headers.get("content-encoding", "identity") != "identity":
        return _unclear("an encoding that was not asked for", method, request_id)
    content_type = response.headers.get("content-type", "")
    if content_type != _JSON and (media := content_type.partition(";")[0].strip().lower()) != _JSON:
        return _unclear(f"the answer is {media[:80]!r}, not JSON", method, request_id)
    try:
        check_document(response.body)
    except NotOneDocument as fault:
        return _unclear(f"the answer is {fault}", method, request_id)
    return Answer(response.status, response.body, request_id)


def _unclear(why: str, method: str, request_id: str | None = None) -> Unknown:
    log.warning("broker.answer_unclear", why=why, method=method, request_id=request_id)
    return Unknown(why)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """A header that counts something; anything but plain digits is as good as absent."""
    text = headers.get(name)
    if text is None or len(text) > 12 or not (text.isascii() and text.isdigit()):
        return None
    return int(text)
