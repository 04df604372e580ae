"""Opaque cursors: where a listing goes on, bound to the listing they came from.

A cursor carries a digest of the listing's name and filters, so that one of another listing, or a
damaged one, is refused. It is no secret and grants nothing: every page is authorised by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

from ordergate.core.refusals import Code, Refusal

CURSOR_LENGTH_MAX: Final = 400
NUMBER_DIGITS_MAX: Final = 16
_DIGEST_BYTES: Final = 9
_KEY: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


def cursor_of(listing: str, key: str) -> str:
    """`listing` names the listing with its filters; `key` is where it goes on."""
    return base64.urlsafe_b64encode(_digest(listing, key) + key.encode()).decode().rstrip("=")


def key_in(listing: str, cursor: str) -> str | Refusal:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = raw[_DIGEST_BYTES:].decode()
    except (binascii.Error, ValueError):
        return BAD
    if len(cursor) > CURSOR_LENGTH_MAX or _KEY.fullmatch(key) is None:
        return BAD
    return key if raw[:_DIGEST_BYTES] == _digest(listing, key) else BAD


def number_in(key: str) -> int | Refusal:
    """The key of a listing that goes by numbers. A digest is no proof: anybody can make a cursor up."""
    if not (key.isascii() and key.isdecimal()) or len(key) > NUMBER_DIGITS_MAX:
        return BAD
    return int(key)


def _digest(listing: str, key: str) -> bytes:
    return hashlib.sha256(f"{listing}\n{key}".encode()).digest()[:_DIGEST_BYTES]


BAD: Final = Refusal(
    Code.INVALID, "this cursor does not belong to this listing", {"cursor": "must be the `next` of a page"}
)
