"""Tells an execution that a broker told twice, under two ids, from two that are merely equal.

Brokers that were restarted send executions again and may name them anew. Two executions can also be
equal in everything. The broker's list of executions says which it is: what is not on it beside the other
is not another one. Lists lag, so where the broker's own sum speaks for a second one nothing is concluded
from the list alone: it is read again soon.
"""

from __future__ import annotations

import msgspec

from ordergate.core.money import ZERO
from ordergate.core.orders.executions import looks_like
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import BustedReport, ExecutedReport
from ordergate.engine.lanes import Seat


class Repeat(msgspec.Struct, frozen=True):
    """An execution that seems to be `of` another id. Where it is not sure, time will tell.

    `is_listed` says that the broker lists it under the new id: what it says of it is the latest.
    """

    of: str
    is_sure: bool
    is_listed: bool


async def repeat_of(seat: Seat, order: Order, report: ExecutedReport) -> Repeat | None:
    """What the execution repeats; None when it is one of its own.

    Raises BrokerUnavailable when the list is needed and cannot be read.
    """
    alike = looks_like(order, report)
    if alike is None:
        return None
    listed: set[str] = set()
    async for one in seat.broker.executions(after=None):
        told = one.report
        if isinstance(told, ExecutedReport | BustedReport) and told.broker_order_id == report.broker_order_id:
            listed.add(order.first_id(told.exec_id))
    stands_beside = alike in listed or order.executions[alike].quantity == ZERO  # lists may leave out busts
    if report.exec_id in listed and stands_beside:
        return None
    sum_moved_on = report.cum_qty == order.cum_qty + report.quantity
    is_listed = report.exec_id in listed
    return Repeat(alike, is_sure=is_listed or not sum_moved_on, is_listed=is_listed)
