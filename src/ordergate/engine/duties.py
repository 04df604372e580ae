"""Does what one process does for a whole database: only for as long as that is this process.

Records are signed, and alerts posted, by whoever writes the journal. Who that is the journal tells; nothing
here takes it, or asks the database. What was left in the middle goes on as after a start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("node")

LOOK_S: Final = 1.0

Duty: TypeAlias = Callable[[], Awaitable[None]]


class Duties:
    def __init__(self, is_ours: Callable[[], bool], clock: Clock) -> None:
        self._is_ours = is_ours
        self._clock = clock

    def kept(self, name: str, duty: Duty) -> Duty:
        """The same, resting while another process writes."""
        return lambda: self._keep(name, duty)

    async def _keep(self, name: str, duty: Duty) -> None:
        while True:
            await self._until(ours=True)
            if await self._ended(duty):
                return
            log.warning("duty.rests", duty=name)

    async def _ended(self, duty: Duty) -> bool:
        """Whether it ended by itself. Raises what it raises."""
        doing = asyncio.ensure_future(duty())
        lost = asyncio.ensure_future(self._until(ours=False))
        try:
            await asyncio.wait((doing, lost), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            for task in (doing, lost):
                task.cancel()
            await asyncio.gather(doing, lost, return_exceptions=True)

    async def _until(self, *, ours: bool) -> None:
        while self._is_ours() is not ours:
            await self._clock.sleep(LOOK_S)
