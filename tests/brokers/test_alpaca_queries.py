"""What the adapter learns by asking, and what it refuses to learn, over a real socket."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ordergate.brokers.alpaca import queries
from ordergate.core.orders.reports import BrokerStatus
from ordergate.ports.broker import BrokerUnavailable, NotFound, OrderUnreadable, no_veto
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import ABSENT, Alpaca
from tests.brokers.sockets import Act, ByteServer, resets, says
from tests.brokers.world import HandClock, our_id, quantities, terms

MORNING = "2024-03-01T09:30:01.5Z"


async def test_an_order_is_found_by_our_id(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1), status="canceled")))
    found = await broker.find(our_id(1))
    assert not isinstance(found, NotFound)
    assert (found.version, found.status) == (1, BrokerStatus.CANCELED)


@pytest.mark.parametrize(("told", "average"), [("190.0512", Decimal("190.0512")), (None, None)])
async def test_the_average_price_of_what_is_filled_is_read_where_it_is_told(
    server: ByteServer, broker: Alpaca, told: str | None, average: Decimal | None
) -> None:
    server.play(says(200, documents.order(our_id(1), filled_qty="2", filled_avg_price=told)))
    found = await broker.find(our_id(1))
    assert not isinstance(found, NotFound)
    assert found.avg_px == average


async def test_absence_in_the_brokers_words_is_an_answer(server: ByteServer, broker: Alpaca) -> None:
    server.play(ABSENT)
    assert await broker.find(our_id(1)) == NotFound()


@pytest.mark.parametrize(
    "act",
    [
        says(404, documents.error("endpoint not found.")),
        says(404, {"error": "no"}),
        says(404, b"<html>", Content_Type="text/html"),
        says(401, documents.error("unauthorized.", None)),
        says(500, {}),
        says(200, documents.order(our_id(2))),
        says(200, documents.order(our_id(1), type="trailing_stop")),
        resets,
    ],
)
async def test_any_other_absence_is_not(server: ByteServer, broker: Alpaca, act: Act) -> None:
    """Were it taken for an answer, a lost order would be called never sent."""
    server.play(act)
    with pytest.raises(BrokerUnavailable):
        await broker.find(our_id(1))


async def test_a_replaced_chain_is_counted_whole(server: ByteServer, broker: Alpaca) -> None:
    third = documents.order(our_id(1, 3), id="c", qty="3", filled_qty="1", replaces="b")
    second = documents.order(
        our_id(1, 2), id="b", qty="6", filled_qty="3", replaces="a", status="replaced", replaced_by="c"
    )
    first = documents.order(our_id(1), id="a", qty="10", filled_qty="4", status="replaced", replaced_by="b")
    server.play(says(200, third), says(200, second), says(200, first), says(200, third))
    for _ in range(2):
        found = await broker.find(our_id(1, 3))
        assert not isinstance(found, NotFound)
        assert (found.terms.quantity, found.cum_qty) == (Decimal(10), Decimal(8))
    assert len(server.seen) == 4, "what was replaced is remembered"


async def test_open_orders_are_read_page_by_page(server: ByteServer, broker: Alpaca) -> None:
    first = [documents.order(f"label-{n}", id=f"id-{n}") for n in range(500)]
    server.play(says(200, first), says(200, [first[-1], documents.order("label-500", id="id-500")]))
    shown = await broker.open_orders()
    assert (len(shown), shown.is_whole) == (501, True)
    assert server.paths()[1].endswith("&after_order_id=id-499")


async def test_recent_orders_are_one_list_with_what_was_replaced(server: ByteServer, broker: Alpaca) -> None:
    old = documents.order(our_id(1), id="a", filled_qty="4", status="replaced", replaced_by="b")
    new = documents.order(our_id(1, 2), id="b", qty="6", filled_qty="1", replaces="a")
    server.play(says(200, [old, new, documents.order(our_id(2), id="c", status="canceled")]))
    recent = await broker.recent_orders(datetime(2024, 3, 1, 14, 30, tzinfo=UTC))
    filled = [(seen.version, int(seen.cum_qty)) for seen in recent]
    assert filled == [(1, 4), (2, 5), (1, 0)]
    assert server.paths() == [
        "GET /v2/orders?status=all&limit=500&direction=asc&after=2024-03-01T14:30:00.000000Z"
    ]


async def test_the_names_of_many_filled_orders_are_looked_up_in_one_list(
    server: ByteServer, broker: Alpaca
) -> None:
    fills = [documents.fill(n, order_id=f"id-{n}") for n in range(50)]
    orders = [documents.order(our_id(n), id=f"id-{n}") for n in range(50)]
    server.play(says(200, fills), says(200, orders))
    read = [execution async for execution in broker.executions(after=None)]
    assert [execution.report.cl_ord_id for execution in read] == [our_id(n) for n in range(50)]
    assert server.paths()[1] == (
        "GET /v2/orders?status=all&limit=500&direction=desc&until=2024-03-01T14:30:02.500000Z"
    )


async def test_names_are_looked_up_in_lists_as_well_when_as_many_are_known_as_are_kept(
    server: ByteServer, broker: Alpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_KEPT_MAX", 10)
    ours = [documents.order(our_id(n), id=f"id-{n}") for n in range(20)]
    later = [documents.fill(n, order_id=f"id-{n}") for n in range(15, 20)]
    fills = [documents.fill(n, order_id=f"id-{n}", transaction_time=MORNING) for n in range(10, 15)] + later
    server.play(says(200, ours[:10]), says(200, fills), says(200, ours[15:]), says(200, ours[10:15]))
    await broker.open_orders()
    read = [execution async for execution in broker.executions(after=None)]
    assert [execution.report.cl_ord_id for execution in read] == [our_id(n) for n in range(10, 20)]


async def test_a_list_that_names_nobody_new_is_not_asked_for_again(
    server: ByteServer, broker: Alpaca
) -> None:
    fills = [documents.fill(n, order_id=f"id-{n}") for n in range(5)]
    singly = [says(200, documents.order(our_id(n), id=f"id-{n}")) for n in range(5)]
    server.play(says(200, fills), says(200, []), *singly)
    read = [execution async for execution in broker.executions(after=None)]
    assert [execution.report.cl_ord_id for execution in read] == [our_id(n) for n in range(5)]


UNREADABLE = [
    documents.order(our_id(1), id="a", type="trailing_stop"),
    documents.order(our_id(1, 2), id="a", replaces="nobody"),
    documents.order(our_id(1, 2), id="a", replaces="a"),
]


@pytest.mark.parametrize("order", UNREADABLE)
async def test_one_of_ours_that_cannot_be_is_no_answer(
    server: ByteServer, broker: Alpaca, order: documents.Document
) -> None:
    server.play(says(200, order), says(200, order) if order["replaces"] == "a" else ABSENT)
    with pytest.raises(OrderUnreadable):
        await broker.find(order["client_order_id"])


@pytest.mark.parametrize("order", UNREADABLE)
async def test_an_order_that_cannot_be_read_hides_no_other(
    server: ByteServer, broker: Alpaca, order: documents.Document
) -> None:
    other = documents.order(our_id(2), id="b")
    server.play(says(200, [order, other]), says(200, order) if order["replaces"] == "a" else ABSENT)
    shown = await broker.open_orders()
    assert ([seen.broker_order_id for seen in shown], shown.is_whole) == (["b"], False)


async def test_a_list_that_what_is_not_there_follows_from_leaves_nothing_out(
    server: ByteServer, broker: Alpaca
) -> None:
    server.play(says(200, [UNREADABLE[0], documents.order(our_id(2), id="b")]))
    with pytest.raises(OrderUnreadable):
        await broker.recent_orders(datetime(2024, 3, 1, 14, 30, tzinfo=UTC))


async def test_fills_are_read_to_the_end_from_the_cursor_on(server: ByteServer, broker: Alpaca) -> None:
    fills = [documents.fill(n) for n in range(101)]
    server.play(says(200, fills[:100]), says(200, documents.order(our_id(1))), says(200, fills[100:]))
    read = [execution async for execution in broker.executions(after="20240301000000000::x")]
    assert [execution.cursor for execution in read] == [fill["id"] for fill in fills]
    assert {execution.report.cl_ord_id for execution in read} == {our_id(1)}
    base = "GET /v2/account/activities/FILL?direction=asc&page_size=100&page_token="
    assert server.paths() == [
        base + "20240301000000000%3A%3Ax",
        f"GET /v2/orders/{documents.BROKER_ID}",
        base + fills[99]["id"].replace(":", "%3A"),
    ]


async def test_a_placed_order_is_not_asked_for_again(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1))), says(200, [documents.fill(1)]))
    await broker.place(our_id(1), terms(), no_veto)
    read = [execution async for execution in broker.executions(after=None)]
    assert [execution.report.cl_ord_id for execution in read] == [our_id(1)]
    assert len(server.seen) == 2


async def test_a_history_that_goes_in_circles_is_refused(server: ByteServer, broker: Alpaca) -> None:
    page = [documents.fill(n) for n in range(100)]
    server.play(says(200, page), says(200, documents.order(our_id(1))), says(200, page))
    read = 0
    with pytest.raises(BrokerUnavailable):
        async for _ in broker.executions(after=None):
            read += 1
    assert read < 200


async def test_positions_are_signed(server: ByteServer, broker: Alpaca) -> None:
    coin = documents.position("BTCUSD", "1", "long", "crypto")
    server.play(says(200, [documents.position("ACME", "-5", "short"), coin]))
    assert quantities(await broker.positions()) == {"ACME": -5, "BTC/USD": 1}


async def test_the_account_says_who_it_is(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.account(account_blocked=True)))
    account = await broker.account()
    assert account.fingerprint == "alpaca:e6fe16f3-64a4-4921-8928-cadf02f92f98:010203ABCD"
    assert (account.cash, account.buying_power) == (Decimal("-23140.2"), Decimal("262113.632"))
    assert account.blocked == "account_blocked"
    assert (account.currency, account.foreign_cash) == ("USD", None)  # it tells of no other


async def test_a_query_waits_for_the_limit_a_while(
    server: ByteServer, broker: Alpaca, clock: HandClock
) -> None:
    server.play(says(429, {}, Retry_After="3"), says(200, documents.account()))
    await broker.account()
    assert clock.slept == [3.0]


async def test_a_query_does_not_wait_for_ever(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(429, {}, Retry_After="30"))
    with pytest.raises(BrokerUnavailable):
        await broker.account()


async def test_no_answer_to_a_query_is_no_fact(server: ByteServer, broker: Alpaca) -> None:
    server.play(resets)
    for question in (broker.account(), broker.positions(), broker.open_orders(), broker.find(our_id(1))):
        with pytest.raises(BrokerUnavailable):
            await question
