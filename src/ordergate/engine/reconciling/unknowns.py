"""Watches what is not known, and sees to it that somebody knows of that within seconds.

An order in question keeps its place in risk whatever happens here: this only looks, counts and sounds
an alarm. An answer that is merely a moment late is no alarm.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from ordergate.core.accounts.alarms import AlarmNature, alarm_id
from ordergate.core.ids import OrderId
from ordergate.core.money import text
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.ports.clock import Clock
from ordergate.telemetry.metrics import AGES, Metrics

LOOK_EVERY_S: Final = 0.5
ALARM_AFTER_S: Final = 2.0
# More than so many at once are one event, not many: the account alarms, and no more of its orders.
EACH_MAX: Final = 100
_OURS: Final = (AlarmNature.UNKNOWN_ORDER, AlarmNature.QUARANTINED_ORDER)


class Unknowns:
    def __init__(self, lanes: Lanes, alarms: Alarms, clock: Clock, metrics: Metrics) -> None:
        self._lanes = lanes
        self._alarms = alarms
        self._clock = clock
        self._metrics = metrics

    async def watch(self) -> None:
        """Look for ever, several times within the time in which an alarm is due."""
        while True:
            for seat in self._lanes:
                self.look(seat)
            await self._clock.sleep(LOOK_EVERY_S)

    def look(self, seat: Seat) -> None:
        """Count, raise and clear once."""
        seat.ages.forget_past(seat.lane.books)
        doubtful = {order.id: order for order in seat.lane.books.waiting_orders() if _is_doubtful(order)}
        seconds = {order.id: self._seconds(seat, order) for order in doubtful.values()}
        ages = Counter(map(_age, seconds.values()))
        for age in AGES:
            self._metrics.unknown(seat.lane.account, age).set(ages[age])
        due = [order for order in doubtful.values() if seconds[order.id] >= ALARM_AFTER_S]
        if len(due) > EACH_MAX:
            self._tell_many(seat, due)
        else:
            for order in due:
                self._tell_unknown(seat, order)
        for order in [one for one in doubtful.values() if one.quarantined_at is not None][:EACH_MAX]:
            self._tell_quarantined(seat, order)
        self._clear(seat, doubtful, many=len(due) > EACH_MAX)

    def _seconds(self, seat: Seat, order: Order) -> float:
        since = order.unknown_since
        return 0.0 if since is None else seat.ages.seconds(order.id, since, self._clock)

    def _tell_many(self, seat: Seat, due: list[Order]) -> None:
        account, oldest = (
            seat.lane.account,
            min(due, key=lambda order: order.unknown_since or order.accepted_at),
        )
        detail = f"what became of {len(due)} orders of {account} is not known"
        facts = {"orders": str(len(due)), "oldest": oldest.id}
        self._alarms.sound(seat, AlarmNature.UNKNOWN_ORDER, account, detail, facts)

    def _tell_unknown(self, seat: Seat, order: Order) -> None:
        detail = f"what became of order {order.id} is not known"
        self._alarms.sound(seat, AlarmNature.UNKNOWN_ORDER, order.id, detail, _facts(order))

    def _tell_quarantined(self, seat: Seat, order: Order) -> None:
        detail = f"no question can prove what became of order {order.id}: a person has to decide"
        candidates = ", ".join(one.broker_order_id for one in order.candidates)
        facts = {**_facts(order), "candidates": candidates}
        self._alarms.sound(seat, AlarmNature.QUARANTINED_ORDER, order.id, detail, facts)

    def _clear(self, seat: Seat, doubtful: dict[OrderId, Order], *, many: bool) -> None:
        account = seat.lane.books.account
        for key, alarm in () if account is None else tuple(account.alarms.items()):
            if alarm.nature not in _OURS:
                continue
            order = doubtful.get(OrderId(alarm.subject))
            if alarm.subject == seat.lane.account:
                if not many:
                    self._alarms.clear(seat, key, "fewer are in question now")
            elif order is None:
                self._alarms.clear(seat, key, _how(seat, OrderId(alarm.subject)))
            elif key == alarm_id(AlarmNature.QUARANTINED_ORDER, order.id) and order.quarantined_at is None:
                self._alarms.clear(seat, key, "the broker's word was heard")


def _is_doubtful(order: Order) -> bool:
    return order.unknown_since is not None


def _age(seconds: float) -> str:
    return next((age for age, below in AGES.items() if seconds < below), "")


def _facts(order: Order) -> dict[str, str]:
    terms = order.terms
    since = order.unknown_since
    return {
        "status": order.status,
        "cl_ord_id": order.cl_ord_id,
        "symbol": terms.symbol,
        "side": terms.side,
        "quantity": text(terms.quantity),
        "cum_qty": text(order.cum_qty),
        "unknown_since": "" if since is None else since.isoformat(),
    }


def _how(seat: Seat, order_id: OrderId) -> str:
    order = seat.lane.books.order(order_id)
    return "the order has ended" if order is None else f"the order is {order.status}"
