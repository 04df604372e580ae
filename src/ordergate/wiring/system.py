"""The machine's own clock and chance. Nothing else in the system has either."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

POOL_BYTES: Final = 4096


class SystemClock:
    now = staticmethod(partial(datetime.now, UTC))
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemChance:
    """The operating system's chance, taken in pieces: to ask it for every id would cost more than the id.

    No bit is used twice. The process does not fork.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def bits(self, count: int) -> int:
        size = (count + 7) // 8
        if self._used + size > len(self._pool):
            self._pool, self._used = os.urandom(max(size, POOL_BYTES)), 0
        taken = self._pool[self._used : self._used + size]
        self._used += size
        return int.from_bytes(taken) >> (size * 8 - count)
