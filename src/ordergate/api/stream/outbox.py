"""What waits to be sent to one client: bounded, and never waited for by whoever fills it.

Events and answers keep their order and are never dropped: when they are too many or too large, the
outbox overflows and the client is closed, to resume later. Prices may conflate: of quotes only the
latest of each symbol waits, of trades the latest few.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

TRADES_MAX: Final = 256


class Outbox:
    """`wake` is called when something begins to wait, and again when it is half full.

    While the client `is_behind` nothing is taken.
    """

    __slots__ = (
        "_awake",
        "_bytes_half",
        "_drained",
        "_frames",
        "_is_behind",
        "_messages_half",
        "_quotes",
        "_size",
        "_trades",
        "_turn",
        "_wake",
        "overflowed",
    )

    def __init__(
        self,
        *,
        messages_max: int,
        bytes_max: int,
        wake: Callable[[bool], None],
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.overflowed = False
        self._frames: list[bytes] = []
        self._messages_half = messages_max // 2
        self._bytes_half = bytes_max // 2
        self._size = 0
        self._quotes: dict[str, bytes] = {}
        self._trades: deque[bytes] = deque(maxlen=TRADES_MAX)
        self._wake = wake
        self._is_behind = is_behind
        self._awake = False
        self._drained = asyncio.Event()
        self._turn = asyncio.Lock()

    def push(self, frame: bytes) -> None:
        """One frame more. A single frame of any size is let through; a queue of them is not."""
        if self.overflowed:
            return
        frames = self._frames
        frames.append(frame)
        self._size += len(frame)
        if len(frames) >= self._messages_half or self._size >= self._bytes_half:
            self._relieve()
        elif not self._awake:
            self._awake = True
            self._wake(False)

    def push_quote(self, symbol: str, frame: bytes) -> None:
        if not self.overflowed:
            self._quotes[symbol] = frame
            self._be_awake()

    def push_trade(self, frame: bytes) -> None:
        if not self.overflowed:
            self._trades.append(frame)
            self._be_awake()

    def take(self) -> list[bytes]:
        """Everything that waits, events first."""
        taken, self._frames = self._frames, []
        self._size = 0
        self._awake = False
        if self._trades:
            taken.extend(self._trades)
            self._trades.clear()
        if self._quotes:
            taken.extend(self._quotes.values())
            self._quotes.clear()
        self._drained.set()
        return taken

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For much at once: one after another, and each only when the client has room for it.

        Whoever follows many accounts is told the past of all of them, which together is more than may wait.
        """
        async with self._turn:
            while (self._is_behind() or self._is_half_full) and not self.overflowed:
                self._drained.clear()
                await self._drained.wait()
            yield

    async def wait_drained(self) -> None:
        """Until what was pushed so far was taken: how a replay keeps to the client's pace."""
        while self._frames and not self.overflowed:
            self._drained.clear()
            await self._drained.wait()

    def close(self) -> None:
        """Nothing is sent any more; whoever waits for room is let go."""
        self.overflowed = True
        self._frames.clear()
        self._size = 0
        self._quotes.clear()
        self._trades.clear()
        self._drained.set()

    @property
    def _is_half_full(self) -> bool:
        return len(self._frames) >= self._messages_half or self._size >= self._bytes_half

    def _be_awake(self) -> None:
        if not self._awake:
            self._awake = True
            self._wake(False)

    def _relieve(self) -> None:
        """Half full: ask to be emptied at once; full and still not emptied: too slow."""
        self._wake(True)
        full = len(self._frames) >= 2 * self._messages_half or self._size >= 2 * self._bytes_half
        if full and len(self._frames) > 1:
            self.close()
            self._wake(True)
