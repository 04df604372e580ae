"""What a broker may say of one order's executions, and the order after hearing it.

Builds reports and folds what they prove; never says what ought to come of it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.order import Order, evolve
from tests.core.examples import NOW, ids

AT = NOW + timedelta(seconds=1)


def fill(
    quantity: int, exec_id: str = "x-1", *, revision: int = 0, price: int = 100, broker_order: str = "b-1"
) -> r.ExecutedReport:
    return r.ExecutedReport(
        cl_ord_id=cl_ord_id(ids(), 1),
        version=1,
        broker_order_id=broker_order,
        broker_at=NOW,
        exec_id=exec_id,
        revision=revision,
        quantity=Decimal(quantity),
        price=Decimal(price),
    )


def bust(exec_id: str = "x-1", revision: int | None = None) -> r.BustedReport:
    return r.BustedReport(
        cl_ord_id=cl_ord_id(ids(), 1),
        version=1,
        broker_order_id="b-1",
        exec_id=exec_id,
        revision=revision,
    )


def correct(
    quantity: int,
    revision: int | None,
    exec_id: str = "x-1",
    *,
    price: int = 100,
    reference: str | None = None,
    delta: bool = False,
) -> r.CorrectedReport:
    return r.CorrectedReport(
        cl_ord_id=cl_ord_id(ids(), 1),
        version=1,
        broker_order_id="b-1",
        exec_id=exec_id,
        revision=revision,
        quantity=Decimal(quantity),
        price=Decimal(price),
        reference=reference,
        delta=delta,
    )


def seen(*parts: object) -> tuple[object, ...]:
    return parts


def hear(order: Order, *reports: r.AnyReport) -> Order:
    for report in reports:
        for event in proven(order, report, AT):
            order = evolve(order, event)
    return order
