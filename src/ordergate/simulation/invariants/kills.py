"""I17: what a stop forbids, at every level and grade."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from ordergate.brokers.paper.fates import Call
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import TimeInForce
from ordergate.core.risk.trading_state import DeadManArmed, DeadManExpired, Remaining
from ordergate.journal.tails import Linked
from ordergate.simulation.audit import Kill, Known
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.controls import opens
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.line import LATE_S_MAX
from ordergate.simulation.trader import DEAD_MAN_S
from ordergate.simulation.witness import Sent

KILL_PROPAGATES_S: Final = 1.0
# A slow line holds what was sent before the calm for so long, and until it has arrived no cancel finds it.
SWEPT_S_MAX: Final = LATE_S_MAX + 5.0
COMMITTED_S_MAX: Final = 5.0
_HEARD_S_MAX: Final = KILL_PROPAGATES_S + COMMITTED_S_MAX
_SETTLED_S: Final = 3.0


class Killed(SightedChecker):
    """I17: nothing that a stop forbids is approved once it is durable, nor leaves after a second more.

    And where nothing else goes wrong, nothing that it cancels is left at the venue soon after.
    """

    id = "I17"

    def committed(self, linked: Linked, by: str) -> None:
        """Whatever was decided before the switch was thrown was queued, and so committed, before it.

        By the process that threw it: another hears of it, and has until then approved what it then commits.
        """
        if not self.sight.audit.kills:
            return
        for entry in linked.unit.entries:
            event, order = entry.event, self.sight.audit.order(entry.order_id)
            if order is None or not isinstance(event, e.OrderAccepted | e.ReplaceRequested):
                continue
            stops = [kill for kill in self.sight.audit.stops_of(order) if self._was_heard(kill, by)]
            if any(kill.blocks_since is not None for kill in stops):
                self.violated(f"{order.id} was approved while the kill switch was engaged")
            elif stops and opens(self.sight.audit.account(order.account), order, event):
                self.violated(f"{order.id} was approved and reduces nothing, which alone was allowed")

    def _was_heard(self, kill: Kill, by: str) -> bool:
        return kill.by == by or self._is_older(kill.blocks_since or kill.since, _HEARD_S_MAX)

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
                order = self.sight.audit.of_broker(account, theirs.id)
                order = order or self.sight.order_of(theirs.cl_ord_id)[0]
                if order is not None and theirs.is_open and _any_of(due, self.sight.audit.stops_of(order)):
                    self.violated(f"{order.id} is open at the venue, and was to be canceled")

    def _is_due(self, kill: Kill) -> bool:
        calm_s = self.sight.ground.weather.healed_s
        since = kill.cancels_since
        return since is not None and self._is_older(max(since, calm_s), SWEPT_S_MAX)

    def _is_older(self, since: float | None, seconds: float) -> bool:
        return since is not None and self.sight.time() - since > seconds


class _Gone(msgspec.Struct, frozen=True):
    """A client that went away: since when, by the gateway's clock and by the run's."""

    user: str
    at: datetime
    since: float
    keeps_gtc: bool


class DeadMen(SightedChecker):
    """I17, of those who go away: it is noticed in time, and nothing that they had open is left soon after."""

    id = "I17"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._armed: dict[str, DeadManArmed] = {}
        self._gone: dict[str, _Gone] = {}
        self._placed: dict[OrderId, float] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            match entry.event:
                case e.OrderAccepted(order_id=order) | e.OrderHeld(order_id=order):
                    self._placed.setdefault(order, self.sight.time())
                case DeadManArmed() as armed:
                    self._armed[armed.user] = armed
                case DeadManExpired(user=user, at=at, arming=arming) if self._is_armed(user, arming):
                    keeps = self._armed.pop(user).gtc is Remaining.KEEP
                    self._gone[user] = _Gone(user, at, self.sight.time(), keeps)
                case _:
                    continue

    def ticked(self) -> None:
        self._look(SWEPT_S_MAX)

    def _look(self, patience_s: float) -> None:
        calm_s, now = self.sight.ground.weather.healed_s, self.sight.time()
        for gone in self._gone.values():
            if now - max(gone.since, calm_s) <= patience_s:
                continue
            for account, brokerage in self.sight.brokerages.items():
                for theirs in brokerage.exchange.orders():
                    order, _ = self.sight.order_of(theirs.cl_ord_id)
                    if brokerage.is_double(theirs):
                        continue  # it is nobody's here
                    if order is not None and theirs.is_open and self._was_to_go(order, gone):
                        self.violated(f"{order.id} of {account} is open, and {gone.user} has gone away")

    def ended(self) -> None:
        """Nothing is under way any more."""
        self._look(_SETTLED_S)
        now, calm_s = self.sight.time(), self.sight.ground.weather.healed_s
        for trader in self.sight.traders:
            user = trader.client.principal.subject
            if trader.seen_s is None or user not in self._armed:
                continue
            if now - max(trader.seen_s, calm_s) > DEAD_MAN_S + SWEPT_S_MAX:
                self.violated(f"{user} went away at {trader.seen_s:.3f} s, and nobody noticed")

    def _is_armed(self, user: str, arming: int) -> bool:
        """An expiry of an earlier arming takes nothing from the one of now."""
        return user in self._armed and self._armed[user].arming == arming

    def _was_to_go(self, order: Known, gone: _Gone) -> bool:
        keeps = gone.keeps_gtc and order.terms.time_in_force is TimeInForce.GTC
        is_grouped = self.sight.audit.bundles.of(order.id) is not None
        return order.actor == gone.user and self._was_before(order, gone) and not keeps and not is_grouped

    def _was_before(self, order: Known, gone: _Gone) -> bool:
        """After a clock was set back what comes later looks older: the run knows better."""
        if self._placed.get(order.id, 0.0) > gone.since + COMMITTED_S_MAX or order.at > gone.at:
            return False
        went = max(self.sight.clock.showed(gone.at), default=gone.since)
        return min(self.sight.clock.showed(order.at), default=0.0) <= went


def _any_of(due: list[Kill], stops: list[Kill]) -> bool:
    return any(kill is one for kill in due for one in stops)
