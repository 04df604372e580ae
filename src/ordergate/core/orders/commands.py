"""What may be asked, and refused. Imperative; nothing has happened yet.

`asked_at` is when the gateway took the request. `if_revision` says what the asker saw: the order is
changed only if it is still at that revision.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core.ids import OrderId
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import Terms


class PlaceOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Send a new order. `order_id` is chosen by the gateway before risk is asked."""

    order_id: OrderId
    terms: Terms
    actor: str
    asked_at: datetime


class CancelOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    order_id: OrderId
    actor: str
    asked_at: datetime
    if_revision: int | None = None


class ReplaceOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Change what is not None. `quantity` is the new total, what is filled included."""

    order_id: OrderId
    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    actor: str
    asked_at: datetime
    if_revision: int | None = None


class ResolveOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word on what became of an order in question.

    `cum_qty` and `avg_px` are what was filled, where the broker no longer shows it.
    """

    order_id: OrderId
    resolution: Resolution
    reason: str
    broker_order_id: str | None
    cum_qty: Decimal | None
    avg_px: Decimal | None
    actor: str
    asked_at: datetime
