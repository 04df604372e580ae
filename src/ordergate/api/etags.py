"""What a client saw, as HTTP says it: strong ETags of what has numbered versions, and `If-Match`.

The tag is the number in quotes, and the number is in the body too, so nothing is read to tell it. Whether it
still holds is decided with the change itself, never here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.api.exchange import Headers
from ordergate.api.requests import REVISION_DIGITS_MAX
from ordergate.core.refusals import Code, Refusal

FIRST: Final = (b"etag", b'"1"')
"""An order's own when it has just been placed."""


class _Numbered(msgspec.Struct, gc=False):
    revision: int | None = None


_decoder: Final = msgspec.json.Decoder(_Numbered)


def of_order(body: bytes) -> Headers:
    """The header for a stored order; none where it was stored before orders were numbered."""
    revision = _decoder.decode(body).revision
    return [] if revision is None else [tagged(revision)]


def of_refusal(refusal: Refusal) -> Headers:
    """The order's present one, where what was seen of it is outdated."""
    revision = refusal.fields.get("revision") if refusal.code is Code.CHANGE_OUTDATED else None
    return [] if revision is None else [tagged(int(revision))]


def tagged(number: int) -> tuple[bytes, bytes]:
    return (b"etag", b'"%d"' % number)


def number_in(tag: str) -> int | None:
    """The number of one strong tag, in quotes or bare; None where it is none."""
    number = tag.strip().removeprefix('"').removesuffix('"')
    if not number.isdecimal() or not number.isascii() or len(number) > REVISION_DIGITS_MAX:
        return None
    return int(number) or None


def revision_in(if_match: str | None) -> int | Refusal | None:
    """Which revision of an order the client saw; None where any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    seen = number_in(if_match)
    if seen is None:
        words = 'must be the ETag of an order, such as "3", or *'
        return Refusal(Code.INVALID, "If-Match is no ETag of an order", {"If-Match": words})
    return seen
