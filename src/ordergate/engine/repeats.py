"""Tells an execution that a broker told twice, under two ids, from two that are merely equal.

Brokers that were restarted send executions again and may name them anew. Two executions can also be
equal in everything. The broker's own sum says which it is, and where it does not, its list of
executions does: what is not on it beside the other is not another one.
"""

from __future__ import annotations

from ordergate.core.orders.executions import looks_like
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import ExecutedReport
from ordergate.engine.lanes import Seat


async def same_as(seat: Seat, order: Order, report: ExecutedReport) -> str | None:
    """The execution that this one is, told again; None when it is one of its own.

    Raises BrokerUnavailable when the list is needed and cannot be read.
    """
    alike = looks_like(order, report)
    if alike is None:
        return None
    sum_moved_on = report.cum_qty == order.cum_qty + report.quantity
    if sum_moved_on and not seat.wake.is_set():  # nothing is known to have been missed
        return None
    account = seat.lane.books.account
    listed: set[str] = set()
    async for one in seat.broker.executions(after=None if account is None else account.opening_cursor):
        if isinstance(one.report, ExecutedReport) and one.report.broker_order_id == report.broker_order_id:
            listed.add(order.first_id(one.report.exec_id))
    return None if {alike, report.exec_id} <= listed else alike
