"""Keys, fingerprints, scopes, refusals and instruments: the small values at the door."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.access import Principal, Scope
from ordergate.core.idempotency import Receipt, fingerprint, judge, parse_key
from ordergate.core.idempotency import Scope as KeyScope
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Code, Refusal
from tests.core.examples import ACCOUNT, future, ids

KEY = "0123456789abcdef"


@pytest.mark.parametrize("header", [KEY, f'"{KEY}"', f"  {KEY}  ", "A-_9" * 32])
def test_a_key_is_taken_quoted_or_bare(header: str) -> None:
    assert parse_key(header) == header.strip().strip('"')


@pytest.mark.parametrize("header", [None, "", "   "])
def test_a_missing_key_is_refused_as_missing(header: str | None) -> None:
    answer = parse_key(header)
    assert isinstance(answer, Refusal)
    assert answer.code is Code.IDEMPOTENCY_KEY_MISSING


@pytest.mark.parametrize(
    "header",
    ["short", "x" * 15, "x" * 129, KEY + "!", f'"{KEY}', f"'{KEY}'", KEY + "\n" + KEY, "é" * 16, '"', '""'],
)
def test_a_malformed_key_is_refused_as_invalid(header: str) -> None:
    answer = parse_key(header)
    assert isinstance(answer, Refusal)
    assert answer.code is Code.IDEMPOTENCY_KEY_INVALID


FIELDS = st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.none(), st.text(max_size=5)), max_size=5)


@given(FIELDS, FIELDS)
def test_fingerprints_are_equal_exactly_when_the_requests_are(
    one: dict[str, str | None], other: dict[str, str | None]
) -> None:
    def present(fields: dict[str, str | None]) -> dict[str, str]:
        return {name: value for name, value in fields.items() if value is not None}

    same = present(one) == present(other)
    assert (
        fingerprint("POST", "/v1/orders", "P-1", one) == fingerprint("POST", "/v1/orders", "P-1", other)
    ) is same


def test_method_route_and_account_are_in_the_fingerprint() -> None:
    asked = {
        fingerprint(method, route, account, {"a": "1"})
        for method in ("POST", "PATCH")
        for route in ("/v1/orders", "/v1/orders/{id}")
        for account in ("P-1", "P-2")
    }
    assert len(asked) == 8


def test_the_same_key_buys_the_same_receipt_for_the_same_request_only() -> None:
    scope = KeyScope(Env.PAPER, "t", "c", "/v1/orders", KEY)
    receipt = Receipt(
        scope=scope,
        fingerprint=b"one",
        account=ACCOUNT,
        order=ids(),
        status=201,
        body=None,
        at=datetime(2026, 1, 5, tzinfo=UTC),
    )
    assert judge(receipt, b"one") is receipt
    refused = judge(receipt, b"two")
    assert isinstance(refused, Refusal)
    assert refused.code is Code.IDEMPOTENCY_KEY_REUSED


def test_a_scopes_digest_tells_every_part_of_it_apart() -> None:
    scopes = [
        KeyScope(env, tenant, client, route, key)
        for env in Env
        for tenant in ("a", "b")
        for client in ("a", "b")
        for route in ("a", "b")
        for key in ("a", "b")
    ]
    assert len({scope.digest() for scope in scopes}) == len(scopes)


def test_a_principal_may_only_what_its_token_says_and_only_on_its_accounts() -> None:
    principal = Principal(
        env=Env.PAPER,
        tenant="t",
        client_id="c",
        subject="c",
        scopes=frozenset({Scope.ORDERS_READ}),
        accounts=frozenset({ACCOUNT}),
        expires_at=0,
        token_id="1",
    )
    assert principal.may(Scope.ORDERS_READ)
    assert not principal.may(Scope.ORDERS_WRITE)
    assert principal.may_on(Scope.ORDERS_READ, ACCOUNT)
    assert not principal.may_on(Scope.ORDERS_READ, AccountId("P-OTHER"))
    assert not principal.may_on(Scope.ORDERS_WRITE, ACCOUNT)


def test_every_refusal_code_has_a_meaning_and_is_spelled_for_a_url() -> None:
    for code in Code:
        assert code.meaning.endswith(".")
        assert code.value == code.value.lower().replace("_", "-").replace(" ", "-")
    assert msgspec.json.encode(Refusal(Code.NOT_FOUND, "none"))


@pytest.mark.parametrize("field", ["tick", "lot", "multiplier"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_an_instrument_without_a_grid_cannot_be_made(field: str, value: str) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        msgspec.structs.replace(future(), **{field: Decimal(value)})
