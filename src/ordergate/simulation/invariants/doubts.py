"""I6: what is not known is not hidden either: somebody is told of every doubt that stays."""

from __future__ import annotations

from collections.abc import Callable

from ordergate.core.accounts.alarms import AlarmNature, alarm_id
from ordergate.core.accounts.events import AlarmCleared, AlarmRaised
from ordergate.core.ids import AccountId, OrderId
from ordergate.journal.tails import Linked
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.invariants.telling import UNTOLD_S_MAX, Telling


class Alarmed(Telling):
    """I6: an order that stays unknown has an alarm in the journal, whatever the wall clock says."""

    id = "I6"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._stand: dict[AccountId, set[str]] = {}

    def committed(self, linked: Linked, by: str) -> None:
        super().committed(linked, by)
        stand = self._stand.setdefault(linked.unit.account, set())
        for entry in linked.unit.entries:
            if isinstance(entry.event, AlarmRaised):
                stand.add(entry.event.alarm_id)
            elif isinstance(entry.event, AlarmCleared):
                stand.discard(entry.event.alarm_id)

    def count(self, able: Gateway, since: float, now: float) -> None:
        untold = [
            order.id
            for account_id, account in self.sight.audit.accounts.items()
            for order in account.orders.values()
            if order.unknown and order.is_open and not self._is_told(account_id, order.id)
        ]
        before = self.untold_s
        self.untold_s = {one: before[one] + now - since if one in before else 0.0 for one in untold}
        for order_id, seconds in self.untold_s.items():
            if seconds > UNTOLD_S_MAX:
                self.violated(f"nobody was told of {order_id}, which was unknown for {seconds:.0f} s")

    def _is_told(self, account: AccountId, order: OrderId) -> bool:
        of_each, of_many = (alarm_id(AlarmNature.UNKNOWN_ORDER, one) for one in (order, account))
        return not self._stand.get(account, set()).isdisjoint({of_each, of_many})
