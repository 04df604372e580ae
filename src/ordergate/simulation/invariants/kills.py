"""I17: what a stop forbids, at every level and grade."""

from __future__ import annotations

from typing import Final

from ordergate.brokers.paper.fates import Call
from ordergate.core.orders import events as e
from ordergate.journal.tails import Linked
from ordergate.simulation.audit import Kill
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.controls import opens
from ordergate.simulation.witness import Sent

KILL_PROPAGATES_S: Final = 1.0
SWEPT_S_MAX: Final = 20.0


class Killed(SightedChecker):
    """I17: nothing that a stop forbids is approved once it is durable, nor leaves after a second more.

    And where nothing else goes wrong, nothing that it cancels is left at the venue soon after.
    """

    id = "I17"

    def committed(self, linked: Linked, by: str) -> None:
        """Whatever was decided before the switch was thrown was queued, and so committed, before it."""
        if not self.sight.audit.kills:
            return
        for entry in linked.unit.entries:
            event, order = entry.event, self.sight.audit.order(entry.order_id)
            if order is None or not isinstance(event, e.OrderAccepted | e.ReplaceRequested):
                continue
            stops = self.sight.audit.stops_of(order)
            if any(kill.blocks_since is not None for kill in stops):
                self.violated(f"{order.id} was approved while the kill switch was engaged")
            elif stops and opens(self.sight.audit.account(order.account), order, event):
                self.violated(f"{order.id} was approved and reduces nothing, which alone was allowed")

    def sent(self, sent: Sent) -> None:
        if sent.call is Call.CANCEL or not self.sight.audit.kills:
            return
        order, _ = self.sight.order_of(sent.subject)
        for kill in () if order is None else self.sight.audit.stops_of(order):
            if self._is_older(kill.blocks_since, KILL_PROPAGATES_S):
                self.violated(f"{sent.call} {sent.subject} was sent while the kill switch was engaged")

    def ticked(self) -> None:
        due = [kill for kill in self.sight.audit.kills.values() if self._is_due(kill)]
        if not due:
            return
        for account, brokerage in self.sight.brokerages.items():
            for theirs in brokerage.exchange.orders():
                order, _ = self.sight.order_of(theirs.cl_ord_id)
                order = order or self.sight.audit.of_broker(account, theirs.id)
                if order is not None and theirs.is_open and _any_of(due, self.sight.audit.stops_of(order)):
                    self.violated(f"{order.id} is open at the venue, and was to be canceled")

    def _is_due(self, kill: Kill) -> bool:
        calm_s = self.sight.ground.weather.healed_s
        since = kill.cancels_since
        return since is not None and self._is_older(max(since, calm_s), SWEPT_S_MAX)

    def _is_older(self, since: float | None, seconds: float) -> bool:
        return since is not None and self.sight.time() - since > seconds


def _any_of(due: list[Kill], stops: list[Kill]) -> bool:
    return any(kill is one for kill in due for one in stops)
