"""The official SDK, unmodified, trades here: every order type, queries, paging, replace and cancel."""

from typing import Any
from uuid import UUID

import pytest
from alpaca.trading.enums import (
    AssetClass,
    OrderSide,
    OrderStatus,
    OrderType,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
)

from tests.venue_alpaca.floor import ACME, COIN, Sdk
from tests.venue_alpaca.trading import bid, offer, placed, shown


def test_a_limit_order_rests_and_shows_every_field(alice: Sdk) -> None:
    order = placed(
        alice,
        LimitOrderRequest(
            symbol=ACME,
            qty=7,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.GTC,
            limit_price=9.87,
            extended_hours=True,
            client_order_id="mine-1",
        ),
    )
    assert (order.client_order_id, order.symbol, order.qty, order.limit_price) == (
        "mine-1",
        ACME,
        "7",
        "9.87",
    )
    assert (order.status, order.type, order.order_type) == (OrderStatus.NEW, OrderType.LIMIT, OrderType.LIMIT)
    assert (order.time_in_force, order.extended_hours, order.filled_qty) == (TimeInForce.GTC, True, "0")
    assert order.asset_class is AssetClass.US_EQUITY
    assert order.filled_avg_price is None
    assert order.submitted_at.utcoffset() is not None
    assert shown(alice, order) == order
    assert alice.get_order_by_client_id("mine-1") == order


def test_an_order_has_every_field_that_may_be_null_or_is_told(alice: Sdk) -> None:
    told = alice.get(f"/orders/{bid(alice, '9.87', 7).id}")
    assert set(told) >= {
        "id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at", "expired_at",
        "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces", "asset_id",
        "symbol", "asset_class", "notional", "qty", "filled_qty", "filled_avg_price", "order_class",
        "order_type", "type",
        "side", "time_in_force", "limit_price", "stop_price", "status", "extended_hours",
        "legs", "trail_percent", "trail_price", "hwm", "ratio_qty",
    }  # fmt: skip


