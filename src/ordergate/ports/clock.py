"""Time and chance, so that the engine has neither of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, in UTC, with time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring; not comparable between processes."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Chance(Protocol):
    def bits(self, count: int) -> int:
        """A fresh random number of `count` bits."""
        ...
