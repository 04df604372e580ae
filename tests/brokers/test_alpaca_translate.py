"""Every word of Alpaca's has one meaning here, and a word that is not theirs has none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import (
    Contradiction,
    Inexpressible,
    holdings,
    news,
    orders,
    requests,
    ticks,
)
from ordergate.core.ids import Env
from ordergate.core.orders import reports as r
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import BrokerStatus
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from tests.brokers import alpaca_documents as documents
from tests.brokers.world import ACCOUNT, our_id, terms

P, W = BrokerStatus.PENDING, BrokerStatus.WORKING
STATUSES = {
    "new": W,
    "partially_filled": W,
    "filled": BrokerStatus.FILLED,
    "done_for_day": W,
    "canceled": BrokerStatus.CANCELED,
    "expired": BrokerStatus.EXPIRED,
    "replaced": BrokerStatus.REPLACED,
    "pending_cancel": W,
    "pending_replace": W,
    "accepted": P,
    "pending_new": P,
    "accepted_for_bidding": P,
    "stopped": W,
    "rejected": BrokerStatus.REJECTED,
    "suspended": W,
    "calculated": W,
    "held": P,
}
EVENTS: dict[str, type[r.Report] | None] = {
    "accepted": r.AcknowledgedReport,
    "pending_new": r.AcknowledgedReport,
    "held": r.AcknowledgedReport,
    "new": r.AcknowledgedReport,
    "partial_fill": r.ExecutedReport,
    "fill": r.ExecutedReport,
    "canceled": r.CanceledReport,
    "expired": r.ExpiredReport,
    "rejected": r.RejectedReport,
    "replaced": r.ReplacedReport,
    "order_cancel_rejected": r.CancelRejectedReport,
    "order_replace_rejected": r.ReplaceRejectedReport,
    "trade_bust": r.BustedReport,
    "trade_correct": r.CorrectedReport,
    "pending_cancel": None,
    "pending_replace": None,
    "done_for_day": None,
    "stopped": None,
    "suspended": None,
    "calculated": None,
    "restated": None,
}
AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=9, allow_nan=False).map(abs)
POSITIVE = st.decimals(min_value="0.000000001", max_value=10**9, places=9, allow_nan=False)


def order(name: str = "foreign", **changes: Any) -> wire.Order:
    return wire.ORDER.decode(msgspec.json.encode(documents.order(name, **changes)))


def update(event: str, of: dict[str, Any] | None = None, **changes: Any) -> wire.Update:
    shown = documents.order(our_id(1)) if of is None else of
    frame = wire.TRADING_FRAME.decode(msgspec.json.encode(documents.update(event, shown, **changes)))
    assert isinstance(frame, wire.UpdateFrame)
    return frame.data


# -- statuses and snapshots


def test_the_tables_of_this_test_are_complete() -> None:
    assert set(STATUSES) == set(get_args(wire.OrderStatus))
    assert set(EVENTS) == set(get_args(wire.UpdateEvent))


@pytest.mark.parametrize("word", STATUSES)
def test_every_status_has_one_meaning(word: str) -> None:
    assert orders.snapshot(order(status=word), env=Env.PAPER, account=ACCOUNT).status is STATUSES[word]


def test_a_snapshot_carries_the_whole_order() -> None:
    shown = order(
        our_id(1, 3),
        status="partially_filled",
        type="stop_limit",
        side="sell",
        time_in_force="gtc",
        qty="10.5",
        filled_qty="2.25",
        limit_price="9.99",
        stop_price="10.01",
        extended_hours=True,
    )
    assert orders.snapshot(shown, env=Env.PAPER, account=ACCOUNT) == r.OrderSnapshot(
        cl_ord_id=our_id(1, 3),
        version=3,
        broker_order_id=documents.BROKER_ID,
        status=W,
        terms=terms(
            side=Side.SELL,
            type=OrderType.STOP_LIMIT,
            quantity=Decimal("10.5"),
            limit_price=Decimal("9.99"),
            stop_price=Decimal("10.01"),
            time_in_force=TimeInForce.GTC,
            extended_hours=True,
        ),
        cum_qty=Decimal("2.25"),
        broker_at=datetime(2024, 3, 1, 14, 30, 0, 123457, tzinfo=UTC),
        created_at=datetime(2024, 3, 1, 14, 30, 0, 123457, tzinfo=UTC),
    )


def test_a_snapshot_counts_what_the_replaced_orders_had() -> None:
    shown = order(qty="6", filled_qty="1", filled_avg_price="9.99")
    found = orders.snapshot(shown, env=Env.PAPER, account=ACCOUNT, filled_before=Decimal(4))
    assert (found.terms.quantity, found.cum_qty, found.avg_px) == (Decimal(10), Decimal(5), None)


@pytest.mark.parametrize(
    ("name", "version"),
    [(our_id(1, 1), 1), (our_id(1, 40), 40), ("a-label-of-somebody", 0), (our_id(1, 1, Env.LIVE), 0)],
)
def test_only_our_own_ids_of_this_environment_have_a_version(name: str, version: int) -> None:
    assert orders.version(Env.PAPER, name) == version


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": None, "notional": "500"},
        {"type": "trailing_stop"},
        *({"time_in_force": word} for word in ("opg", "cls")),
        {"order_class": "mleg", "symbol": None, "side": None},
        {"order_class": "bracket"},
        {"side": "borrow"},
    ],
)
def test_what_was_placed_here_is_never_beyond_our_terms(changes: dict[str, Any]) -> None:
    with pytest.raises(Inexpressible):
        orders.snapshot(order(our_id(1), **changes), env=Env.PAPER, account=ACCOUNT)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"client_order_id": None},
        {"qty": 10},
        {"qty": "1e5"},
        {"qty": "NaN"},
        {"qty": "1_000"},
        {"qty": " 1"},
        {"qty": "1\n"},
        {"qty": "0x10"},
        {"filled_qty": "Infinity"},
        {"filled_qty": None},
        {"updated_at": "2024-03-01T14:30:00"},
        {"updated_at": "yesterday"},
    ],
)
def test_a_word_that_is_not_alpacas_does_not_decode(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        order(**changes)


# -- news


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_one_meaning(event: str) -> None:
    shown = documents.order(our_id(1), replaced_by="another", filled_qty="2")
    found = news.report(update(event, shown, qty="2", price="9.5", previous_execution_id="first"), Env.PAPER)
    assert type(found) is (EVENTS[event] or type(None))
    if found is not None:
        named = (found.cl_ord_id, found.version, found.broker_order_id)
        assert named == (our_id(1), 1, documents.BROKER_ID)
        assert not isinstance(found, r.EndedReport) or found.cum_qty == 2
        assert found.broker_at == datetime(2024, 3, 1, 14, 30, 1, 500000, tzinfo=UTC)


def test_a_fill_is_the_execution_alone_and_the_sum_beside_it() -> None:
    shown = documents.order(our_id(1), filled_qty="7")
    found = news.report(update("partial_fill", shown, qty="2", price="9.50"), Env.PAPER)
    assert isinstance(found, r.ExecutedReport)
    assert (found.exec_id, found.quantity, found.price) == (documents.EXECUTION, Decimal(2), Decimal("9.50"))
    assert found.cum_qty == 7


def test_the_sum_of_a_replacing_order_is_not_the_sum_of_ours() -> None:
    shown = documents.order(our_id(1, 2), filled_qty="7", replaces="before")
    found = news.report(update("fill", shown, qty="2", price="9.50"), Env.PAPER)
    assert isinstance(found, r.ExecutedReport)
    assert found.cum_qty is None


@pytest.mark.parametrize(
    ("event", "proves"), [("accepted", False), ("pending_new", False), ("held", False), ("new", True)]
)
def test_a_replacement_is_proven_only_when_it_is_new(event: str, proves: bool) -> None:
    """Before that it may still lose to a fill of the order that it replaces."""
    shown = documents.order(our_id(1, 2), replaces="before")
    assert (news.report(update(event, shown), Env.PAPER) is not None) == proves


def test_a_correction_keeps_the_id_the_execution_was_first_known_by() -> None:
    found = news.report(update("trade_correct", qty="2", price="9", previous_execution_id="first"), Env.PAPER)
    assert isinstance(found, r.CorrectedReport)
    assert (found.exec_id, found.revision) == ("first", None)
    assert found.reference not in (None, "first")  # its own, by which the next one may name it
    assert (found.quantity, found.price) == (Decimal(2), Decimal(9))


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("fill", {"price": "1"}),
        ("fill", {"qty": "1"}),
        ("fill", {"qty": "0", "price": "1"}),
        ("partial_fill", {"qty": "-1", "price": "1"}),
        ("fill", {"qty": "1", "price": "1", "execution_id": None}),
        ("trade_bust", {}),
        ("trade_correct", {"qty": "1", "price": "1"}),
        ("replaced", {}),
    ],
)
def test_news_that_cannot_be_true_is_refused(event: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Contradiction):
        news.report(update(event, **changes), Env.PAPER)


def test_an_unknown_event_does_not_decode() -> None:
    with pytest.raises(msgspec.ValidationError):
        update("margin_call")


def test_stream_and_history_name_an_execution_alike() -> None:
    shown = documents.order(our_id(1), filled_qty="1")
    fill = wire.FILLS.decode(msgspec.json.encode([documents.fill(1)]))[0]
    from_history = news.executed(fill, our_id(1), Env.PAPER)
    exec_id = fill.id.partition("::")[2]
    frame = update("partial_fill", shown, execution_id=exec_id, qty="1", price="10.01")
    from_stream = news.report(frame, Env.PAPER)
    assert isinstance(from_stream, r.ExecutedReport)
    assert from_history == msgspec.structs.replace(from_stream, cum_qty=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "no-separator"},
        {"id": "2024::"},
        {"qty": 1},
        {"activity_type": "DIV"},
        {"transaction_time": "2024-03-01T14:30:01"},
    ],
)
def test_a_fill_that_is_not_alpacas_does_not_decode(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        wire.FILLS.decode(msgspec.json.encode([documents.fill(1, **changes)]))


# -- our orders


@st.composite
def any_terms(draw: st.DrawFn) -> Terms:
    kind = draw(st.sampled_from(OrderType))
    return terms(
        type=kind,
        side=draw(st.sampled_from(Side)),
        time_in_force=draw(st.sampled_from(TimeInForce)),
        quantity=draw(POSITIVE),
        limit_price=draw(POSITIVE) if kind.needs_limit_price else None,
        stop_price=draw(POSITIVE) if kind.needs_stop_price else None,
    )


@given(any_terms())
def test_an_order_comes_back_as_it_went(asked: Terms) -> None:
    body = msgspec.json.decode(wire.ENCODER.encode(requests.place_body(our_id(1), asked)))
    answered = documents.order(our_id(1), **{"limit_price": None, "stop_price": None} | body)
    shown = wire.ORDER.decode(msgspec.json.encode(answered))
    assert orders.snapshot(shown, env=Env.PAPER, account=ACCOUNT).terms == asked


def test_a_plain_order_says_nothing_it_need_not() -> None:
    body = wire.ENCODER.encode(requests.place_body(our_id(1), terms(quantity=Decimal("10.50"))))
    assert msgspec.json.decode(body) == {
        "symbol": "ACME",
        "qty": "10.5",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": our_id(1),
        "limit_price": "10",
    }


@pytest.mark.parametrize(
    ("quantity", "held", "says"),
    [("10", "10", None), ("12", "10", "12"), ("7", "10", "7"), ("15", "6", "11"), ("10", "6", None)],
)
def test_a_replacement_carries_the_change_of_quantity(quantity: str, held: str, says: str | None) -> None:
    """Where an earlier replacement asked only for what was left, the broker holds less than ours."""
    asked = Replacement(version=2, quantity=Decimal(quantity), limit_price=Decimal(10), stop_price=None)
    body = requests.replace_body(our_id(1, 2), terms(), asked, Decimal(held))
    assert body == wire.ReplaceBody(client_order_id=our_id(1, 2), qty=says)


def test_a_replacement_says_only_what_changes() -> None:
    asked = Replacement(version=2, quantity=Decimal(10), limit_price=Decimal("9.5"), stop_price=None)
    body = wire.ENCODER.encode(requests.replace_body(our_id(1, 2), terms(), asked, Decimal(10)))
    assert msgspec.json.decode(body) == {"client_order_id": our_id(1, 2), "limit_price": "9.5"}


# -- the account


@pytest.mark.parametrize(
    ("document", "held"),
    [
        (documents.position("ACME", "5", "long"), ("ACME", 5)),
        (documents.position("ACME", "-5", "short"), ("ACME", -5)),
        (documents.position("ACME", "5", "short"), ("ACME", -5)),
        (documents.position("BTCUSD", "0.25", "long", "crypto"), ("BTC/USD", Decimal("0.25"))),
        (documents.position("ETHBTC", "2", "long", "crypto"), ("ETH/BTC", 2)),
        (documents.position("BTCUSDT", "2", "long", "crypto"), ("BTC/USDT", 2)),
        (documents.position("BTC/USD", "2", "long", "crypto"), ("BTC/USD", 2)),
        (documents.position("HUSD", "2", "long"), ("HUSD", 2)),
    ],
)
def test_a_position_is_a_signed_quantity_of_our_symbol(
    document: dict[str, Any], held: tuple[str, Decimal]
) -> None:
    position = wire.POSITIONS.decode(msgspec.json.encode([document]))[0]
    symbol, quantity, price = holdings.holding(position)
    assert (symbol, quantity) == held
    assert price == 100


@pytest.mark.parametrize(
    "document",
    [documents.position("ACME", "-5", "long"), documents.position("DOGEEUR", "1", "long", "crypto")],
)
def test_a_position_that_cannot_be_true_is_refused(document: dict[str, Any]) -> None:
    position = wire.POSITIONS.decode(msgspec.json.encode([document]))[0]
    with pytest.raises(Contradiction):
        holdings.holding(position)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"trading_blocked": True}, "trading_blocked"),
        ({"account_blocked": True, "trading_blocked": True}, "trading_blocked, account_blocked"),
        ({"trade_suspended_by_user": True}, "trade_suspended_by_user"),
        ({"status": "ACCOUNT_CLOSED"}, "status ACCOUNT_CLOSED"),
    ],
)
def test_an_account_says_why_it_may_not_trade(changes: dict[str, Any], why: str | None) -> None:
    account = wire.ACCOUNT.decode(msgspec.json.encode(documents.account(**changes)))
    assert holdings.blocked(account) == why


def test_an_account_is_known_by_its_id_and_its_number() -> None:
    account = wire.ACCOUNT.decode(msgspec.json.encode(documents.account()))
    assert holdings.fingerprint(account) == "alpaca:e6fe16f3-64a4-4921-8928-cadf02f92f98:010203ABCD"


# -- market data


@given(AMOUNTS, AMOUNTS)
def test_a_price_keeps_every_digit_of_the_wire(price: Decimal, size: Decimal) -> None:
    raw = f'[{{"T":"t","S":"ACME","i":1,"p":{price:f},"s":{size:f}}}]'.encode()
    (tick,) = wire.DATA_FRAME.decode(raw)
    assert isinstance(tick, wire.TradeTick)
    assert ticks.printed(tick) == (price, size)


@pytest.mark.parametrize("number", ["1e400", "-1", "1e-400", "9" * 40])
def test_a_number_out_of_all_bounds_is_refused(number: str) -> None:
    (tick,) = wire.DATA_FRAME.decode(f'[{{"T":"t","S":"ACME","p":{number},"s":1}}]'.encode())
    assert isinstance(tick, wire.TradeTick)
    with pytest.raises(Contradiction):
        ticks.printed(tick)


def test_a_side_without_orders_has_no_price() -> None:
    assert ticks.top(Decimal(0), Decimal(0)) == (None, Decimal(0))
    assert ticks.top(Decimal("4800.25"), Decimal(3)) == (Decimal("4800.25"), Decimal(3))
