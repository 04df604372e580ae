"""Whether a broker's stream really tells what happens. Heartbeats prove nothing; news does.

An order that was acknowledged should show on the stream, and an execution that a question brought
to light should be told by it too. Sets of what is still owed, per account; nothing here waits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from ordergate.core.ids import OrderId
from ordergate.core.orders.reports import ExecutedReport, Report

EARLY_MAX: Final = 4_096
OWED_MAX: Final = 20_000
ASKED_MAX: Final = 3


class Owed(msgspec.Struct):
    """An acknowledged order that the stream has not shown. `since` is in monotonic seconds."""

    order_id: OrderId
    since: float
    asked: int = 0


class StreamWatch:
    """One account's. `generation` counts how often the stream has come up."""

    def __init__(self) -> None:
        self.up_since: float | None = None
        self.generation = 0
        self._unshown: dict[str, Owed] = {}
        self._early: OrderedDict[str, None] = OrderedDict()
        self._untold: dict[str, float] = {}
        self._told: OrderedDict[str, None] = OrderedDict()

    def came_up(self, now: float) -> None:
        """What the stream owed before is not owed by this one: everything is asked for anew."""
        self.up_since = now
        self.generation += 1
        self._forget()

    def went_down(self) -> None:
        self.up_since = None
        self._forget()

    def acknowledged(self, broker_order_id: str, order_id: OrderId, now: float) -> None:
        """The order is at the broker: the stream owes it, unless it was quicker."""
        if broker_order_id in self._early:
            del self._early[broker_order_id]
        elif self.up_since is not None and len(self._unshown) < OWED_MAX:
            self._unshown[broker_order_id] = Owed(order_id, now)

    def heard(self, report: Report) -> None:
        """The stream said something about an order."""
        if self._unshown.pop(report.broker_order_id, None) is None:
            _remember(self._early, report.broker_order_id)
        if isinstance(report, ExecutedReport) and self._untold.pop(report.exec_id, None) is None:
            _remember(self._told, report.exec_id)

    def overdue(self, now: float, after_s: float) -> list[OrderId]:
        """Orders that the stream has owed for so long, to be asked about; each a few times only."""
        found = []
        for broker_order_id, owed in tuple(self._unshown.items()):
            if now - owed.since < after_s:
                continue
            owed.since, owed.asked = now, owed.asked + 1
            found.append(owed.order_id)
            if owed.asked >= ASKED_MAX:
                del self._unshown[broker_order_id]  # from here on the timer's runs look after it
        return found

    def learned(self, exec_id: str, now: float, *, unread_since: float | None) -> None:
        """A question brought an execution to light that happened after `unread_since`.

        Owed only where the stream was up all that time and has not told it: what it tells first is not always
        believed before it was read.
        """
        if exec_id in self._told:
            return
        up = self.up_since
        if up is None or unread_since is None or unread_since <= up or len(self._untold) >= OWED_MAX:
            return
        self._untold[exec_id] = now

    def deaf_since(self, now: float, after_s: float) -> float | None:
        """Since when the stream keeps back an execution; None while it has time to tell."""
        oldest = next(iter(self._untold.values()), None)
        return oldest if oldest is not None and now - oldest >= after_s else None

    @property
    def untold(self) -> tuple[str, ...]:
        return tuple(self._untold)

    def _forget(self) -> None:
        self._unshown.clear()
        self._early.clear()
        self._untold.clear()
        self._told.clear()


def _remember(latest: OrderedDict[str, None], name: str) -> None:
    latest[name] = None
    if len(latest) > EARLY_MAX:
        latest.popitem(last=False)
