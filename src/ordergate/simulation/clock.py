"""The clock of the machine, which can be wrong, and what is known of when it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from ordergate.simulation.ground import START, Ground

_RIGHT: Final = timedelta(0)


class WallClock:
    """Implements ports.clock.Clock: its wall time can be wrong, its monotonic time only stand still."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._loop = ground.loop
        self._wrong_by = _RIGHT
        self._was: list[tuple[float, timedelta]] = [(0.0, _RIGHT)]

    def now(self) -> datetime:
        now = self._ground.now()
        return now + self._wrong_by if self._wrong_by else now

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def be_wrong(self, by: timedelta) -> None:
        self._wrong_by = by
        self._was.append((self._loop.time(), by))

    def be_right(self) -> None:
        self.be_wrong(_RIGHT)

    def showed(self, at: datetime) -> Iterator[float]:
        """When, by the run's time, it showed this: a clock that was set back shows some times twice."""
        spells = [*self._was, (self._loop.time(), self._wrong_by)]
        for (since, by), (until, _) in pairwise(spells):
            moment = (at - by - START).total_seconds()
            if since <= moment <= until:
                yield moment
