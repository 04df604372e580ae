"""I25: every answer about an order is the order as it was at one moment between question and answer.

The journal commits an order's versions one after the other, so an order is a register: a reader may
see any version from the last one before its question to the last one before its answer, and no other.
"""

from __future__ import annotations

from collections.abc import Callable

from ordergate.journal.tails import Linked
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.witness import Answered


class Linearizable(SightedChecker):
    """I25, per order, over every answer that carried one."""

    id = "I25"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._versions: dict[str, list[tuple[float, bytes]]] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for row in linked.unit.orders:
            self._versions.setdefault(row.id, []).append((self.sight.time(), row.body))

    def answered(self, answered: Answered) -> None:
        if not answered.order:
            return
        versions = self._versions.get(answered.order, [])
        oldest = max((place for place, (at, _) in enumerate(versions) if at < answered.asked_s), default=0)
        if not any(body == answered.body for _, body in versions[oldest:]):
            self.violated(f"{answered.verb} {answered.key}: {answered.order} was never so in that time")
