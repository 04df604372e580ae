"""Keeps apart what nobody can prove: an unanswered order at a broker that cannot be asked for it.

Such a broker (dedup class C) shows orders under its own ids only. What it shows and nobody here knows
may be the order in question, so it is neither taken for that nor for anybody else's: it is kept back, and
listed for the person who decides. Nothing is ever sent again from here, and nothing is ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order
from ordergate.core.orders.quarantine import candidates, may_be, may_replace, shown_since
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.broker import DedupClass
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("quarantine")

LOOK_AGAIN_S: Final = 30.0
WITHHELD_MAX: Final = 1_000
_WHY: Final = "the broker can neither be asked for the order nor told it twice"


class Quarantine:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at: dict[OrderId, float] = {}

    def holds(self, seat: Seat, seen: OrderSnapshot) -> bool:
        """True when what the broker shows may be an order in question: it is kept back then."""
        if seat.broker.capabilities.dedup is not DedupClass.C:
            return False
        books = seat.lane.books
        waiting = tuple(in_present_name(seat, order) for order in books.waiting_orders())
        unanswered = any(may_be(order, seen) for order in waiting if _is_unanswered(order))
        if not unanswered and not any(may_replace(order, seen) for order in waiting):
            seat.withheld.pop(seen.broker_order_id, None)
            return False
        if seen.broker_order_id not in seat.withheld:
            if len(seat.withheld) >= WITHHELD_MAX:
                return True  # the broker's list shows it again, once there is room
            log.warning("report.withheld", account=seat.lane.account, broker_order=seen.broker_order_id)
        seat.withheld[seen.broker_order_id] = seen
        return True

    def look_anew(self, seat: Seat) -> None:
        """Keep back no longer what is known by now, or what no open question can be about."""
        for broker_order_id, seen in tuple(seat.withheld.items()):
            if seat.lane.books.id_of_broker(broker_order_id) is not None:
                del seat.withheld[broker_order_id]
            else:
                self.holds(seat, seen)

    async def examine(self, seat: Seat, order: Order) -> None:
        """Write down what the order may be, and again when that changes. Raises BrokerUnavailable.

        One look at the broker's lists serves every other one in question too: there may be hundreds.
        """
        now = self._clock.monotonic()
        if not self._is_due(order, now):
            return
        others = (one for one in seat.lane.books.waiting_orders() if one.is_in_question)
        due = {one.id: one for one in (order, *others) if self._is_due(one, now)}
        shown = {one.broker_order_id: one for one in seat.withheld.values()}
        recent = await seat.broker.recent_orders(min(map(shown_since, due.values())))
        for seen in [*recent, *await seat.broker.open_orders()]:
            if seat.lane.books.id_of_broker(seen.broker_order_id) is None:
                shown[seen.broker_order_id] = seen
        for order_id in due:
            self._looked_at[order_id] = now
            self._write_down(seat, order_id, shown.values())

    def _is_due(self, order: Order, now: float) -> bool:
        looked_at = self._looked_at.get(order.id)
        return order.unknown_since is not None and (looked_at is None or now - looked_at >= LOOK_AGAIN_S)

    def _write_down(self, seat: Seat, order_id: OrderId, shown: Collection[OrderSnapshot]) -> None:
        held = seat.lane.books.order(order_id)
        if held is None or not held.is_in_question:
            self._looked_at.pop(order_id, None)
            return
        found = candidates(in_present_name(seat, held), shown)
        if held.quarantined_at is None or found != held.candidates:
            event = e.OrderQuarantined(order_id=order_id, at=self._clock.now(), why=_WHY, candidates=found)
            seat.lane.record([event], correlation="quarantine")

    def release(self, seat: Seat, order_id: OrderId) -> None:
        """The order was decided about: what was kept back for it is looked at anew."""
        self._looked_at.pop(order_id, None)
        seat.withheld.clear()


def in_present_name(seat: Seat, order: Order) -> Order:
    """The order in what its instrument is called now, as its broker shows it."""
    terms, name = order.terms, seat.lane.books.present_name(order.terms.symbol)
    if name == terms.symbol:
        return order
    return msgspec.structs.replace(order, terms=msgspec.structs.replace(terms, symbol=name))


def _is_unanswered(order: Order) -> bool:
    return order.broker_order_id is None and not order.is_proven
