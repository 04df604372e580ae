"""Signatures of Standard Webhooks, made and checked: HMAC-SHA256 over id, time and raw body. Pure.

Several secrets may be valid at a time, so that one can be replaced without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
VERSION: Final = "v1,"
SIGNATURES_MAX: Final = 8


def secret_of(text: str) -> bytes:
    """The bytes of a secret as Standard Webhooks writes one. Raises ValueError."""
    if not text.startswith(PREFIX):
        raise ValueError(f"a webhook's secret begins with {PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook's secret is base64 after its prefix") from error
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError(f"a webhook's secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return secret


def signature(message_id: str, at_s: int, body: bytes, secret: bytes) -> str:
    signed = b"%b.%d.%b" % (message_id.encode(), at_s, body)
    return VERSION + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def is_signed(message_id: str, at_s: int, body: bytes, given: str, secrets: Iterable[bytes]) -> bool:
    """Whether one of the given signatures, with blanks between them, is by one of the secrets.

    Every secret is tried, so that the time it takes tells nothing of which one it was.
    """
    signatures = [one.encode() for one in given.split(" ")[:SIGNATURES_MAX]]
    found = False
    for secret in secrets:
        expected = signature(message_id, at_s, body, secret).encode()
        for one in signatures:
            found |= hmac.compare_digest(expected, one)
    return found
