"""I6: what is not known is not hidden either: somebody is told of every doubt that stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ordergate.core.accounts.alarms import AlarmNature, alarm_id
from ordergate.core.accounts.events import AlarmCleared, AlarmRaised
from ordergate.core.ids import AccountId, OrderId
from ordergate.journal.tails import Linked
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight

UNTOLD_S_MAX: Final = 5.0
"""What is promised."""

WRITES_S_MAX: Final = 1.0

_DATABASE_FAULTS: Final = ("D3", "D4", "D5", "N1", "N3")


class Alarmed(SightedChecker):
    """I6: an order that stays unknown has an alarm in the journal, whatever the wall clock says.

    Only the time counts in which one and the same gateway served, and the database wrote something for it.
    """

    id = "I6"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._stand: dict[AccountId, set[str]] = {}
        self._untold_s: dict[OrderId, float] = {}
        self._able: Gateway | None = None
        self._at = self._written_s = 0.0

    def committed(self, linked: Linked, by: str) -> None:
        self._written_s = self.sight.time()
        stand = self._stand.setdefault(linked.unit.account, set())
        for entry in linked.unit.entries:
            if isinstance(entry.event, AlarmRaised):
                stand.add(entry.event.alarm_id)
            elif isinstance(entry.event, AlarmCleared):
                stand.discard(entry.event.alarm_id)

    def ticked(self) -> None:
        before, self._able = self._able, able_to_tell(self.sight)
        now, at = self.sight.time(), self._at
        self._at = now
        if now - self._written_s > WRITES_S_MAX:
            return
        if self._able is None or before is not self._able:
            self._untold_s.clear()
            return
        untold = [
            order.id
            for account_id, account in self.sight.audit.accounts.items()
            for order in account.orders.values()
            if order.unknown and order.is_open and not self._is_told(account_id, order.id)
        ]
        self._untold_s = {order_id: self._untold_s.get(order_id, at - now) + now - at for order_id in untold}
        for order_id, seconds in self._untold_s.items():
            if seconds > UNTOLD_S_MAX:
                self.violated(f"nobody was told of {order_id}, which was unknown for {seconds:.0f} s")

    def _is_told(self, account: AccountId, order: OrderId) -> bool:
        of_each, of_many = (alarm_id(AlarmNature.UNKNOWN_ORDER, one) for one in (order, account))
        return not self._stand.get(account, set()).isdisjoint({of_each, of_many})


def able_to_tell(sight: Sight) -> Gateway | None:
    """The gateway that could write an alarm down now."""
    if any(sight.ground.weather.spell(fault) is not None for fault in _DATABASE_FAULTS):
        return None
    living = [one for one in sight.gateways() if one.serves and one.answers and not one.recovering]
    return living[0] if len(living) == 1 else None
