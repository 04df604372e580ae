"""When something left for a broker.

A send is timed by the process's own clock, at the last question before the wire; the time of day is
worked out afterwards, so nothing is added on the way out. Decides nothing about sending.
"""

from __future__ import annotations

from datetime import timedelta

from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.ports.broker import Outcome, Unsent, Veto
from ordergate.ports.clock import Clock


class Sending:
    """One order, cancel or replacement on its way.

    `committed` is a monotonic second, None where the commit was another's; `version` a replacement's.
    """

    def __init__(
        self,
        clock: Clock,
        committed: float | None,
        asked: e.Asked = e.Asked.PLACE,
        version: int | None = None,
    ) -> None:
        self._clock = clock
        self._committed = committed
        self._asked = asked
        self._version = version
        self._left: float | None = None

    def timed(self, veto: Veto) -> Veto:
        """The same veto, which an adapter asks last of all; what it lets pass leaves then."""

        def ask() -> str | None:
            no = veto()
            if no is None:
                self._left = self._clock.monotonic()
            return no

        return ask

    def sent(self, order_id: OrderId, outcome: Outcome) -> e.OrderSent | None:
        """What to keep of it; None where it did not leave."""
        if self._left is None or isinstance(outcome, Unsent):
            return None
        now, monotonic = self._clock.now(), self._clock.monotonic()
        committed = self._committed
        return e.OrderSent(
            order_id=order_id,
            at=now,
            sent_at=now - timedelta(seconds=monotonic - self._left),
            committed_at=None if committed is None else now - timedelta(seconds=monotonic - committed),
            asked=self._asked,
            version=self._version,
        )
