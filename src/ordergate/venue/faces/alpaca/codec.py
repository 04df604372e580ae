"""The two encodings of Alpaca's streams: JSON, and MessagePack for clients that ask for it.

Prices leave as exact JSON numbers, because that is what the streams carry. Shapes are not its business.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

_JSON: Final = msgspec.json.Encoder(decimal_format="number")
_MSGPACK: Final = msgspec.msgpack.Encoder(decimal_format="number")


class Codec(Struct, frozen=True):
    """`binary` is the kind of WebSocket frame that carries it."""

    msgpack: bool
    binary: bool

    def encode(self, frame: Any) -> bytes:
        return _MSGPACK.encode(frame) if self.msgpack else _JSON.encode(frame)

    def decode(self, data: bytes, shape: type[T]) -> T | None:
        """None when the client's frame is not of that shape."""
        try:
            if self.msgpack:
                return msgspec.msgpack.decode(data, type=shape)
            return msgspec.json.decode(data, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


def chosen(content_type: str, *, binary_json: bool) -> Codec:
    """What a client gets that opened its connection with this Content-Type."""
    if content_type.split(";", maxsplit=1)[0].strip().lower() == "application/msgpack":
        return Codec(msgpack=True, binary=True)
    return Codec(msgpack=False, binary=binary_json)
