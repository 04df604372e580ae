"""What every part of a run stands on: time, the plan, its weather, and who watches."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Final

from ordergate.simulation.loop import WORLD, VirtualLoop
from ordergate.simulation.plan import Plan
from ordergate.simulation.trace import Trace
from ordergate.simulation.weather import Weather
from ordergate.simulation.witness import Witness

START: Final = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


class Ground:
    def __init__(self, plan: Plan, *, keep_trace: bool) -> None:
        self.plan = plan
        self.loop = VirtualLoop()
        self.world: Context = self.loop.process(WORLD)
        self.trace = Trace(self.loop.time, keep=keep_trace)
        self.weather = Weather(self.loop, plan, self.trace, self.world)
        self.witness = Witness(self.trace, self.loop.time)

        self.clogged_until: dict[str, float] = {}
        self._told, self._told_at = START, 0.0

    def now(self) -> datetime:
        """The true time of the run; it is asked for far more often than it moves."""
        if self._told_at != self.loop.time():
            self._told_at = self.loop.time()
            self._told = START + timedelta(seconds=self._told_at)
        return self._told

    def clog_s(self, line: str) -> float:
        """How long what is sent on this line now stands still (N2)."""
        until = self.clogged_until.get(line)
        return 0.0 if until is None else max(until - self.loop.time(), 0.0)

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Things of the world go on, whoever dies."""
        self.loop.call_later(seconds, call, context=self.world)

    def chance(self, whose: str) -> random.Random:
        """Dice of one's own, so that one part's throws never move another's."""
        return random.Random(f"{self.plan.seed} {whose}")
