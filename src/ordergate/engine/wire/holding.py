"""Holds an order that is durable until the own orders are gone that it would have traded with.

They were asked to go in the same commit. What waits too long, or is itself canceled meanwhile, is never
sent. Asks no broker, and writes nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from ordergate.core.ids import OrderId
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.clock import Clock

LOOK_S: Final = 0.01
HELD_S_MAX: Final = 10.0


class Held(Enum):
    """How the wait ended: it may leave, it was canceled, the others stayed, or it is over already."""

    FREE = auto()
    CANCELED = auto()
    LATE = auto()
    OVER = auto()


async def until_free(seat: Seat, order: Order, clock: Clock) -> Held:
    """Wait for the orders before this one, for so long at most."""
    deadline = clock.monotonic() + HELD_S_MAX
    while True:
        now = seat.lane.books.order(order.id)
        if now is None or now.is_final:
            return Held.OVER
        if now.cancel_requested:
            return Held.CANCELED
        if all(_is_gone(seat, one) for one in now.waits_for):
            return Held.FREE
        if clock.monotonic() >= deadline:
            return Held.LATE
        await clock.sleep(LOOK_S)


def _is_gone(seat: Seat, order_id: OrderId) -> bool:
    """What is not in memory any more has ended long ago."""
    order = seat.lane.books.order(order_id)
    return order is None or order.is_final
