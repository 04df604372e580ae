"""Wherever a secret hides in a log field, it does not come out; what is not secret stays."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.telemetry.redactor import TEXT_MAX, redact, redact_text
from ordergate.telemetry.secret import HIDDEN, Secret

CANARY = "Zq7canaryXw9Kd"
JWT = f"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.{CANARY}"

SECRET_NAMES = (
    "secret", "client_secret", "clientSecret", "token", "access_token", "refresh-token", "password", "passwd",
    "authorization", "Authorization", "Proxy-Authorization", "api_key", "apikey", "API-KEY", "x-api-key",
    "APCA-API-SECRET-KEY", "private_key", "cookie", "Set-Cookie",
    "credentials", "client_assertion", "passphrase",
)  # fmt: skip

SENTENCES = (
    "Authorization: Bearer {}",
    "authorization: Custom {} more",
    "sent with bearer {} to the broker",
    "Basic {}",
    "grant_type=client_credentials&client_id=a&client_secret={}",
    "client_secret={}&grant_type=client_credentials",
    '{{"client_id": "a", "client_secret": "{}"}}',
    '{{"client_secret": "one word {} another"}}',
    "{{'password': '{}', 'user': 'a'}}",
    "{{'password': b'{}', 'user': 'a'}}",
    '"{{\\"access_token\\": \\"{}\\"}}"',
    "[(b'x-api-key', b'{}')]",
    "('client_secret', '{}')",
    "postgresql://ordergate:{}@127.0.0.1/db",
    "https://{}@example.com/path",
    "token: {}",
    "api_key = {}",
    "APCA-API-SECRET-KEY: {}",
    "Cookie: session={}; other={}",
    "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n{}",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.{}",
)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_field_with_a_secret_name_is_hidden_whatever_it_holds(name: str) -> None:
    for value in (CANARY, CANARY.encode(), [CANARY], {"inner": CANARY}, Secret(CANARY)):
        assert redact({name: value}) == {name: HIDDEN}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_credential_inside_a_sentence_is_hidden(sentence: str) -> None:
    assert CANARY not in redact_text(sentence.format(CANARY, CANARY))


@pytest.mark.parametrize(
    "text",
    [
        "order.accepted",
        "P-0123456789ABCDEFGH",
        "https://127.0.0.1:8080/v1/orders?limit=10",
        "the token has expired",
        "token_type=Bearer",
        "2025-01-02T03:04:05Z",
        "limit price 5012.25 is off tick 0.25",
    ],
)
def test_an_ordinary_text_is_left_alone(text: str) -> None:
    assert redact_text(text) == text


def test_names_about_tokens_that_are_no_secret_are_shown() -> None:
    shown = {"token_id": "abc", "token_type": "Bearer", "token_url": "http://127.0.0.1/oauth/token"}

    assert redact(shown) == shown


def test_an_object_is_shown_as_its_text_and_the_text_is_redacted() -> None:
    class Careless:
        def __str__(self) -> str:
            return f"Careless(password='{CANARY}')"

    assert CANARY not in str(redact({"thing": Careless()}))


def test_pairs_of_headers_are_hidden_by_name() -> None:
    headers = [(b"host", b"a"), (b"authorization", b"Custom " + CANARY.encode()), ("X-Api-Key", CANARY)]

    shown = redact({"headers": headers})

    assert shown == {"headers": [["host", "a"], ["authorization", HIDDEN], ["X-Api-Key", HIDDEN]]}


def test_what_is_logged_has_a_bounded_size() -> None:
    deep: Any = "end"
    for _ in range(100):
        deep = {"next": deep}

    assert len(json.dumps(redact(deep))) < 1_000
    assert len(redact_text("a" * 1_000_000)) <= TEXT_MAX + 1
    assert len(json.dumps(redact(list(range(100_000))))) < 10_000


plain = st.none() | st.booleans() | st.integers() | st.text(alphabet="abcdef 0123456789.", max_size=20)
names = st.text(alphabet="abcdefghi_", min_size=1, max_size=10)


@st.composite
def planted(draw: st.DrawFn) -> Any:
    """A nested value with the canary somewhere only a redactor can find it."""
    value: Any = draw(
        st.sampled_from(SECRET_NAMES).map(lambda name: {name: CANARY})
        | st.sampled_from(SECRET_NAMES).map(lambda name: [[name, CANARY]])
        | st.sampled_from(SENTENCES).map(lambda sentence: sentence.format(CANARY, CANARY))
        | st.just(JWT)
        | st.just(Secret(CANARY))
    )
    for _ in range(draw(st.integers(0, 5))):
        sibling = draw(plain)
        wrap = draw(st.integers(0, 3))
        if wrap == 0:
            value = {draw(names): value, "zz": sibling}
        elif wrap == 1:
            value = [sibling, value, sibling]
        elif wrap == 2:
            value = (value, sibling, value)
        elif isinstance(value, dict | list):
            value = {draw(names): json.dumps(value, default=str)}
    return value


@given(planted())
def test_a_planted_secret_never_comes_out(value: Any) -> None:
    shown = json.dumps(redact(value))

    assert CANARY not in shown
    assert json.dumps(redact(redact(value))).count(CANARY) == 0


ordinary = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


@given(ordinary)
def test_a_value_without_secrets_is_shown_as_it_is(value: Any) -> None:
    def depth(of: Any) -> int:
        inner = of.values() if isinstance(of, dict) else of if isinstance(of, list) else ()
        return 1 + max((depth(item) for item in inner), default=0)

    if depth(value) <= 8:
        assert redact(value) == value


@given(st.text(alphabet=string.printable, max_size=400), st.sampled_from(SENTENCES), st.text(max_size=40))
def test_any_text_around_a_credential_does_not_save_it(before: str, sentence: str, after: str) -> None:
    text = f"{before}\n{sentence.format(CANARY, CANARY)}\n{after}"

    assert CANARY not in redact_text(text)


@given(st.recursive(st.binary(max_size=20) | st.text(max_size=30) | st.floats(), st.lists))
def test_whatever_comes_it_never_fails(value: Any) -> None:
    redact(value)
