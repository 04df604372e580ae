"""The counterparty's streams: trade updates of an account, and quotes of a quiet market."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

QUOTE_EVERY_S: Final = 0.25

Write = Callable[[bytes], None]


class Conversation:
    """A stream's frames, and what is answered to them."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._buffer = b""

    def begin(self) -> None:
        """The stream is open."""

    def end(self) -> None:
        """The stream is gone."""

    def heard(self, said: dict[str, Any]) -> None:
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while (frame := _unmasked(self._buffer)) is not None:
            opcode, payload, length = frame
            self._buffer = self._buffer[length:]
            if opcode == 0x1:
                self.heard(json.loads(payload))
            elif opcode == 0x9:
                self._write(bytes((0x8A, len(payload))) + payload)

    def say(self, what: object) -> None:
        self._write(framed(json.dumps(what).encode()))


class Updates(Conversation):
    """Trade updates of one account, whose listeners `listeners_of` gives for its key."""

    def __init__(self, write: Write, listeners_of: Callable[[str], set[Write]]) -> None:
        super().__init__(write)
        self._listeners_of = listeners_of
        self._listeners: set[Write] = set()

    def heard(self, said: dict[str, Any]) -> None:
        if said["action"] == "authenticate":
            self._listeners = self._listeners_of(said["data"]["key_id"])
            self.say({"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}})
            return
        self._listeners.add(self._write)
        self.say({"stream": "listening", "data": {"streams": ["trade_updates"]}})

    def end(self) -> None:
        self._listeners.discard(self._write)


class Prices(Conversation):
    """A quiet market: the same quote again and again, so that it never grows old."""

    _timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self.say([{"T": "success", "msg": "connected"}])

    def heard(self, said: dict[str, Any]) -> None:
        if said["action"] == "auth":
            self.say([{"T": "success", "msg": "authenticated"}])
            return
        symbols = said["quotes"]
        self.say([{"T": "subscription", "trades": symbols, "quotes": symbols}])
        self.end()
        self._quote(symbols)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _quote(self, symbols: list[str]) -> None:
        self.say([{"T": "q", "S": symbol, "bp": 4800, "bs": 9, "ap": 4800.25, "as": 9} for symbol in symbols])
        self._timer = asyncio.get_running_loop().call_later(QUOTE_EVERY_S, self._quote, symbols)


def framed(payload: bytes) -> bytes:
    """A server's text frame."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2) + payload
    return b"\x81\x7f" + length.to_bytes(8) + payload


def _unmasked(buffer: bytes) -> tuple[int, bytes, int] | None:
    """Opcode, payload and length of the client's frame that the buffer begins with, if it is whole."""
    if len(buffer) < 6:
        return None
    size, at = buffer[1] & 0x7F, 2
    if size == 126:
        size, at = int.from_bytes(buffer[2:4]), 4
    elif size == 127:
        size, at = int.from_bytes(buffer[2:10]), 10
    if len(buffer) < at + 4 + size:
        return None
    mask, masked = buffer[at : at + 4], buffer[at + 4 : at + 4 + size]
    payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
    return buffer[0] & 0x0F, payload, at + 4 + size
