"""Keeps the engine's long-running parts alive: a part that fails is logged and started again.

The one place where every exception is caught. Restarts are slowed by a capped, growing wait
and never given up; readiness shows what is down meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("supervisor")

WAIT_S_MIN: Final = 0.05
WAIT_S_MAX: Final = 5.0


class Supervisor:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self.down: dict[str, str] = {}

    def keep(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run `part` for ever: again when it returns, again when it fails."""
        self._tasks.append(asyncio.create_task(self._keep(name, part), name=name))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        wait = WAIT_S_MIN
        while True:
            started = self._clock.monotonic()
            try:
                await part()
                self.down[name] = "ended"
            except Exception as error:
                if _is_cancelled():
                    return  # the part made a failure of it
                self.down[name] = f"{type(error).__name__}: {error}"
                log.exception("part.failed", part=name, error=repr(error))
            if self._clock.monotonic() - started > WAIT_S_MAX:
                wait = WAIT_S_MIN
            await self._clock.sleep(wait)
            wait = min(wait * 2, WAIT_S_MAX)
            self.down.pop(name, None)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
