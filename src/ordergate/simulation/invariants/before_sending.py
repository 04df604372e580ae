"""I1, I2, I10, I16: what must be so before a byte leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ordergate.brokers.paper.exchange import Moved
from ordergate.brokers.paper.fates import Call
from ordergate.core.ids import AccountId, OrderId
from ordergate.journal.tails import Linked
from ordergate.ports.broker import DedupClass
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.witness import Answered, Checker, Sent

SENDING_S_MAX: Final = 7.0


class SightedChecker(Checker):
    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(say)
        self.sight = sight


class IntentBeforeSend(SightedChecker):
    """I1: what is sent was committed before."""

    id = "I1"

    def sent(self, sent: Sent) -> None:
        order, version = self.sight.order_of(sent.subject)
        if order is None:
            self._unless_adopted(sent)
            return
        if sent.call is Call.REPLACE and version not in order.asked:
            self.violated(f"{sent.subject} replaces without a committed request")
        if sent.call is Call.CANCEL and not order.ever_cancelled:
            self.violated(f"a cancel of {order.id} was sent that is not in the journal")

    def _unless_adopted(self, sent: Sent) -> None:
        self.violated(f"{sent.call} {sent.subject} was sent, and the journal knows no such order")


class RiskBeforeSend(SightedChecker):
    """I2: what is sent was approved, under the limits in force, with this very content.

    Whoever asks after a change of the limits was answered is judged by it.
    """

    id = "I2"

    def sent(self, sent: Sent) -> None:
        order, version = self.sight.order_of(sent.subject)
        if order is None or sent.call is Call.CANCEL:
            return
        approved = order.config_hash if sent.call is Call.PLACE else order.asked[version].config_hash
        if order.denied:
            self.violated(f"{order.id} was denied and sent")
        if order.kept:
            self.violated(f"{order.id} was sent while it was kept for the next session")
        known = self.sight.audit.governance.named(order.account, approved)
        if not order.external and known is None:
            self.violated(f"{order.id} was sent under limits that nobody has set")

    def answered(self, answered: Answered) -> None:
        if answered.verb == "limits" and not answered.refused:
            self.sight.audit.governance.told(self.sight.time())
        order = self.sight.audit.order(OrderId(answered.order))
        if answered.verb != "place" or answered.replayed or order is None:
            return
        judged_by = self.sight.audit.governance.named(order.account, order.config_hash)
        if judged_by is not None and judged_by.over_s < answered.asked_s:
            self.violated(f"{order.id} was judged by limits that others had taken the place of")

    def moved(self, account: AccountId, moved: Moved) -> None:
        """The venue holds what was approved, field by field; of a replacement, what is left of it."""
        if moved.word != "new":
            return
        order, version = self.sight.order_of(moved.order.cl_ord_id)
        if order is None:
            return
        asked = order.asked.get(version)
        approved = order.terms
        if moved.order.replaces is not None and asked is not None:
            approved = msgspec.structs.replace(
                order.terms,
                quantity=asked.quantity - moved.order.filled_before,
                limit_price=asked.limit_price,
                stop_price=asked.stop_price,
            )
        if approved != moved.order.terms:
            self.violated(f"{moved.order.cl_ord_id} reached the venue with other terms than were approved")


class NoMoreThanApproved(SightedChecker):
    """I10: no more messages than were approved; only class A may be told the same thing again.

    An approval is good for one message, and so is each time that it was written down that it is sent. A
    broker that could not tell the second from the first is told nothing before that is written down.
    """

    id = "I10"

    def sent(self, sent: Sent) -> None:
        if sent.call is Call.CANCEL:
            return
        self.sight.sends[sent.subject] += 1
        setting = self.sight.ground.plan.setting
        may_repeat = setting.dedup is DedupClass.A and setting.resend_is_safe and sent.call is Call.PLACE
        nameless = setting.dedup is DedupClass.C and sent.call is Call.PLACE
        order, _ = self.sight.order_of(sent.subject)
        starts = 0 if order is None or sent.call is not Call.PLACE else order.starts
        most = min(starts, 1) if nameless else 1 + (starts if may_repeat else 0)
        if self.sight.sends[sent.subject] > most:
            sends = self.sight.sends[sent.subject]
            self.violated(f"{sent.call} {sent.subject} was sent {sends} times, {most} were approved")


class Fenced(SightedChecker):
    """I16: nobody writes or sends orders for an account that another has taken.

    What was durable and under way when another took over may still leave for as long as one sending
    takes; the new owner counts on that and waits longer. A cancel is harmless whoever sends it.
    """

    id = "I16"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._epochs: dict[str, int] = {}
        self._takers: dict[tuple[str, int], str] = {}

    def committed(self, linked: Linked, by: str) -> None:
        unit = linked.unit
        before = self._epochs.get(unit.account, 0)
        if unit.epoch < before:
            self.violated(f"{unit.account} was written under epoch {unit.epoch} after {before}")
        self._epochs[unit.account] = max(before, unit.epoch)
        taker = self._takers.setdefault((unit.account, unit.epoch), by)
        if taker != by:
            self.violated(f"{unit.account} was written under epoch {unit.epoch} by {taker} and by {by}")

    def sent(self, sent: Sent) -> None:
        owner = self.sight.server.owners.get(sent.account)
        late_s = self.sight.time() - self.sight.server.taken_s.get(sent.account, 0.0)
        if owner != sent.gateway and sent.call is not Call.CANCEL and late_s > SENDING_S_MAX:
            self.violated(f"{sent.gateway} sent {sent.call} {sent.subject}; {sent.account} is {owner}'s")
