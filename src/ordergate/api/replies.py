"""JSON answers assembled from stored JSON: bytes are joined, nothing is decoded on the way out."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


def json_reply(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def listed(name: str, bodies: Iterable[bytes]) -> bytes:
    """An array of objects that are JSON already."""
    return b'"%s":[%s]' % (name.encode(), b",".join(bodies))


def named(name: str, value: object) -> bytes:
    return b'"%s":%s' % (name.encode(), _encode(value))


def json_object(*members: bytes) -> bytes:
    return b"{" + b",".join(members) + b"}"


def plain(values: object) -> Response:
    return json_reply(_encode(values))
