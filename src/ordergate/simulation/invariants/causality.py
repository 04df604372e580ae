"""I14: nobody is shown an order as it was before what anybody has already been shown of it.

An answer with a yes, a frame on any stream and a read each say that an order has come so far. A read that
begins after that shows it so or later, whoever reads and whichever gateway is asked; and it finds it.
"""

from __future__ import annotations

from collections.abc import Callable

from ordergate.journal.tails import Linked
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.reader import OPEN
from ordergate.simulation.witness import Heard, Read


class ReadsWhatWasHeard(SightedChecker):
    """I14. The versions of an order are counted as they are committed; no clock has a say in it."""

    id = "I14"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._counted: dict[str, dict[bytes, int]] = {}
        self._open: dict[str, list[bool]] = {}
        self._heard: dict[str, list[tuple[float, int]]] = {}
        self._of: dict[str, dict[str, None]] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for row in linked.unit.orders:
            self._counted.setdefault(row.id, {})[row.body] = len(self._open.setdefault(row.id, []))
            self._open[row.id].append(row.open)
            self._of.setdefault(linked.unit.account, {})[row.id] = None

    def heard(self, heard: Heard) -> None:
        version = self._counted.get(heard.order, {}).get(heard.body)
        heard_before = self._heard.setdefault(heard.order, [])
        if version is not None and (not heard_before or version > heard_before[-1][1]):
            heard_before.append((self.sight.time(), version))

    def read(self, read: Read) -> None:
        wanted = self._of.get(read.account, {}) if read.by == OPEN else (read.order,)
        for order in wanted:
            least = self._known_before(order, read.asked_s)
            if least is not None and (order in self._of.get(read.account, {})):
                self._judge(read, order, least)

    def _judge(self, read: Read, order: str, least: int) -> None:
        shown = read.found.get(order)
        if shown is None:
            if read.by != OPEN or all(self._open[order][least:]):
                self.violated(f"{read.client} did not find {order} by {read.by}, which had been shown before")
        elif self._counted[order].get(shown, least) < least:
            self.violated(f"{read.client} was shown by {read.by} what {order} had been before")

    def _known_before(self, order: str, asked_s: float) -> int | None:
        """Which version had been heard when the question was asked."""
        heard = [version for at, version in self._heard.get(order, ()) if at < asked_s]
        return heard[-1] if heard else None
