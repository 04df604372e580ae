"""Our orders in Alpaca's words."""

from __future__ import annotations

from decimal import Decimal

from ordergate.brokers.alpaca import wire
from ordergate.core.ids import ClOrdId
from ordergate.core.money import ZERO, text
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.terms import Terms


def place_body(cl_ord_id: ClOrdId, terms: Terms) -> wire.PlaceBody:
    return wire.PlaceBody(
        symbol=terms.symbol,
        qty=text(terms.quantity),
        side=str(terms.side),
        type=str(terms.type),
        time_in_force=str(terms.time_in_force),
        client_order_id=cl_ord_id,
        limit_price=_amount(terms.limit_price),
        stop_price=_amount(terms.stop_price),
        extended_hours=terms.extended_hours,
    )


def replace_body(
    new_cl_ord_id: ClOrdId, terms: Terms, asked: Replacement, held_qty: Decimal
) -> wire.ReplaceBody:
    """Only what differs from `terms`.

    `held_qty` is the quantity of the broker's order in force. It is less than ours when an
    earlier replacement asked only for what was left, so the change is carried, not the total.
    """
    change = asked.quantity - terms.quantity
    return wire.ReplaceBody(
        client_order_id=new_cl_ord_id,
        qty=None if change == ZERO else text(held_qty + change),
        limit_price=None if asked.limit_price == terms.limit_price else _amount(asked.limit_price),
        stop_price=None if asked.stop_price == terms.stop_price else _amount(asked.stop_price),
    )


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
