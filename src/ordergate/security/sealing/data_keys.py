"""Data keys that were unwrapped a moment ago, kept for less than five minutes and a thousand uses.

A key is found only by the very bytes that were unwrapped and the whole context they were unwrapped for, so
that a cache can never answer what the key service would refuse. What leaves is overwritten, as well as
Python lets it be. Time comes in as a function; nothing here asks the key service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# With the seconds for which what was opened may still be used, five minutes.
TTL_S: Final = 285.0
USES_MAX: Final = 1_000
KEPT_MAX: Final = 1_024

_Name = tuple[bytes, bytes]


class _Kept:
    __slots__ = ("key", "since", "uses")

    def __init__(self, key: bytes, since: float) -> None:
        self.key = bytearray(key)
        self.since = since
        self.uses = 0

    def forget(self) -> None:
        self.key[:] = bytes(len(self.key))


class DataKeys:
    """For one event loop. Never shows what it keeps."""

    def __init__(self, monotonic: Callable[[], float], kept_max: int = KEPT_MAX) -> None:
        self._monotonic = monotonic
        self._kept_max = kept_max
        self._kept: dict[_Name, _Kept] = {}

    def __repr__(self) -> str:
        return f"DataKeys({len(self._kept)} kept)"

    def put(self, blob: bytes, context: bytes, key: bytes) -> None:
        """Keep a key that was unwrapped just now; the oldest leaves where there is no room."""
        self._drop((blob, context))
        while len(self._kept) >= self._kept_max:
            self._drop(next(iter(self._kept)))
        self._kept[blob, context] = _Kept(key, self._monotonic())

    def take(self, blob: bytes, context: bytes) -> bytes | None:
        """The key for one use, or None where the key service must be asked (again)."""
        self._expire()
        kept = self._kept.get((blob, context))
        if kept is None:
            return None
        if kept.uses >= USES_MAX:
            self._drop((blob, context))
            return None
        kept.uses += 1
        return bytes(kept.key)

    def clear(self) -> None:
        for name in list(self._kept):
            self._drop(name)

    def _expire(self) -> None:
        """They lie in the order of their coming, so the first that is young enough ends the walk."""
        now = self._monotonic()
        for name, kept in list(self._kept.items()):
            if now - kept.since < TTL_S:
                return
            self._drop(name)

    def _drop(self, name: _Name) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept.forget()
