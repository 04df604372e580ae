"""Carries a fault out on one REST answer: what the client gets instead of what the exchange said.

The faults that come before the exchange are answered without asking it; the others change its answer
on the way out. Never decides which fault strikes.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web
from msgspec.json import decode, encode

from ordergate.venue.faces.alpaca.calls import Answer, denied
from ordergate.venue.faces.alpaca.errors import INTERNAL, RATE_LIMITED, Denial, order_not_found
from ordergate.venue.faults import Fault

_UNREACHED: Final = frozenset({"timeout_before", "rate_limited", "error_before", "not_found"})


def stops(fault: Fault) -> bool:
    """Whether the request never reaches the exchange."""
    return fault.kind in _UNREACHED


def stopped(fault: Fault, target: str) -> tuple[Answer, dict[str, str]]:
    """The answer of a fault that comes before the exchange, with its own headers."""
    if fault.kind == "rate_limited":
        extra = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return denied(RATE_LIMITED), extra
    if fault.kind == "not_found":
        return denied(order_not_found(target)), {}
    return _server_error(fault), {}


def changed(fault: Fault, true: Answer) -> Answer:
    """The answer of a fault that comes after the exchange."""
    if fault.kind == "error_after":
        return _server_error(fault)
    if fault.kind == "malformed":
        # An answer without a body gets one that nobody expects.
        return Answer(true.status, true.body[: len(true.body) // 2]) if true.body else Answer(200, b"{")
    if fault.kind == "no_id":
        return Answer(true.status, _without_id(true.body))
    return true


def _server_error(fault: Fault) -> Answer:
    phrase = HTTPStatus(fault.status).phrase if fault.status in list(HTTPStatus) else INTERNAL.message
    return denied(Denial(fault.status, INTERNAL.code, phrase.lower()))


def _without_id(body: bytes) -> bytes:
    if not body:
        return body
    shown = decode(body)
    rows = shown if isinstance(shown, list) else [shown]
    for row in rows:
        row.pop("id", None)
    return encode(shown)


async def hold(fault: Fault, stopping: asyncio.Event) -> None:
    """Wait as long as the fault says, or until the venue stops."""
    try:
        async with asyncio.timeout(fault.seconds):
            await stopping.wait()
    except TimeoutError:
        return


def cut(request: web.BaseRequest) -> None:
    """End the connection at once and without a word."""
    if request.transport is not None:
        request.transport.abort()


def truncate(request: web.BaseRequest, answer: Answer) -> None:
    """Send the first half of what the answer is on the wire, and end the connection.

    With a body, the head is whole and promises all of it; without one, the head itself is cut.
    """
    if request.transport is None:
        return
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(answer.body)}\r\n\r\n"
    ).encode()
    sent = head + answer.body[: len(answer.body) // 2] if answer.body else head[: len(head) // 2]
    request.transport.write(sent)
    request.transport.close()
