"""D3: the primary is lost with a statement under way, and after a while its standby takes its place.

A commit is answered, and anybody else can see it, once the synchronous standby has it. So what the
primary alone had written is lost with it for good, and was never answered. The new primary knows nothing
of the old one's sessions: neither their fence, nor their process ids, nor what they were about.
"""

from __future__ import annotations

from ordergate.simulation.plan import Strike
from ordergate.simulation.weather import Weather


class Failover:
    """`term` counts the primaries there have been; a connection does not outlive its own."""

    def __init__(self, weather: Weather) -> None:
        self.term = 1
        self._due: list[Strike] = []
        self._holding: list[Strike] = []
        self._under_way: Strike | None = None
        weather.on("D3", self._comes, self._over)

    @property
    def is_under_way(self) -> bool:
        """Whether the old primary is gone and the new one does not serve yet."""
        return self._under_way is not None

    def next(self) -> Strike | None:
        """The one that the statement which is just leaving meets, if it is time for one."""
        return self._due.pop(0) if self._due and not self.is_under_way else None

    def begin(self, strike: Strike) -> None:
        """The primary is gone for the rest of the spell, and for no time at all where that is over."""
        self._under_way = strike if strike in self._holding else None
        self.term += 1

    def _comes(self, strike: Strike) -> None:
        self._due.append(strike)
        self._holding.append(strike)

    def _over(self, strike: Strike) -> None:
        self._holding.remove(strike)
        if strike in self._due:
            self._due.remove(strike)
        if strike == self._under_way:
            self._under_way = None
