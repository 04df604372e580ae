"""Reads a client's text message from the wire of a WebSocket (RFC 6455), where it has the usual form.

The usual form is a whole message in one frame that has arrived whole, as nearly every one is.
Everything else is left to who knows all of the protocol.
"""

from __future__ import annotations

from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it could not be compiled
    from websockets.utils import apply_mask

_FINAL_TEXT: Final = 0x81
_MASKED: Final = 0x80
_TWO_BYTE_LENGTH: Final = 126


def client_text(data: bytes, at: int) -> tuple[bytes, int] | None:
    """The text of the client's frame that begins at `at`, and where it ends; None if it is not usual."""
    mask = at + 2
    if len(data) < mask or data[at] != _FINAL_TEXT:
        return None
    length = data[at + 1] - _MASKED
    if length == _TWO_BYTE_LENGTH:
        length = int.from_bytes(data[mask : mask + 2])
        mask += 2
        if length < _TWO_BYTE_LENGTH:
            return None  # longer than need be, which is forbidden
    elif not 0 <= length < _TWO_BYTE_LENGTH:
        return None
    begins = mask + 4
    ends = begins + length
    if ends > len(data):
        return None
    return apply_mask(data[begins:ends], data[mask:begins]), ends
