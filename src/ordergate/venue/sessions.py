"""Ends the sessions of the venue: what is good for the day expires when its UTC day is over.

Looks at the clock every so often besides, because a machine that sleeps is late for midnight, and a clock
may be set. While the decision log cannot be written it tries again. Never decides what expiring means.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from ordergate.venue.tape.player import Clock, WallClock

_log: Final = logging.getLogger(__name__)

LOOK_S: Final = 30.0
_DAY: Final = timedelta(days=1)


class Floor(Protocol):
    """Where orders stand: the exchange."""

    def end_session(self, symbol: str | None, now: datetime, *, before: datetime | None = None) -> int:
        """Expire the DAY orders taken before this moment."""


class Sessions:
    def __init__(self, floor: Floor, *, clock: Clock | None = None) -> None:
        self._floor = floor
        self._clock: Clock = WallClock() if clock is None else clock

    def end_past(self) -> None:
        """Expire what is left of earlier days. Raises what the log raises."""
        now = self._clock.now()
        self._floor.end_session(None, now, before=_midnight(now))

    async def run(self) -> None:
        """Until cancelled."""
        never = asyncio.Event()
        while True:
            try:
                self.end_past()
            except OSError as fault:
                _log.error("session.waits", extra={"reason": str(fault)})
            now = self._clock.now()
            left = _midnight(now) + _DAY - now
            await self._clock.wait(never, min(left.total_seconds(), LOOK_S))


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
