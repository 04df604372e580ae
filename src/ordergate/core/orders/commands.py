"""What may be asked, and refused. Imperative; nothing has happened yet."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core.ids import OrderId
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


class ReplaceOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Change what is not None. `quantity` is the new total, what is filled included."""

    order_id: OrderId
    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    actor: str
    asked_at: datetime
