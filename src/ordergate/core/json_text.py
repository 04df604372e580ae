"""Proves cheaply that JSON text can be read in one way only, where that is possible.

Text that is letter for letter what is written of the value it was read as has no key twice: of two
equal ones reading keeps one, and writing cannot bring the other back. Most programs write this way,
without spaces. Of any other text nothing is said: it may still be right, and whoever asks looks at
it key by key.
"""

from __future__ import annotations

from typing import Final

import msgspec

_read: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode


def has_one_reading(text: bytes) -> bool:
    """True only of one well-formed JSON value in UTF-8 that has no key twice in any object."""
    try:
        return _write(_read(text)) == text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
