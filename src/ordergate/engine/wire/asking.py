"""Asks a broker for an order by the name that it has there.

One of ours is known by our client order id, one that was placed elsewhere by its own, and a broker
without client order ids (dedup class C) knows nothing but its own. A broker that made two orders of one call
shows one of them by that name; its list shows both.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ordergate.core.ids import ClOrdId, parse_cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.broker import DedupClass, NotFound

LOOKED_BACK: Final = timedelta(days=1)


async def find_version(seat: Seat, order: Order, version: int) -> r.OrderSnapshot | NotFound | None:
    """What the broker shows of it; None where we know of no name to ask by. Raises BrokerUnavailable."""
    if seat.broker.capabilities.dedup is not DedupClass.C:
        found = await seat.broker.find(order.known_as(version))
        expected = order.broker_order_id if version == order.version else None
        if expected is None or isinstance(found, NotFound) or found.broker_order_id == expected:
            return found
        return await listed(seat, expected, order.accepted_at - LOOKED_BACK) or NotFound()
    if order.broker_order_id is None or version != order.version:
        return None
    return await seat.broker.find(ClOrdId(order.broker_order_id))


async def find_alive(seat: Seat, order: Order) -> r.OrderSnapshot | None:
    """What the broker holds open of it: the version in force, or a replacement that came after its end.

    Raises BrokerUnavailable.
    """
    found = await find_version(seat, order, order.version)
    if isinstance(found, r.OrderSnapshot) and found.status.is_alive:
        return found
    for seen in await seat.broker.open_orders():
        named = parse_cl_ord_id(seat.broker.env, seen.cl_ord_id)
        known = seat.lane.books.id_of_broker(seen.broker_order_id)
        if named is not None and named[0] == order.id and known in (None, order.id):
            return seen
    return None


async def listed(seat: Seat, broker_order_id: str, since: datetime) -> r.OrderSnapshot | None:
    """The order on the broker's list of recent ones. Raises BrokerUnavailable."""
    recent = await seat.broker.recent_orders(since)
    return next((one for one in recent if one.broker_order_id == broker_order_id), None)


async def is_denied(seat: Seat, order: Order) -> bool:
    """Whether the broker denies the order, and the replacement that may be in force instead of it.

    Raises BrokerUnavailable.
    """
    if order.replacement is not None:
        new = await find_version(seat, order, order.replacement.version)
        if isinstance(new, r.OrderSnapshot) and new.status is not r.BrokerStatus.REJECTED:
            return False
    return isinstance(await find_version(seat, order, order.version), NotFound)
