"""Tells an execution that a broker told twice, under two ids, from two that are merely equal.

Brokers that were restarted send executions again and may name them anew. Two executions can also be
equal in everything. The broker's list of executions says which it is: what is not on it beside the other
is not another one. Lists lag, so where the broker's own sum speaks for a second one nothing is concluded
from the list alone: it is read again soon.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ordergate.core.money import ZERO
from ordergate.core.orders.executions import looks_like, of_the_same_moment
from ordergate.core.orders.order import Execution, Order
from ordergate.core.orders.reports import BustedReport, ExecutedReport
from ordergate.engine.accounts.lanes import Seat


class Repeat(msgspec.Struct, frozen=True):
    """An execution that seems to be `of` another id. Where it is not sure, time will tell.

    `is_listed` says that the broker lists it under the new id: what it says of it is the latest.
    """

    of: str
    is_sure: bool
    is_listed: bool


async def repeat_of(seat: Seat, order: Order, report: ExecutedReport | BustedReport) -> Repeat | None:
    """What the execution repeats, or the one that is taken back; None when it is one of its own.

    Raises BrokerUnavailable when the list is needed and cannot be read.
    """
    if isinstance(report, BustedReport):
        return await _taken_back(seat, order, report)
    alike = looks_like(order, report)
    if not alike:
        return None
    listed = await _listed(seat, order, report.broker_order_id)
    is_listed = report.exec_id in listed
    if is_listed:
        moment = listed[report.exec_id] or report.broker_at
        alike = [one for one in alike if one not in listed and _may_be_of(order.executions[one], moment)]
    if not alike:
        return None
    is_sure = is_listed or not _sum_moved_on(order, order.executions[alike[0]], report)
    return Repeat(alike[0], is_sure=is_sure, is_listed=is_listed)


def _sum_moved_on(order: Order, known: Execution, report: ExecutedReport) -> bool:
    """Whether the broker counts more than a repeat would bring: it, or others that were not heard of yet."""
    with_change = report.quantity - known.quantity if known.quantity else ZERO
    return report.cum_qty is not None and report.cum_qty > order.cum_qty + with_change


def _may_be_of(known: Execution, moment: datetime | None) -> bool:
    """Whether it may be what the list shows of that moment. What was taken back it need not show."""
    return known.quantity != ZERO and (moment is None or known.at in (None, moment))


async def _taken_back(seat: Seat, order: Order, report: BustedReport) -> Repeat | None:
    """What is known by its second id alone is on no list beside the one that was taken back.

    News of a bust may say when it was taken back; the list says when it was executed.
    """
    live = [exec_id for exec_id, known in order.executions.items() if not known.gone]
    if not live or order.stands_for(report.exec_id) in order.executions:
        return None
    listed = await _listed(seat, order, report.broker_order_id)
    if all(exec_id in listed for exec_id in live):
        return None
    is_listed = report.exec_id in listed
    alike = of_the_same_moment(order, report, listed.get(report.exec_id, report.broker_at))
    if alike is None and is_listed:
        return None
    if alike is not None and alike in listed:
        return None
    return Repeat(alike or report.exec_id, is_sure=is_listed, is_listed=is_listed)


async def _listed(seat: Seat, order: Order, broker_order_id: str | None) -> dict[str, datetime | None]:
    """Every execution that the broker lists for the order, those taken back included, and when it was."""
    listed: dict[str, datetime | None] = {}
    async for one in seat.broker.executions(after=None):
        told = one.report
        if isinstance(told, ExecutedReport | BustedReport) and told.broker_order_id == broker_order_id:
            listed[order.first_id(told.exec_id)] = told.broker_at
    return listed
