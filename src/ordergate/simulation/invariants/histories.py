"""I25: every answer about an order is the order as it was at one moment between question and answer.

The journal commits an order's versions one after the other, so an order is a register: a reader may
see any version from the last one before its question to the last one before its answer, and no other.
A list of what is open is one read of all of them: there was one moment at which they all were so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from ordergate.core.ids import AccountId
from ordergate.journal.tails import Linked
from ordergate.ports.journal import OrderRow
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.reader import OPEN
from ordergate.simulation.witness import Answered, Read


class Linearizable(SightedChecker):
    """I25, per order, over every answer that carried one; of a list over all its orders at once."""

    id = "I25"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._versions: dict[str, list[tuple[float, bytes]]] = {}
        self._rows: dict[AccountId, list[tuple[float, OrderRow]]] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for row in linked.unit.orders:
            self._versions.setdefault(row.id, []).append((self.sight.time(), row.body))
            self._rows.setdefault(linked.unit.account, []).append((self.sight.time(), row))

    def answered(self, answered: Answered) -> None:
        if answered.order:
            self._judge(answered.order, answered.body, answered.asked_s, f"{answered.verb} {answered.key}")

    def read(self, read: Read) -> None:
        if read.by == OPEN:
            self._judge_list(read)
        for order, body in read.found.items():
            self._judge(order, body, read.asked_s, f"{read.client} read by {read.by}")

    def _judge(self, order: str, shown: bytes, asked_s: float, who: str) -> None:
        versions = self._versions.get(order, [])
        oldest = max((place for place, (at, _) in enumerate(versions) if at < asked_s), default=0)
        if not any(body == shown for _, body in versions[oldest:]):
            self.violated(f"{who}: {order} was never so in that time")

    def _judge_list(self, read: Read) -> None:
        if not any(shown == read.found for shown in self._open_since(read.account, read.asked_s)):
            self.violated(f"{read.client} was shown {len(read.found)} open orders, never all so at once")

    def _open_since(self, account: AccountId, asked_s: float) -> Iterator[dict[str, bytes]]:
        """What was open at each moment from just before the question on."""
        rows = self._rows.get(account, [])
        shown: dict[str, bytes] = {}
        for at, together in groupby(rows, key=lambda one: one[0]):
            if at >= asked_s:
                yield shown
            for _, row in together:
                shown.pop(row.id, None)
                if row.open:
                    shown[row.id] = row.body
        yield shown
