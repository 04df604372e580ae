"""From an alert to an order's fields."""

from __future__ import annotations

import pytest

from ordergate.core.hooks.template import Found, Template, alert_in, text_at
from ordergate.core.refusals import Code, Refusal

FIXED = {"symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"}


def order(fields: dict[str, object], body: bytes) -> dict[str, str | bool] | Refusal:
    alert = alert_in(body)
    assert not isinstance(alert, Refusal)
    return Template({**FIXED, **fields}).order("P-DEMO", alert)  # type: ignore[dict-item]  # on purpose loose


def test_what_the_template_fixes_no_alert_can_change() -> None:
    assert order({}, b'{"symbol":"TSLA","account_id":"P-OTHER"}') == {"account_id": "P-DEMO", **FIXED}


def test_a_value_is_found_on_its_way_through_the_alert() -> None:
    found = order({"side": Found(path="strategy.order.action")}, b'{"strategy":{"order":{"action":"sell"}}}')
    assert isinstance(found, dict)
    assert found["side"] == "sell"


@pytest.mark.parametrize("said", ["0.1", "12", "4800.25", "100000000000000000", "0.300000000000000004"])
def test_an_amount_keeps_the_digits_that_were_sent(said: str) -> None:
    found = order({"quantity": Found(path="qty")}, b'{"qty":%b}' % said.encode())
    assert isinstance(found, dict)
    assert found["quantity"] == said


def test_words_say_what_a_value_is_called_in_an_order() -> None:
    symbol = Found(path="ticker", words={"ES1!": "ESM4"})
    found = order({"symbol": symbol}, b'{"ticker":"ES1!"}')
    assert isinstance(found, dict)
    assert found["symbol"] == "ESM4"


@pytest.mark.parametrize("body", [b"{}", b'{"ticker":"NQ1!"}', b'{"ticker":null}', b'{"ticker":["ES1!"]}'])
def test_a_value_without_a_word_makes_no_order(body: bytes) -> None:
    found = order({"symbol": Found(path="ticker", words={"ES1!": "ESM4"})}, body)
    assert isinstance(found, Refusal)
    assert (found.code, list(found.fields)) == (Code.INVALID, ["symbol"])


def test_a_default_stands_for_a_missing_value_and_not_for_a_strange_one() -> None:
    side = Found(path="side", words={"long": "buy"}, default="sell")
    missing, strange = order({"side": side}, b"{}"), order({"side": side}, b'{"side":"short"}')
    assert isinstance(missing, dict)
    assert missing["side"] == "sell"
    assert isinstance(strange, Refusal)


def test_a_field_that_an_order_can_be_without_is_left_out_when_the_alert_has_none() -> None:
    found = order({"limit_price": Found(path="price")}, b"{}")
    assert isinstance(found, dict)
    assert "limit_price" not in found


@pytest.mark.parametrize(
    "fields", [{"account_id": "P-OTHER", **FIXED}, {"symbol": "AAPL"}, {"price": "1", **FIXED}]
)
def test_a_template_names_the_fields_of_an_order_and_the_needed_ones(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="an order of a hook"):
        Template(fields)


@pytest.mark.parametrize("path", ["", "a..b", ".", "a.b.c.d.e.f.g.h.i"])
def test_a_way_through_an_alert_is_a_few_names(path: str) -> None:
    with pytest.raises(ValueError, match="names"):
        Found(path=path)


@pytest.mark.parametrize("body", [b"", b"[]", b'"buy"', b"{", b'{"a":\xff}', b"[" * 100_000])
def test_what_is_no_object_is_no_alert(body: bytes) -> None:
    assert isinstance(alert_in(body), Refusal)


def test_a_truth_value_is_no_text() -> None:
    assert text_at({"a": True}, "a") is None
