"""The end of an order that replaced another: what it says of the sum, and what may follow from that."""

from __future__ import annotations

import msgspec
import pytest

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import news
from ordergate.core.ids import Env, cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from tests.brokers import alpaca_documents as documents
from tests.core.examples import accepted, acknowledged, folded, ids, replace_requested
from tests.core.execution_reports import fill, hear, seen

SECOND = "b-2"


def told(event: str, filled: str, **changes: str) -> r.AnyReport:
    """Our order's second version, of which the broker counts what it filled itself."""
    shown = documents.order(
        cl_ord_id(ids(), 2), id=SECOND, replaces="b-1", qty="9", filled_qty=filled, status=event
    )
    frame = msgspec.json.encode(documents.update(event, shown, **changes)["data"])
    report = news.report(msgspec.json.decode(frame, type=wire.Update), Env.PAPER)
    assert report is not None
    return report


def replaced_after_three() -> Order:
    """Three were filled, then the quantity was changed to twelve: nine are left for the second version."""
    order = hear(folded(accepted(), acknowledged(), replace_requested(quantity=12)), fill(3))
    order = hear(order, told("new", "0"))
    assert seen(order.version, order.broker_order_id, order.cum_qty) == (2, SECOND, 3)
    return order


@pytest.mark.parametrize(("event", "end"), [("canceled", Status.CANCELED), ("expired", Status.EXPIRED)])
def test_an_end_waits_for_what_the_replacing_order_filled(event: str, end: Status) -> None:
    """Two were filled by it and not heard of: fewer than the three before, and still to be booked."""
    ended = told(event, "2")
    order = hear(replaced_after_three(), ended)
    assert seen(order.status, order.leaves_qty) == (Status.WORKING, 9)
    order = hear(order, told("partial_fill", "2", qty="2", price="100"), ended)
    assert seen(order.status, order.cum_qty) == (end, 5)


def test_an_end_without_fills_of_its_own_ends_the_whole() -> None:
    order = hear(replaced_after_three(), told("canceled", "0"))
    assert seen(order.status, order.cum_qty) == (Status.CANCELED, 3)
