"""Cancels that were at the broker before their orders, and found nothing there.

The first news that shows such an order at the broker is the moment to ask again: until then it may trade. A
restart forgets them, and the reconciler, which asks again now and then in any case, does not.
"""

from __future__ import annotations

from ordergate.core.ids import OrderId
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order


class EarlyCancels:
    """For one event loop. Holds orders that are not final, and not known at the broker."""

    def __init__(self) -> None:
        self._orders: set[OrderId] = set()

    def asked(self, order: Order) -> None:
        """A cancel was answered, and this is what is known of its order now."""
        if _waits(order) and order.broker_order_id is None:
            self._orders.add(order.id)

    def __contains__(self, order_id: OrderId) -> bool:
        return order_id in self._orders

    def are_due(self, order_id: OrderId, order: Order | None) -> bool:
        """Of one that is here, whether what was just heard is the moment to ask again; True once."""
        if order is not None and _waits(order) and order.broker_order_id is None:
            return False
        self._orders.discard(order_id)
        return order is not None and _waits(order)


def _waits(order: Order) -> bool:
    return order.status is Status.PENDING_CANCEL
