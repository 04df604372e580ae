"""Tells whoever asked as soon as a decision is durable, or that it is not known to be after a while.

A task and a timer for each command would cost more than deciding about it. All commands here wait
equally long, so one timer, set for the one that has waited longest, serves them all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ordergate.ports.journal import Committed

WAIT_S: Final = 5.0

Tell = Callable[[bool], None]


class _Waiter:
    """One who waits; told once. True: the commit has ended, in whichever way. False: it takes too long."""

    __slots__ = ("_tell", "is_over")

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.is_over = False

    def ended(self, _: Committed) -> None:
        if not self.is_over:
            self.is_over = True
            self._tell(True)

    def late(self) -> None:
        self.is_over = True
        self._tell(False)


class Durable:
    """Everybody who waits for a commit at the moment."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._waiting: deque[tuple[float, _Waiter]] = deque()  # bounded by what the journal takes
        self._timer: asyncio.TimerHandle | None = None

    def when(self, committed: Committed, tell: Tell) -> None:
        """Call `tell` once: True when the commit has ended, False when it is not known to have in time."""
        loop = committed.get_loop()
        waiter = _Waiter(tell)
        committed.add_done_callback(waiter.ended)
        self._waiting.append((loop.time() + self._wait_s, waiter))
        if self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        waiting = self._waiting
        while waiting and (waiting[0][1].is_over or waiting[0][0] <= now):
            _, waiter = waiting.popleft()
            if not waiter.is_over:
                waiter.late()
        if waiting:
            self._timer = loop.call_later(max(waiting[0][0] - now, 0.0), self._look, loop)
