"""Lets the orders that were kept for the next session go when their market opens, each of them once.

Risk is asked about each as if it came now. What it lets pass is written down as accepted, and that commit
sends it, as any other; what it refuses for good is denied; what may pass a little later waits. A DAY order
belongs to the session that it was kept for and expires with it. Speaks to no broker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ordergate.core.faults import Fault
from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import TimeInForce
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.commands.judging import Judging, NotListed
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("session_queue")

LOOK_S: Final = 0.25
RELEASED_PER_LOOK_MAX: Final = 100


class SessionQueue:
    def __init__(
        self, lanes: Lanes, judging: Judging, clock: Clock, *, admits: Callable[[Seat, Order], bool]
    ) -> None:
        """`admits` is false while the node would take no new order either, or none of the strategy."""
        self._admits = admits
        self._lanes = lanes
        self._judging = judging
        self._clock = clock

    async def keep(self) -> None:
        """Look at what is kept, for ever."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Let go what may go now, the oldest first."""
        now = self._clock.now()
        for seat in self._lanes:
            if seat.trouble is None and seat.limits_known:
                self._look(seat, now)

    def _look(self, seat: Seat, now: datetime) -> None:
        released = 0
        for order in seat.lane.books.held_orders():
            try:
                event = self._next(seat, order, now)
            except NotListed:
                continue  # it can only be canceled, and holds up no other
            if event is None:
                continue
            try:
                seat.lane.record([event], correlation=f"session.{order.id}")
            except Fault as fault:
                # The lane recovers, and what is kept is found kept, or released.
                log.error("session.unrecorded", order=order.id, why=str(fault))
                return
            released += 1
            if released == RELEASED_PER_LOOK_MAX:
                return

    def _next(self, seat: Seat, order: Order, now: datetime) -> e.AnyOrderEvent | None:
        """What is true of it from now on; None while it is kept."""
        if order.status is not Status.HELD or order.held_until is None:
            return None
        if order.cancel_requested:
            evidence = f"{order.cl_ord_id} was never sent"
            return e.OrderCanceled(order_id=order.id, at=now, evidence=evidence)
        if now < order.held_until:
            return None
        if order.terms.time_in_force is TimeInForce.DAY and self._is_over(seat, order, order.held_until, now):
            evidence = f"the session that began at {order.held_until.isoformat()} is over; it was never sent"
            return e.OrderExpired(order_id=order.id, at=now, evidence=evidence)
        return self._judging.release(seat, order) if self._admits(seat, order) else None

    def _is_over(self, seat: Seat, order: Order, opened: datetime, now: datetime) -> bool:
        """Whether the session that began then has ended. One that is not known any more has; where those of
        now are not known either they were not read yet, as after a start, and nobody can tell.
        """
        symbol = seat.lane.books.present_name(order.terms.symbol)
        session = self._judging.hours(symbol, opened)
        if session is None:
            return self._judging.hours(symbol, now) is not None
        return not session.is_open or session.until is None or now >= session.until
