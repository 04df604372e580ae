"""Remembers how often a broker did not know an order, and does what that allows.

An absence is judged against the order as it is by then: the broker's stream may have proven it
while the question was on its way. Nothing is ended on one answer, and nothing is sent again
where the broker could take it twice. How long it has been is told by the monotonic clock, from when
this process first looked: the wall clock may jump, and bytes are no faster for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order
from ordergate.core.orders.reconcile import (
    Absence,
    Next,
    Patience,
    counted,
    is_absent,
    judge_absence,
    settled_at,
)
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.dispatcher import Dispatcher
from ordergate.engine.wire.sendings import correlation_of
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import correlated, logger

log = logger("reconciler")


class Absences:
    """One for all accounts; an order's absences are forgotten when it is found or has ended."""

    def __init__(self, *, dispatcher: Dispatcher, clock: Clock, settle_s: float, resend_s_max: float) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._settle_s = settle_s
        self._resend_s_max = resend_s_max
        self._of: dict[OrderId, Absence] = {}
        self._of_replacement: dict[OrderId, tuple[int, Absence]] = {}
        self._doubts: dict[OrderId, tuple[datetime, datetime]] = {}
        self._steady_zero = clock.now() - timedelta(seconds=clock.monotonic())

    def __len__(self) -> int:
        return len(self._of)

    def found(self, order_id: OrderId) -> None:
        self._of.pop(order_id, None)
        self._of_replacement.pop(order_id, None)
        self._doubts.pop(order_id, None)

    def forget_settled(self, seat: Seat) -> None:
        """Drop what is remembered of the account's orders that were answered in another way."""
        for order_id in tuple(self._of):
            order = seat.lane.books.order(order_id)
            if order is not None and (order.is_final or order.is_proven):
                self.found(order_id)
        for order_id in tuple(self._of_replacement):
            order = seat.lane.books.order(order_id)
            if order is not None and order.replacement is None:
                del self._of_replacement[order_id]
                self._doubts.pop(order_id, None)

    def of_order(self, seat: Seat, order_id: OrderId) -> None:
        """The broker says "no such order": wait, send again, or give it up on proof."""
        order = seat.lane.books.order(order_id)
        if order is None or order.is_final or order.is_proven:
            self.found(order_id)
            return
        since = order.unknown_since
        watched_s = 0.0 if since is None else seat.ages.seconds(order_id, since, self._clock)
        now = self._steady_now()
        order = self._as_first_seen(order, now)
        patience = self._patience(seat)
        absence = self._of[order_id] = counted(self._of.get(order_id), order, patience, now)
        capabilities = seat.broker.capabilities
        allowed = judge_absence(
            order,
            absence,
            dedup=capabilities.dedup,
            resend_is_safe=capabilities.resend_is_safe and self._dispatcher.lets_out(seat, order),
            patience=patience,
            now=now,
            watched_s=watched_s,
        )
        match allowed:
            case Next.WAIT:
                return
            case Next.RESEND:
                with correlated(correlation_of(order)):
                    log.warning("order.resent", order=order_id, account=seat.lane.account)
                    self._dispatcher.ask(seat, order_id, self._dispatcher.place_again(seat, order_id))
            case Next.GIVE_UP:
                self.found(order_id)
                evidence = (
                    f"{order.cl_ord_id} not found at {absence.first_at.isoformat()}"
                    f" and {absence.last_at.isoformat()}"
                )
                at = self._clock.now()
                absent = e.OrderRejected(order_id=order_id, at=at, reason="never-arrived", evidence=evidence)
                seat.lane.record([absent], correlation="reconciliation")

    def of_replacement(self, seat: Seat, order_id: OrderId, version: int, reason: str) -> None:
        """The broker has no such version alive, and the one before stands.

        Refused once no late bytes and no late answer can make it true, and said twice.
        """
        order = seat.lane.books.order(order_id)
        if order is None or order.replacement is None or order.replacement.version != version:
            return
        now = self._steady_now()
        order = self._as_first_seen(order, now)
        patience = self._patience(seat)
        asked, known = self._of_replacement.get(order_id, (version, None))
        absence = counted(known if asked == version else None, order, patience, now)
        self._of_replacement[order_id] = (version, absence)
        if not is_absent(absence, settled_at(order, patience), patience):
            return
        del self._of_replacement[order_id]
        at = self._clock.now()
        rejected = e.ReplaceRejected(order_id=order_id, at=at, version=version, reason=reason)
        seat.lane.record([rejected], correlation="reconciliation")

    def _steady_now(self) -> datetime:
        return self._steady_zero + timedelta(seconds=self._clock.monotonic())

    def _as_first_seen(self, order: Order, now: datetime) -> Order:
        """The order as if its doubt began when this process first looked at it."""
        doubted_at = order.doubted_at or order.unknown_since or order.accepted_at
        known = self._doubts.get(order.id)
        if known is None or known[0] != doubted_at:
            known = self._doubts[order.id] = (doubted_at, now)
        return msgspec.structs.replace(order, doubted_at=known[1])

    def _patience(self, seat: Seat) -> Patience:
        return Patience(
            settle_s=self._settle_s,
            lag_s=seat.broker.capabilities.visibility_lag_s,
            resend_s_max=self._resend_s_max,
        )
