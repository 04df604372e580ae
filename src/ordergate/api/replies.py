"""JSON answers assembled from stored JSON: bytes are joined, nothing is decoded on the way out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

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


class _Times(msgspec.Struct):
    opened_at: datetime
    settled_at: datetime | None = None


def aged(body: bytes, now: datetime) -> bytes:
    """A stored break, and how long it has been open, or was."""
    times = msgspec.json.decode(body, type=_Times)
    age_s = int(((times.settled_at or now) - times.opened_at).total_seconds())
    return body[:-1] + b',"age_s":%d}' % max(age_s, 0)
