"""The time in which somebody could have been told: what the promise to tell soon is held to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from ordergate.journal.tails import Linked
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight

UNTOLD_S_MAX: Final = 5.0
"""What is promised."""

_WRITES_S_MAX: Final = 1.0
_DATABASE_FAULTS: Final = ("D3", "D4", "D5", "N1", "N3")


class Telling(SightedChecker):
    """Counts only the time in which one and the same gateway served, and the database wrote something for it.

    `untold_s` has the seconds of each thing that nobody is told of.
    """

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self.untold_s: dict[str, float] = {}
        self._able: Gateway | None = None
        self._at = self._written_s = 0.0

    def committed(self, linked: Linked, by: str) -> None:
        self._written_s = self.sight.time()

    def ticked(self) -> None:
        before, self._able = self._able, _able_to_tell(self.sight)
        now, since = self.sight.time(), self._at
        self._at = now
        if now - self._written_s > _WRITES_S_MAX:
            return
        if self._able is None or before is not self._able:
            self.untold_s.clear()
            return
        self.count(self._able, since, now)

    @abstractmethod
    def count(self, able: Gateway, since: float, now: float) -> None:
        """Add what was untold from then to now, in which this gateway could tell."""


def _able_to_tell(sight: Sight) -> Gateway | None:
    """The gateway that could write an alarm down now."""
    if any(sight.ground.weather.spell(fault) is not None for fault in _DATABASE_FAULTS):
        return None
    living = [one for one in sight.gateways() if one.serves and one.answers and not one.recovering]
    return living[0] if len(living) == 1 else None
