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
    """One who waits; told once. True: the commit has ended, in whichever way. False: it takes too long.

    Whom it tells is let go of at once: all that belongs to a command would live on with it otherwise.
    """

    __slots__ = ("_tell",)

    def __init__(self, tell: Tell) -> None:
        self._tell: Tell | None = tell

    @property
    def is_over(self) -> bool:
        return self._tell is None

    def ended(self, _: Committed) -> None:
        self._say(True)

    def late(self) -> None:
        self._say(False)

    def _say(self, ended: bool) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(ended)


class Durable:
    """Everybody who waits for a commit at the moment."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._waiting: deque[tuple[float, _Waiter]] = deque()  # bounded by what the journal takes
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> int:
        """How many are kept: those told are not, once another comes and nobody before them waits."""
        return len(self._waiting)

    def when(self, committed: Committed, tell: Tell) -> None:
        """Call `tell` once: True when the commit has ended, False when it is not known to have in time."""
        loop = committed.get_loop()
        waiter = _Waiter(tell)
        committed.add_done_callback(waiter.ended)
        waiting = self._waiting
        while waiting and waiting[0][1].is_over:
            waiting.popleft()
        waiting.append((loop.time() + self._wait_s, waiter))
        if self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        waiting = self._waiting
        while waiting and (waiting[0][1].is_over or waiting[0][0] <= now):
            waiting.popleft()[1].late()
        if waiting:
            self._timer = loop.call_later(max(waiting[0][0] - now, 0.0), self._look, loop)
