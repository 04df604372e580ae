"""What a client sends is judged exactly: every digit kept, everything strange refused by name."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.venue.faces.alpaca import requests
from ordergate.venue.faces.alpaca.errors import Denial
from ordergate.venue.faces.alpaca.translate import amount
from ordergate.venue.words import Changes, Ticket
from tests.venue_alpaca.floor import limit_order

AMOUNTS = st.decimals(min_value="0.000000001", max_value="999999999999", places=9)


def placed(body: Mapping[str, Any] | bytes) -> Ticket | Denial:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.place(data, lambda: "named-by-us")


def denied(answer: object) -> Denial:
    assert isinstance(answer, Denial)
    return answer


@given(qty=AMOUNTS, price=AMOUNTS, quoted=st.booleans())
def test_amounts_survive_the_wire_to_the_last_digit(qty: Decimal, price: Decimal, quoted: bool) -> None:
    mark = '"' if quoted else ""
    body = (
        '{"symbol":"X","side":"buy","type":"limit","time_in_force":"day",'
        f'"qty":{mark}{qty:f}{mark},"limit_price":{mark}{price:f}{mark}}}'
    )
    ticket = placed(body.encode())
    assert isinstance(ticket, Ticket)
    assert (ticket.qty, ticket.limit_price) == (qty, price)
    assert Decimal(amount(ticket.qty)) == qty
    assert "E" not in amount(ticket.qty)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_an_amount_is_written_plainly_and_reads_back_the_same(value: Decimal) -> None:
    text = amount(value)
    assert Decimal(text) == value
    assert not text.endswith(".")
    assert "E" not in text
    assert text != "-0"


@given(st.binary(max_size=300))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    assert isinstance(placed(body), (Denial, Ticket))
    assert isinstance(requests.patch(body), (Denial, Changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"symbol": None}, "symbol is required"),
        ({"side": "short"}, "side must be"),
        ({"type": "pegged"}, "invalid order type"),
        ({"type": "trailing_stop", "trail_price": "1"}, "not offered"),
        ({"time_in_force": "opg"}, "not offered"),
        ({"time_in_force": "soon"}, "invalid order time_in_force"),
        ({"order_class": "bracket"}, "not offered"),
        ({"take_profit": {"limit_price": "11"}}, "not offered"),
        ({"notional": "100", "qty": None}, "not offered"),
        ({"position_intent": "buy_to_open"}, "not offered"),
        ({"advanced_instructions": {"algorithm": "VWAP"}}, "not offered"),
        ({"qty": None}, "qty is required"),
        ({"qty": "0"}, "qty must be > 0"),
        ({"qty": "-1"}, "qty must be > 0"),
        ({"qty": "NaN"}, "qty must be > 0"),
        ({"qty": "Infinity"}, "qty must be > 0"),
        ({"qty": "1e999999"}, "qty is out of range"),
        ({"qty": "1e-19"}, "qty is out of range"),
        ({"limit_price": None}, "require a limit_price"),
        ({"stop_price": "9"}, "must not have a stop_price"),
        ({"type": "stop", "limit_price": None}, "require a stop_price"),
        ({"type": "market"}, "must not have a limit_price"),
        ({"client_order_id": "x" * 129}, "no more than 128"),
        ({"extended_hours": True, "time_in_force": "ioc"}, "extended hours"),
        ({"qty": True}, "$.qty"),
        ({"qty": "ten"}, "$.qty"),
    ],
)
def test_a_bad_field_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    denial = denied(placed(limit_order("name", **changes)))
    assert (denial.status, denial.code) == (422, 40010001)
    assert words in denial.message


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"\xff\xfe", b'{"qty": 1'])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    assert (denied(placed(body)).status, denied(placed(body)).code) == (400, 40010000)


def test_an_order_without_a_name_is_named_by_the_venue() -> None:
    ticket = placed(limit_order("gone", client_order_id=None))
    assert isinstance(ticket, Ticket)
    assert ticket.client_order_id == "named-by-us"


@pytest.mark.parametrize(
    "query",
    [
        {"status": "pending"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "ten"},
        {"direction": "up"},
        {"after": "yesterday"},
    ],
)
def test_a_strange_filter_of_orders_is_refused(query: dict[str, str]) -> None:
    assert denied(requests.orders_query(query)).status == 422


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": "101"},
        {"direction": "sideways"},
        {"date": "2024-13-01"},
        {"date": "2024-01-01", "after": "2024-01-01"},
        {"date": "0001-01-01"},
        {"date": "9999-12-31"},
    ],
)
def test_a_strange_filter_of_activities_is_refused(query: dict[str, str]) -> None:
    assert denied(requests.activities_query(query)).status == 422
