"""Ready-made values, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.positions import Lot, Position
from ordergate.core.ids import AccountId, Env, OrderId, Symbol, order_id
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders import events as e
from ordergate.core.orders import order as orders
from ordergate.core.orders.commands import PlaceOrder
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce

NOW: Final = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
ACCOUNT: Final = AccountId("P-DEMO")
FUTURE: Final = Symbol("ESH6")
SHARE: Final = Symbol("AAPL")


def ids(number: int = 0) -> OrderId:
    return order_id(Env.PAPER, at_ms=1_767_623_400_000, entropy=number)


def later(seconds: str | int = 1) -> datetime:
    return NOW + timedelta(microseconds=int(Decimal(seconds) * 1_000_000))


def future(symbol: Symbol = FUTURE, *, currency: str = "USD") -> Instrument:
    return Instrument(
        symbol=symbol,
        name="E-mini S&P 500",
        asset_class=AssetClass.FUTURE,
        currency=currency,
        tick=Decimal("0.25"),
        lot=Decimal(1),
        multiplier=Decimal(50),
        calendar="cme",
    )


def share(symbol: Symbol = SHARE, *, currency: str = "USD") -> Instrument:
    return Instrument(
        symbol=symbol,
        name="Apple",
        asset_class=AssetClass.EQUITY,
        currency=currency,
        tick=Decimal("0.01"),
        lot=Decimal(1),
        multiplier=Decimal(1),
        calendar="nyse",
    )


def terms(
    side: Side = Side.BUY,
    quantity: int | str = 10,
    limit: int | str | None = 100,
    *,
    stop: int | str | None = None,
    symbol: Symbol = SHARE,
    life: TimeInForce = TimeInForce.DAY,
) -> Terms:
    """The type follows from the prices that are given."""
    if limit is None:
        kind = OrderType.MARKET if stop is None else OrderType.STOP
    else:
        kind = OrderType.LIMIT if stop is None else OrderType.STOP_LIMIT
    return Terms(
        account=ACCOUNT,
        symbol=symbol,
        side=side,
        type=kind,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
        time_in_force=life,
    )


def place(asked: Terms, number: int = 0) -> PlaceOrder:
    return PlaceOrder(order_id=ids(number), terms=asked, actor="trader", asked_at=NOW)


def accepted(
    asked: Terms | None = None, number: int = 0, reference: int | str | None = 100
) -> e.OrderAccepted:
    return e.OrderAccepted(
        order_id=ids(number),
        at=NOW,
        terms=asked or terms(),
        actor="trader",
        config_hash="none",
        reference_price=None if reference is None else Decimal(reference),
    )


def acknowledged(number: int = 0, broker_order_id: str = "b-1") -> e.OrderAcknowledged:
    return e.OrderAcknowledged(order_id=ids(number), at=NOW, broker_order_id=broker_order_id)


def filled(
    quantity: int | str, price: int | str = 100, exec_id: str = "x-1", number: int = 0
) -> e.OrderPartiallyFilled:
    return e.OrderPartiallyFilled(
        order_id=ids(number), at=NOW, exec_id=exec_id, quantity=Decimal(quantity), price=Decimal(price)
    )


def completed(
    quantity: int | str, price: int | str = 100, exec_id: str = "x-1", number: int = 0
) -> e.OrderFilled:
    return e.OrderFilled(
        order_id=ids(number), at=NOW, exec_id=exec_id, quantity=Decimal(quantity), price=Decimal(price)
    )


def replace_requested(
    quantity: int | str, limit: int | str | None = 100, version: int = 2, number: int = 0
) -> e.ReplaceRequested:
    return e.ReplaceRequested(
        order_id=ids(number),
        at=NOW,
        version=version,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        actor="trader",
        config_hash="none",
    )


def folded(*events: e.AnyOrderEvent) -> Order:
    order = orders.first(events[0])
    for event in events[1:]:
        order = orders.evolve(order, event)
    return order


def working(asked: Terms | None = None, number: int = 0, reference: int | str | None = 100) -> Order:
    return folded(accepted(asked, number, reference), acknowledged(number, f"b-{number}"))


def account(
    cash: int | str = 1_000_000, positions: Mapping[Symbol, tuple[int, int]] | None = None
) -> Account:
    """`positions` maps a symbol to its signed quantity and price."""
    return Account(
        id=ACCOUNT,
        broker="paper",
        broker_account="1",
        currency="USD",
        cash=Decimal(cash),
        positions={
            symbol: Position(
                symbol=symbol,
                lots=(Lot(Decimal(quantity), Decimal(price)),),
                quantity=Decimal(quantity),
            )
            for symbol, (quantity, price) in (positions or {}).items()
        },
    )
