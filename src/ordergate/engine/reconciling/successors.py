"""What took the place of an order that was replaced: a version of ours, or an order from elsewhere."""

from __future__ import annotations

from msgspec.structs import replace

from ordergate.core.ids import parse_cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.order import Order
from ordergate.core.orders.versions import is_asked_alone, is_of_one_given_up
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.asking import LOOKED_BACK, listed
from ordergate.ports.broker import DedupClass


async def identified(seat: Seat, order: Order, report: r.AnyReport) -> r.AnyReport:
    """That an order was replaced, with what the broker shows instead of it where that is not certain.

    Raises BrokerUnavailable.
    """
    if not isinstance(report, r.ReplacedReport):
        return report
    if order.versions_used == order.version or is_asked_alone(order):
        return report
    shown = await listed(seat, report.replaced_by, order.accepted_at - LOOKED_BACK)
    if shown is None:
        return report
    return replace(report, by=r.Successor(_version(seat, order, shown), shown.terms))


def given_up_too_soon(order: Order, seen: r.OrderSnapshot) -> r.ReplacedReport | None:
    """That a replacement is in force which was refused or never found, and after it another asked for."""
    if not (seen.status.is_alive and is_of_one_given_up(order, seen)) or order.broker_order_id is None:
        return None
    return r.ReplacedReport(
        cl_ord_id=order.cl_ord_id,
        version=order.version,
        broker_order_id=order.broker_order_id,
        broker_at=seen.broker_at,
        replaced_by=seen.broker_order_id,
        by=r.Successor(seen.version, seen.terms),
    )


def _version(seat: Seat, order: Order, shown: r.OrderSnapshot) -> int:
    """0 where it is none of ours. A broker without client order ids shows it by its terms."""
    if seat.broker.capabilities.dedup is DedupClass.C:
        asked, terms = order.last_asked, shown.terms
        found = (terms.quantity, terms.limit_price, terms.stop_price)
        is_ours = asked is not None and (asked.quantity, asked.limit_price, asked.stop_price) == found
        return order.versions_used if is_ours else 0
    ours = parse_cl_ord_id(seat.broker.env, shown.cl_ord_id)
    return shown.version if ours is not None and ours[0] == order.id else 0
