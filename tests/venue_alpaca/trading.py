"""Orders placed through the official SDK, in few words."""

from typing import Any

from alpaca.trading.enums import (
    OrderSide,
    TimeInForce,
)
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    LimitOrderRequest,
)

from tests.venue_alpaca.floor import ACME, Sdk


def placed(client: Sdk, request: Any) -> Order:
    order = client.submit_order(request)
    assert isinstance(order, Order)
    return order


def shown(client: Sdk, order: Order) -> Order:
    found = client.get_order_by_id(order.id)
    assert isinstance(found, Order)
    return found


def offer(client: Sdk, price: str, qty: float = 100, symbol: str = ACME) -> Order:
    return placed(
        client,
        LimitOrderRequest(
            symbol=symbol,
            qty=qty,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.GTC,
            limit_price=float(price),
        ),
    )


def bid(client: Sdk, price: str, qty: float = 100, force: TimeInForce = TimeInForce.DAY) -> Order:
    return placed(
        client,
        LimitOrderRequest(
            symbol=ACME, qty=qty, side=OrderSide.BUY, time_in_force=force, limit_price=float(price)
        ),
    )
