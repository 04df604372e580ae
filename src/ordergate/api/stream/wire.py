"""A server's text message on the wire of a WebSocket (RFC 6455): a few bytes of header and the payload.

A server's frames are not masked, so one frame is the same for every client: it is made once, and a
thousand subscribers share it.
"""

from __future__ import annotations

from typing import Final

_FINAL_TEXT: Final = 0x81


def framed(payload: bytes) -> bytes:
    """The one-frame message that carries `payload`, which is UTF-8."""
    length = len(payload)
    if length < 126:
        return bytes((_FINAL_TEXT, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2) + payload
    return b"\x81\x7f" + length.to_bytes(8) + payload


def payload_of(frame: bytes) -> bytes:
    """What a frame made by `framed` carries."""
    size = frame[1]
    if size < 126:
        return frame[2:]
    return frame[4:] if size == 126 else frame[10:]
