"""How long something has been so with an order, whatever the wall clock is set to meanwhile.

The journal dates it by the wall clock, which may jump; this process counts from when it first looked.
The longer of the two is believed: a clock that was set back makes nothing younger, and what is older
than the process is as old as its date says.
"""

from __future__ import annotations

from datetime import datetime

from ordergate.core.ids import OrderId
from ordergate.engine.accounts.books import Books
from ordergate.ports.clock import Clock


class Ages:
    """One account's; what no longer is so is forgotten."""

    def __init__(self) -> None:
        self._first_looked: dict[tuple[OrderId, datetime], float] = {}

    def __len__(self) -> int:
        return len(self._first_looked)

    def seconds(self, order_id: OrderId, since: datetime, clock: Clock) -> float:
        """How long it has been so since that date, at least."""
        steady = clock.monotonic()
        watched = steady - self._first_looked.setdefault((order_id, since), steady)
        return max((clock.now() - since).total_seconds(), watched)

    def forget_past(self, books: Books) -> None:
        """Forget the orders that memory let go, and the dates that are no longer theirs."""
        for order_id, since in tuple(self._first_looked):
            order = books.order(order_id)
            if order is None or since not in (order.unknown_since, order.updated_at):
                del self._first_looked[order_id, since]
