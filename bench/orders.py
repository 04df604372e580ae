"""The orders of a measurement: all alike in size, no two equal within any duplicate window.

Requests are bytes made from one template, because whoever makes the load must cost next to nothing.
"""

from __future__ import annotations

import itertools
import secrets
from typing import Final

_TICKS: Final = 400  # 4700.00 to 4799.75: within the collar, and below the market
_QUANTITIES: Final = 900
_ORDER: Final = (
    b'{"account_id":"P-BENCH","symbol":"ESH4","side":"buy","type":"limit","quantity":"%d",'
    b'"limit_price":"%d.%02d","time_in_force":"day","client_order_id":"mine-%b-%08d",'
    b'"extended_hours":false,"strategy":"a-strategy-with-a-name"}'
)
_REQUEST: Final = (
    b"POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Authorization: %b\r\nIdempotency-Key: key-%b-%08d\r\nContent-Length: %d\r\n\r\n%b"
)
_FRAME: Final = b'{"type":"place","id":"%d","idempotency_key":"key-%b-%08d","order":%b}'


# One count for all measurements: the first order of one must not equal the last of the one before.
_numbers: Final = itertools.count()


class Orders:
    """Numbered orders of one measurement, with keys unlike those of every other.

    `beside` are those of another process at the same time, which counts for itself: of other quantities.
    """

    def __init__(self, token: str, *, beside: bool = False) -> None:
        self._skipped = _QUANTITIES // 2 if beside else 0
        self._credential = b"Bearer " + token.encode()
        self._run = secrets.token_hex(4).encode()

    def request(self) -> bytes:
        """The next order as an HTTP request."""
        number = next(_numbers)
        body = self._order(number)
        return _REQUEST % (self._credential, self._run, number, len(body), body)

    def proven(self, proof: bytes) -> bytes:
        """The same with a proof of its own, for a token that is bound to a key (RFC 9449)."""
        number = next(_numbers)
        body = self._order(number)
        credential = self._credential.replace(b"Bearer", b"DPoP", 1) + b"\r\nDPoP: " + proof
        return _REQUEST % (credential, self._run, number, len(body), body)

    def frame(self) -> bytes:
        """The next order as a WebSocket frame of a client."""
        number = next(_numbers)
        return masked(_FRAME % (number, self._run, number, self._order(number)))

    def _order(self, number: int) -> bytes:
        ticks = number % _TICKS
        quantity = 1 + (number // _TICKS + self._skipped) % _QUANTITIES
        return _ORDER % (quantity, 4700 + ticks // 4, ticks % 4 * 25, self._run, number)


def masked(payload: bytes) -> bytes:
    """A client's text frame. A mask of zeros is still a mask, and costs nothing."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, 0x80 | length)) + bytes(4) + payload
    return b"\x81\xfe" + length.to_bytes(2) + bytes(4) + payload
