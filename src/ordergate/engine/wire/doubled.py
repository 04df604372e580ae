"""One client order id, two orders at the broker: the first that is heard of is ours, the second somebody's.

A broker that does not refuse a name that is used may make two orders of one call. Nobody here can say which
of them was meant, so the second is taken for one that was placed elsewhere, and a person is told.
"""

from __future__ import annotations

from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.ids import ClOrdId
from ordergate.core.orders import reports as r
from ordergate.core.orders.order import Order
from ordergate.core.orders.versions import is_another
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.broker import Acknowledged, Outcome


def tell_doubled(alarms: Alarms, seat: Seat, order: Order, cl_ord_id: str, second: str) -> None:
    detail = f"the broker holds {second} under the id of {order.broker_order_id} as well"
    facts = {"order": order.id, "client_order_id": cl_ord_id}
    alarms.sound(seat, AlarmNature.ORDER_DOUBLED, second, detail, facts)


def heed_answer(alarms: Alarms, seat: Seat, order: Order, cl_ord_id: ClOrdId, outcome: Outcome) -> None:
    """What the answer to a new order says beside that it was taken: which of the broker's orders it is."""
    if not isinstance(outcome, Acknowledged):
        return
    if seat.withheld:
        seat.suspect("what was kept back may be this order's")
    broker_order_id = outcome.broker_order_id
    if order.broker_order_id is None or order.broker_order_id == broker_order_id:
        return  # as nearly always: nothing else was heard
    told = r.AcknowledgedReport(cl_ord_id=cl_ord_id, version=1, broker_order_id=broker_order_id)
    if is_another(order, told, seat.lane.books.order_of_broker(broker_order_id)):
        tell_doubled(alarms, seat, order, cl_ord_id, broker_order_id)
        seat.suspect("the answer to an order names another than the stream has shown")
