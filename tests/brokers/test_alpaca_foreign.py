"""What somebody places elsewhere in the account may be of any kind: it is told, and hides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest

from ordergate.core.ids import ClOrdId, Symbol
from ordergate.core.orders import reports as r
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from ordergate.ports.broker import BrokerExecution, NotFound
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import ABSENT, Alpaca
from tests.brokers.sockets import ByteServer, says
from tests.brokers.world import ACME, our_id

THEIRS: Final = ClOrdId("theirs")
BY_VALUE: Final = {"qty": None, "notional": "500", "type": "market", "limit_price": None}
LEGS: Final = {"order_class": "mleg", "symbol": "", "side": "", "limit_price": "-1.2"}
CALL: Final = "ACME240315C00010000"


async def found(server: ByteServer, broker: Alpaca, **changes: Any) -> r.OrderSnapshot:
    """What the adapter makes of a foreign order, asked for by itself and in a list: the same."""
    shown = documents.order(THEIRS, **changes)
    server.play(says(200, shown), says(200, [shown]))
    asked = await broker.find(THEIRS)
    assert not isinstance(asked, NotFound)
    assert await broker.open_orders() == [asked]
    return asked


async def read(broker: Alpaca) -> list[BrokerExecution]:
    return [execution async for execution in broker.executions(after=None)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (BY_VALUE, "for a value of 500, not for a quantity"),
        ({"type": "trailing_stop", "trail_price": "1"}, "a trailing stop"),
        ({"time_in_force": "opg"}, "good for 'opg'"),
        ({"time_in_force": "cls"}, "good for 'cls'"),
        ({"order_class": "bracket"}, "of the class 'bracket'"),
        ({"order_class": "oco"}, "of the class 'oco'"),
        ({"order_class": "oto"}, "of the class 'oto'"),
        (LEGS, "in no one symbol and side, of the class 'mleg'"),
        ({**LEGS, "symbol": None, "side": None}, "in no one symbol and side, of the class 'mleg'"),
        ({"status": "on_holiday"}, "of the status 'on_holiday'"),
        ({"type": "iceberg"}, "of the type 'iceberg'"),
        ({"time_in_force": "forever"}, "of the time in force 'forever'"),
        ({"order_class": "spread"}, "of the class 'spread'"),
        ({"side": "borrow"}, "of the side 'borrow', in no one symbol and side"),
    ],
)
async def test_it_is_shown_with_what_our_terms_leave_out(
    server: ByteServer, broker: Alpaca, changes: dict[str, Any], why: str
) -> None:
    assert (await found(server, broker, **changes)).inexpressible == why


async def test_one_that_our_terms_can_say_leaves_nothing_out(server: ByteServer, broker: Alpaca) -> None:
    shown = await found(server, broker)
    assert (shown.inexpressible, shown.unsized) == (None, False)


async def test_one_for_a_value_has_the_quantity_that_is_filled(server: ByteServer, broker: Alpaca) -> None:
    shown = await found(server, broker, **BY_VALUE, filled_qty="5.1")
    assert (shown.unsized, shown.terms.quantity, shown.cum_qty) == (True, Decimal("5.1"), Decimal("5.1"))


async def test_a_trailing_stop_is_a_stop_where_it_has_trailed_to(server: ByteServer, broker: Alpaca) -> None:
    shown = await found(server, broker, type="trailing_stop", stop_price="9.5", limit_price=None)
    assert (shown.terms.type, shown.terms.stop_price) == (OrderType.STOP, Decimal("9.5"))


@pytest.mark.parametrize("kind", ["trailing_stop", "iceberg"])
async def test_what_may_trade_at_any_price_is_at_the_market(
    server: ByteServer, broker: Alpaca, kind: str
) -> None:
    terms = (await found(server, broker, type=kind)).terms
    assert (terms.type, terms.limit_price, terms.stop_price) == (OrderType.MARKET, None, None)


@pytest.mark.parametrize(
    ("word", "force"), [("opg", TimeInForce.DAY), ("cls", TimeInForce.DAY), ("forever", TimeInForce.GTC)]
)
async def test_it_is_never_over_sooner_than_it_could_be(
    server: ByteServer, broker: Alpaca, word: str, force: TimeInForce
) -> None:
    assert (await found(server, broker, time_in_force=word)).terms.time_in_force is force


async def test_a_status_that_nobody_knows_is_no_end(server: ByteServer, broker: Alpaca) -> None:
    assert (await found(server, broker, status="on_holiday")).status is r.BrokerStatus.WORKING


async def test_one_in_several_symbols_is_in_none(server: ByteServer, broker: Alpaca) -> None:
    assert (await found(server, broker, **LEGS)).terms.symbol == r.NO_SYMBOL


async def test_one_strange_order_hides_no_other(server: ByteServer, broker: Alpaca) -> None:
    strange = [
        documents.order("a", id="a", **BY_VALUE),
        documents.order("b", id="b", **LEGS),
        documents.order("c", id="c", type="iceberg", status="on_holiday"),
    ]
    server.play(says(200, [*strange, documents.order(our_id(1))]))
    recent = await broker.recent_orders(datetime(2024, 3, 1, tzinfo=UTC))
    assert [one.cl_ord_id for one in recent] == ["a", "b", "c", our_id(1)]


@pytest.mark.parametrize("changes", [BY_VALUE, {"type": "trailing_stop"}, {"type": "iceberg"}])
async def test_its_fills_are_its_own(server: ByteServer, broker: Alpaca, changes: dict[str, Any]) -> None:
    server.play(says(200, [documents.fill(1)]), says(200, documents.order(THEIRS, **changes)))
    (execution,) = await read(broker)
    assert execution.report.broker_order_id == documents.BROKER_ID
    assert execution.snapshot is None, "it can be asked for"


async def test_a_fill_of_an_order_in_several_symbols_says_in_which(
    server: ByteServer, broker: Alpaca
) -> None:
    fills = [
        documents.fill(1, symbol=CALL, side="sell_short", qty="2", price="1.5"),
        documents.fill(2, symbol="ACME", side="buy", qty="200", price="10"),
    ]
    server.play(says(200, fills), says(200, documents.order(THEIRS, **LEGS)))
    call, stock = await read(broker)
    assert call.report.broker_order_id == f"{documents.BROKER_ID}/{CALL}"
    assert call.snapshot is not None
    assert call.snapshot.broker_order_id == call.report.broker_order_id
    assert (call.snapshot.terms.symbol, call.snapshot.terms.side) == (CALL, Side.SELL)
    assert call.snapshot.status is r.BrokerStatus.FILLED
    assert stock.snapshot is not None
    assert (stock.snapshot.terms.symbol, stock.snapshot.terms.side) == (ACME, Side.BUY)
    assert stock.symbol == Symbol("ACME")


async def test_a_fill_of_an_order_that_is_not_shown_is_told_by_alpacas_id_of_it(
    server: ByteServer, broker: Alpaca
) -> None:
    server.play(says(200, [documents.fill(1)]), ABSENT)
    (execution,) = await read(broker)
    assert (execution.report.cl_ord_id, execution.report.version) == (documents.BROKER_ID, 0)


async def test_one_that_replaced_another_is_an_order_of_its_own(server: ByteServer, broker: Alpaca) -> None:
    """The one before has its fills itself, and may no longer be shown."""
    shown = await found(server, broker, qty="6", filled_qty="1", replaces="gone")
    assert (shown.terms.quantity, shown.cum_qty) == (Decimal(6), Decimal(1))


async def test_one_that_was_replaced_here_is_still_of_its_kind(server: ByteServer, broker: Alpaca) -> None:
    before = documents.order(THEIRS, id="before", type="trailing_stop", status="replaced")
    ours = documents.order(our_id(1, 2), type="trailing_stop", replaces="before")
    server.play(says(200, ours), says(200, before))
    asked = await broker.find(our_id(1, 2))
    assert not isinstance(asked, NotFound)
    assert (asked.version, asked.inexpressible) == (2, "a trailing stop")


# -- an order of ours, of which the broker says something new


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "on_holiday"}, "of the status 'on_holiday'"),
        ({"order_class": "spread"}, "of the class 'spread'"),
    ],
)
async def test_a_word_that_nobody_knows_hides_no_order_of_ours(
    server: ByteServer, broker: Alpaca, changes: dict[str, Any], why: str
) -> None:
    server.play(says(200, documents.order(our_id(1), **changes)))
    asked = await broker.find(our_id(1))
    assert not isinstance(asked, NotFound)
    assert (asked.status, asked.inexpressible) == (r.BrokerStatus.WORKING, why)
