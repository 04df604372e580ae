"""Reads a new order's HTTP request from the buffer (RFC 9112), where it has the usual form.

The usual form is a request that has arrived whole, on a connection that stays open, with every header
on one line of printable ASCII, written as `name: value` and given once. Whatever is read here reads the
same to every parser; everything else is left to who knows all of the protocol.
"""

from __future__ import annotations

from typing import Final

import msgspec

METHOD: Final = "POST"
PATH: Final = "/v1/orders"

_START: Final = f"{METHOD} {PATH} HTTP/1.1\r\n".encode()
_END: Final = b"\r\n\r\n"
_LENGTH_DIGITS_MAX: Final = 7
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"

# Each changes what the request is, or how it is to be read or answered.
_UNUSUAL: Final = frozenset({b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"})


class ClientRequest(msgspec.Struct, frozen=True, gc=False):
    """Headers by their names in lower case; `size` is what they take, `ends` where the request does."""

    headers: dict[bytes, bytes]
    body: bytes
    size: int
    ends: int


def client_request(data: bytes) -> ClientRequest | None:
    """The request that `data` begins with; None if it is not usual, or not for a new order."""
    if not data.startswith(_START):
        return None
    begins = len(_START)
    head_ends = data.find(_END, begins)
    if head_ends < 0:
        return None
    head = data[begins:head_ends]
    lines = head.split(b"\r\n")
    if head.translate(None, _PRINTABLE) != b"\r\n" * (len(lines) - 1):
        return None
    headers = _headers(lines)
    if headers is None:
        return None
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX:
        return None
    body_begins = head_ends + len(_END)
    ends = body_begins + int(length)
    if ends > len(data):
        return None
    return ClientRequest(headers, data[body_begins:ends], len(head), ends)


def _headers(lines: list[bytes]) -> dict[bytes, bytes] | None:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b": ")
        name = name.lower()
        if not colon or not name or name.translate(None, _TOKEN) or value != value.strip():
            return None
        headers[name] = value
    is_plain = len(headers) == len(lines) and _UNUSUAL.isdisjoint(headers)
    stays_open = headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    return headers if is_plain and stays_open else None
