"""I3, the other half: where a broker made two orders of one call (B25), somebody is told of it soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.accounts.events import AlarmRaised
from ordergate.core.ids import AccountId
from ordergate.journal.tails import Linked
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.invariants.telling import UNTOLD_S_MAX, Telling


class DoublesTold(Telling):
    """I3: within five seconds of when a gateway could know of both orders there is an alarm about them.

    It could know of an order from when its broker told it of that, on the stream, in an answer or on a list,
    or from its start when the journal had it by then. An order that is over and has done nothing is no
    second one.
    """

    id = "I3"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._alarmed: set[str] = set()

    def committed(self, linked: Linked, by: str) -> None:
        super().committed(linked, by)
        for entry in linked.unit.entries:
            if isinstance(entry.event, AlarmRaised) and entry.event.nature == AlarmNature.ORDER_DOUBLED:
                self._alarmed.add(entry.event.subject)

    def count(self, able: Gateway, since: float, now: float) -> None:
        for subject, known_s in self._known(able):
            self.untold_s[subject] = self.untold_s.get(subject, 0.0) + now - max(since, known_s)
            if self.untold_s[subject] > UNTOLD_S_MAX:
                self.violated(f"{subject} is two orders at the venue, and nobody was told")

    def _known(self, gateway: Gateway) -> Iterator[tuple[str, float]]:
        """Of what no alarm tells: the name, and since when the gateway could know of both its orders."""
        for account, subject, both in self._untold():
            known = [self._known_s(gateway, account, subject, one) for one in both]
            if None not in known:
                yield subject, max(one for one in known if one is not None)

    def _known_s(self, gateway: Gateway, account: AccountId, subject: str, broker_id: str) -> float | None:
        order, _ = self.sight.order_of(subject)
        is_written = self.sight.audit.of_broker(account, broker_id) is not None
        if is_written or (order is not None and broker_id in order.broker_ids):
            return 0.0
        return self.sight.brokerage(account).doubles.told_s(gateway.name, broker_id)

    def _untold(self) -> Iterator[tuple[AccountId, str, tuple[str, str]]]:
        for account, brokerage in self.sight.brokerages.items():
            for subject, both in brokerage.doubles.of.items():
                orders = [brokerage.exchange.order(one) for one in both]
                do_something = all(one is not None and (one.is_open or one.cum_qty) for one in orders)
                if do_something and self._alarmed.isdisjoint(both):
                    yield account, subject, both

    def ended(self) -> None:
        """Everything has been asked."""
        for _, subject, _ in self._untold():
            self.violated(f"{subject} is two orders at the venue, and nobody was ever told")