def test_a_market_order_takes_the_best_price_first(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.03", 60)
    offer(bob, "10.01", 40)
    order = placed(
        alice, MarketOrderRequest(symbol=ACME, qty=60, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    order = shown(alice, order)
    assert (order.status, order.filled_qty) == (OrderStatus.FILLED, "60")
    assert order.filled_avg_price == "10.016666667"
    assert order.filled_at is not None


def test_a_partly_filled_order_says_how_far_it_got(alice: Sdk, bob: Sdk) -> None:
    order = bid(alice, "10.00", 100)
    offer(bob, "10.00", 30)
    order = shown(alice, order)
    assert (order.status, order.filled_qty, order.qty) == (OrderStatus.PARTIALLY_FILLED, "30", "100")


def test_a_stop_sleeps_until_the_market_trades_there(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.05", 10)
    offer(bob, "10.10", 100)
    stop = placed(
        alice,
        StopOrderRequest(
            symbol=ACME, qty=5, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, stop_price=10.05
        ),
    )
    assert (stop.type, stop.stop_price, shown(alice, stop).status) == (
        OrderType.STOP,
        "10.05",
        OrderStatus.NEW,
    )
    bid(bob, "10.05", 10)
    stop = shown(alice, stop)
    assert (stop.status, stop.filled_avg_price) == (OrderStatus.FILLED, "10.1")


def test_a_stop_limit_rests_at_its_limit_once_awake(alice: Sdk, bob: Sdk) -> None:
    stop = placed(
        alice,
        StopLimitOrderRequest(
            symbol=ACME,
            qty=5,
            side=OrderSide.SELL,
            time_in_force=TimeInForce.GTC,
            stop_price=9.5,
            limit_price=9.45,
        ),
    )
    bid(bob, "9.50", 3)
    offer(bob, "9.50", 3)
    assert shown(alice, stop).status is OrderStatus.NEW
    bid(bob, "9.45", 5)
    stop = shown(alice, stop)
    assert (stop.type, stop.status, stop.filled_avg_price) == (
        OrderType.STOP_LIMIT,
        OrderStatus.FILLED,
        "9.45",
    )


def test_ioc_fills_what_is_there_and_cancels_the_rest(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.00", 30)
    order = shown(alice, bid(alice, "10.00", 100, TimeInForce.IOC))
    assert (order.status, order.filled_qty) == (OrderStatus.CANCELED, "30")


def test_fok_fills_whole_or_not_at_all(alice: Sdk, bob: Sdk) -> None:
    offer(bob, "10.00", 30)
    missed = shown(alice, bid(alice, "10.00", 31, TimeInForce.FOK))
    assert (missed.status, missed.filled_qty) == (OrderStatus.CANCELED, "0")
    assert shown(alice, bid(alice, "10.00", 30, TimeInForce.FOK)).status is OrderStatus.FILLED


def test_a_replaced_order_gets_a_new_id_and_both_know_each_other(alice: Sdk) -> None:
    old = bid(alice, "10.00", 100)
    new = alice.replace_order_by_id(old.id, ReplaceOrderRequest(qty=80, limit_price=10.02))
    assert isinstance(new, Order)
    assert new.id != old.id
    assert (new.replaces, new.qty, new.limit_price, new.status) == (old.id, "80", "10.02", OrderStatus.NEW)
    old = shown(alice, old)
    assert (old.status, old.replaced_by) == (OrderStatus.REPLACED, new.id)
    assert old.replaced_at is not None


def test_a_canceled_order_is_canceled(alice: Sdk) -> None:
    order = bid(alice, "10.00")
    alice.cancel_order_by_id(order.id)
    order = shown(alice, order)
    assert order.status is OrderStatus.CANCELED
    assert order.canceled_at is not None


def test_cancel_all_names_every_open_order(alice: Sdk, bob: Sdk) -> None:
    mine = {bid(alice, "9.00").id, bid(alice, "9.01").id}
    theirs = bid(bob, "9.02")
    answers = alice.cancel_orders()
    assert {(answer.id, answer.status) for answer in answers} == {(order_id, 200) for order_id in mine}
    assert shown(bob, theirs).status is OrderStatus.NEW
    assert alice.get_orders() == []


@pytest.mark.parametrize("name", ["50%41", "a+b c", "x&y=z;w#", "\N{SNOWMAN}"])
def test_an_order_is_found_by_whatever_its_client_calls_it(alice: Sdk, name: str) -> None:
    order = placed(
        alice,
        LimitOrderRequest(
            symbol=ACME,
            qty=1,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            limit_price=9,
            client_order_id=name,
        ),
    )
    assert alice.get_order_by_client_id(name).id == order.id


def test_orders_in_a_pair_are_listed_by_its_name_with_and_without_slash(alice: Sdk) -> None:
    order = placed(
        alice,
        LimitOrderRequest(
            symbol=COIN, qty=0.5, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=9
        ),
    )
    bid(alice, "9.00")
    for name in ("BTCUSD", COIN):
        assert [found.id for found in alice.get_orders(GetOrdersRequest(symbols=[name]))] == [order.id]


def test_orders_are_listed_as_asked(alice: Sdk) -> None:
    first, second, third = bid(alice, "9.00"), bid(alice, "9.01"), offer(alice, "11.00")
    alice.cancel_order_by_id(second.id)

    def listed(**asked: Any) -> list[UUID]:
        orders = alice.get_orders(GetOrdersRequest(**asked))
        return [order.id for order in orders]

    assert listed() == [third.id, first.id]
    assert listed(status=QueryOrderStatus.CLOSED) == [second.id]
    assert listed(status=QueryOrderStatus.ALL, direction="asc") == [first.id, second.id, third.id]
    assert listed(status=QueryOrderStatus.ALL, limit=1) == [third.id]
    assert listed(status=QueryOrderStatus.ALL, side=OrderSide.SELL) == [third.id]
    assert listed(status=QueryOrderStatus.ALL, symbols=[COIN]) == []
    assert listed(status=QueryOrderStatus.ALL, after=second.submitted_at) == [third.id]
    assert listed(status=QueryOrderStatus.ALL, until=second.submitted_at) == [first.id]
