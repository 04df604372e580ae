"""Bodies are read exactly, and whatever is wrong with one is named."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.api.json_bodies import DEPTH_MAX, decode, depth_of, repeated_key
from ordergate.api.limit_requests import RULES_AT_ONCE_MAX, apply_decoder
from ordergate.api.requests import OrderFields, changes_in, terms_in
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.rules import Reach
from tests.api.asking import an_order

ORDERS = msgspec.json.Decoder(OrderFields)


def refusal_of(body: bytes) -> Refusal:
    found = terms_in(body)
    assert isinstance(found, Refusal), found
    return found


def sent(**changed: Any) -> bytes:
    return json.dumps(an_order(**changed)).encode()


def test_a_right_order_becomes_exact_terms() -> None:
    terms = terms_in(sent(quantity="3.10", client_order_id="mine-1"))
    assert isinstance(terms, Terms)
    assert (terms.side, terms.type) == (Side.BUY, OrderType.LIMIT)
    assert str(terms.quantity) == "3.10"
    assert str(terms.limit_price) == "4800.25"
    assert terms.client_order_id == "mine-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null x",
        b'{"a":1}{"a":1}',
        b"\xff\xfe",
        b'{"account_id":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"quantity":NaN}',
        b'{"quantity":"\\ud800"}',
        b"[]",
        b'"order"',
        b"12",
        b"[" * 60_000,
        b'{"a":' * 17 + b"1" + b"}" * 17,
    ],
)
def test_what_is_not_a_json_object_is_malformed(body: bytes) -> None:
    assert refusal_of(body).code is Code.MALFORMED


def test_a_key_given_twice_is_refused_wherever_it_is_and_however_it_is_spelled() -> None:
    body = sent()
    twice = body[:-1] + b',"quantity":"4"}'
    escaped = body[:-1] + b',"\\u0071uantity":"4"}'
    for text in (twice, escaped):
        refusal = refusal_of(text)
        assert refusal.code is Code.MALFORMED
        assert refusal.fields == {"quantity": "is given twice"}


def test_unknown_fields_are_named_beside_everything_else_that_is_wrong() -> None:
    refusal = refusal_of(sent(env="live", status="filled", side="hold", quantity=None))
    assert refusal.code is Code.UNKNOWN_FIELD
    assert set(refusal.fields) == {"env", "status", "side", "quantity"}
    assert refusal.fields["side"] == "must be one of buy, sell"
    assert refusal.fields["quantity"] == "is required"


def test_every_wrong_field_is_named_whatever_kind_of_wrong_it_is() -> None:
    refusal = refusal_of(
        sent(side="hold", quantity="-1", limit_price="cheap", stop_price="1", symbol=None, strategy=7)
    )
    assert refusal.code is Code.INVALID
    assert set(refusal.fields) == {"side", "quantity", "limit_price", "stop_price", "symbol", "strategy"}
    assert refusal.fields["quantity"] == "must be more than zero"
    assert refusal.fields["stop_price"] == "a limit order has none"


def test_every_wrong_field_of_a_replacement_is_named() -> None:
    found = changes_in(b'{"quantity":"0","limit_price":5,"stop_price":"x","env":"live"}')
    assert isinstance(found, Refusal)
    assert found.code is Code.UNKNOWN_FIELD
    assert set(found.fields) == {"quantity", "limit_price", "stop_price", "env"}


WRONG = st.sampled_from(["", "x", "-1", "0", "1e3", "limit", "buy", "day"]) | st.none() | st.integers()


@given(st.dictionaries(st.sampled_from(["side", "type", "quantity", "limit_price", "strategy"]), WRONG))
def test_a_field_that_is_wrong_by_itself_is_wrong_in_company(changed: dict[str, Any]) -> None:
    """What is said about one wrong field does not depend on what else is wrong."""
    together = terms_in(sent(**changed))
    named = set(together.fields) if isinstance(together, Refusal) else set()
    for name, value in changed.items():
        alone = terms_in(sent(**{name: value}))
        if name != "type" and isinstance(alone, Refusal) and name in alone.fields:
            needed = name != "limit_price" or value is not None  # a price is missing by the type
            assert name in named or not needed


A_RULE = {"id": "calm", "scope": "account", "of": "P-DEMO", "owner": "risk", "limits": {}}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"owner": None}, {"rules.30.owner": "must be who answers for it"}),
        ({"modes": "shadow"}, {"rules.30.modes": "is not a field of this request"}),
        ({"scope": "planet"}, {"rules.30.scope": f"must be one of {', '.join(Reach)}"}),
    ],
)
def test_what_is_wrong_with_one_rule_of_many_is_named(changed: dict[str, Any], named: dict[str, str]) -> None:
    body = {"rules": [A_RULE] * 30 + [A_RULE | changed], "reason": "tighter"}
    found = decode(msgspec.json.encode(body), apply_decoder)
    assert isinstance(found, Refusal)
    assert found.fields == named


def test_a_list_that_is_too_long_is_named_by_itself() -> None:
    body = {"rules": [A_RULE] * (RULES_AT_ONCE_MAX + 1), "reason": "tighter"}
    found = decode(msgspec.json.encode(body), apply_decoder)
    assert isinstance(found, Refusal)
    assert found.fields == {"rules": f"must be a list of rules, {RULES_AT_ONCE_MAX} at most"}


@pytest.mark.parametrize("number", [3, 3.5, -1, 10**30, 1e300])
@pytest.mark.parametrize("field", ["quantity", "limit_price", "stop_price"])
def test_a_json_number_for_an_amount_is_refused_by_its_field(field: str, number: float) -> None:
    refusal = refusal_of(sent(**{field: number}))
    assert refusal.code is Code.INVALID
    assert "decimal string" in refusal.fields[field]


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", "1e3", "01", ".5", "1.", "NaN", "Infinity", "1,000", "1_0", "٣", "1\n"]
)
def test_an_amount_that_is_not_a_plain_decimal_is_refused(text: str) -> None:
    assert "quantity" in refusal_of(sent(quantity=text)).fields


def test_a_quantity_of_nothing_or_less_is_refused() -> None:
    for text in ("0", "0.000", "-1"):
        assert refusal_of(sent(quantity=text)).fields == {"quantity": "must be more than zero"}


@pytest.mark.parametrize(
    ("kind", "limit", "stop", "wrong"),
    [
        ("limit", None, None, {"limit_price"}),
        ("limit", "1", "1", {"stop_price"}),
        ("market", "1", None, {"limit_price"}),
        ("market", None, "1", {"stop_price"}),
        ("stop", None, None, {"stop_price"}),
        ("stop", "1", "1", {"limit_price"}),
        ("stop_limit", None, None, {"limit_price", "stop_price"}),
        ("stop_limit", "1", "1", set()),
        ("market", None, None, set()),
    ],
)
def test_prices_are_present_exactly_where_the_order_type_has_them(
    kind: str, limit: str | None, stop: str | None, wrong: set[str]
) -> None:
    found = terms_in(sent(type=kind, limit_price=limit, stop_price=stop))
    assert set(found.fields if isinstance(found, Refusal) else ()) == wrong


@pytest.mark.parametrize("text", ["P-DEMO\n", "X-DEMO", "", "P-", "P-DEMO'--", "P-\x00"])
def test_an_account_id_of_another_form_is_refused(text: str) -> None:
    assert set(refusal_of(sent(account_id=text)).fields) == {"account_id"}


def test_a_replacement_changes_something() -> None:
    found = changes_in(b"{}")
    assert isinstance(found, Refusal)
    assert found.code is Code.INVALID


def test_an_unprintable_field_name_is_not_repeated_to_its_sender() -> None:
    refusal = refusal_of(b'{"<script>":1}')
    assert "<script>" not in str(refusal.fields)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_either_read_or_refused_and_never_a_fault(value: Any) -> None:
    decode(json.dumps(value).encode(), ORDERS)


@given(st.binary(max_size=300))
def test_any_bytes_are_either_read_or_refused_and_never_a_fault(body: bytes) -> None:
    found = decode(body, ORDERS)
    assert isinstance(found, Refusal)


@given(JSON)
def test_depth_is_counted_as_a_parser_would(value: Any) -> None:
    def depth(inner: Any) -> int:
        if isinstance(inner, dict):
            return 1 + max((depth(one) for one in inner.values()), default=0)
        if isinstance(inner, list):
            return 1 + max((depth(one) for one in inner), default=0)
        return 0

    assert depth_of(json.dumps(value).encode()) == depth(value)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=8)), max_size=8), st.booleans())
def test_a_repeated_key_is_found_exactly_when_there_is_one(
    pairs: list[tuple[str, str]], nested: bool
) -> None:
    inner = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
    body = f'{{"a":[1,{inner}]}}' if nested else inner
    repeated = repeated_key(body.encode())
    assert (repeated is not None) == (len({key for key, _ in pairs}) < len(pairs))


def test_the_bound_on_depth_is_exact() -> None:
    def nested(levels: int) -> bytes:
        return b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    assert refusal_of(nested(DEPTH_MAX)).code is Code.UNKNOWN_FIELD
    assert refusal_of(nested(DEPTH_MAX + 1)).code is Code.MALFORMED


def test_the_bound_on_depth_holds_where_anything_may_stand_too() -> None:
    def rules(levels: int) -> bytes:
        limits = json.loads('{"anything":' + "[" * (levels - 4) + "]" * (levels - 4) + "}")
        return msgspec.json.encode({"rules": [A_RULE | {"limits": limits}], "reason": "tighter"})

    assert depth_of(rules(DEPTH_MAX)) == DEPTH_MAX
    fits = decode(rules(DEPTH_MAX), apply_decoder)
    assert not isinstance(fits, Refusal)
    too_deep = decode(rules(DEPTH_MAX + 1), apply_decoder)
    assert isinstance(too_deep, Refusal)
    assert too_deep.code is Code.MALFORMED
