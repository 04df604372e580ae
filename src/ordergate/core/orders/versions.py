"""Which version of an order a report is about, and whether that version can be alive. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import OrderSnapshot, Report, Successor

_FIRST: Final = 1
REPLACEABLE: Final = frozenset({Status.WORKING, Status.PENDING_CANCEL, Status.PENDING_REPLACE})


def is_of_asked(order: Order, report: Report) -> bool:
    """True when the report is about a replacement that we have not seen in force."""
    return report.version == order.versions_used > order.version


def is_of_one_given_up(order: Order, report: Report | OrderSnapshot) -> bool:
    """True of a replacement that was refused or never found, after which another was asked for."""
    return order.version < report.version < order.versions_used


def is_asked_alone(order: Order) -> bool:
    """Whether only that can have replaced the order which is asked for now, and nothing before it."""
    asked = order.replacement
    return asked is not None and asked.version == order.version + 1


def is_of_some_replacement(order: Order) -> bool:
    """Whether a refusal that names the order alone may be of an earlier replacement than this one."""
    return order.replacement is not None and order.replacement.version > order.version + 1


def goes_on(order: Order) -> bool:
    """True when the last asked replacement can still be alive."""
    if order.status is Status.FILLED:
        return order.last_asked is not None and order.last_asked.quantity > order.cum_qty
    return order.status in REPLACEABLE


def is_of_order_itself(order: Order, report: Report) -> bool:
    """True of the version in force; what ends another version does not end the order.

    Where no client order id says the version, the broker's id does. An order that is not ours was
    version 1 before we first replaced it.
    """
    if report.version == 0 and report.broker_order_id == order.broker_order_id:
        return True
    return (report.version or 1) == order.version


def is_another(order: Order, report: Report | OrderSnapshot, of_broker_id: Order | None) -> bool:
    """True when the broker holds a second order under the client order id of this one.

    `of_broker_id` is the order that the books have under the reported broker id. Where that is one of
    ours the broker gave its id out twice, or it is of an earlier version, and the client order id says whose
    news it is. Of the first version and of the one in force the broker's id has been heard; a replacement
    that was given up in between may come late under one that has not.
    """
    known = order.broker_order_id
    if known is None or report.broker_order_id == known:
        return False
    if of_broker_id is not None:
        return of_broker_id.external
    return report.version in (_FIRST, order.version)


def replaced_by(
    order: Order, broker_order_id: str, at: datetime, by: Successor | None = None
) -> e.OrderReplaced:
    """The last replacement is in force, or the earlier one that the broker shows."""
    if by is None or by.version == order.versions_used:
        return e.OrderReplaced(
            order_id=order.id, at=at, version=order.versions_used, broker_order_id=broker_order_id
        )
    return e.OrderReplaced(
        order_id=order.id,
        at=at,
        version=by.version,
        broker_order_id=broker_order_id,
        shown=by.terms,
    )
