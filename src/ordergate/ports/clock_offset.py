"""The promise of a measurement: how far this machine's clock is from the time that others keep."""

from __future__ import annotations

from typing import Protocol


class ClockOffset(Protocol):
    async def offset_ms(self) -> float | None:
        """Milliseconds that this clock is ahead, negative when behind; None when nothing can tell.

        Bounded in time, and never a guess: a clock that nobody disciplines is unknown.
        """
        ...
