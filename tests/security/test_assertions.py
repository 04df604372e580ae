"""A client proves itself by a statement it signs: for us, now, and once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ordergate.security.clients import check_keys
from ordergate.security.oauth_requests import ASSERTION_TYPE, Answer
from tests.security.world import World, forge, other_key, with_key, world

GRANT = {"grant_type": "client_credentials"}


async def of_keys() -> World:
    here = await world()
    await here.security.directory.put_client(with_key(here, here.key))
    return here


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body).get("error", "")


async def test_a_client_with_a_key_gets_a_token() -> None:
    here = await of_keys()

    answer = await here.ask("/oauth/token", {**GRANT, **here.asserted()})

    assert answer.status == 200
    assert json.loads(answer.body)["token_type"] == "Bearer"


def now_and(**offsets: int) -> Callable[[World], dict[str, Any]]:
    return lambda here: {name: here.clock.epoch + by for name, by in offsets.items()}


CASES: dict[str, Callable[[World], dict[str, Any]]] = {
    "for another server": lambda here: {"aud": "https://gateway.example"},
    "for our token endpoint": lambda here: {"aud": here.profile.url("/oauth/token")},
    "for us and somebody else": lambda here: {"aud": [here.profile.issuer, "https://evil.example"]},
    "for us alone, but in a list": lambda here: {"aud": [here.profile.issuer]},
    "for nobody": lambda here: {"aud": None},
    "of another issuer": lambda here: {"iss": "other"},
    "of another subject": lambda here: {"sub": "other"},
    "without a subject": lambda here: {"sub": None},
    "without an id": lambda here: {"jti": None},
    "with an empty id": lambda here: {"jti": ""},
    "without an end": lambda here: {"exp": None},
    "expired": now_and(iat=-100, exp=-10),
    "good for an hour": now_and(exp=3_600),
    "made in the future": now_and(iat=60, exp=120),
    "not yet valid": now_and(nbf=60),
}


@pytest.mark.parametrize("what", CASES)
async def test_an_assertion_is_refused_that_is(what: str) -> None:
    here = await of_keys()

    answer = await here.ask("/oauth/token", {**GRANT, **here.asserted(**CASES[what](here))})

    assert error_of(answer) == (401, "invalid_client")


async def test_an_assertion_of_another_key_is_refused() -> None:
    here = await of_keys()

    answer = await here.ask("/oauth/token", {**GRANT, **here.asserted(other_key())})

    assert error_of(answer) == (401, "invalid_client")


@pytest.mark.parametrize(
    "header", [{"typ": "dpop+jwt"}, {"typ": "at+jwt"}, {"jku": "http://127.0.0.1:9/"}, {"kid": "desk-2"}]
)
async def test_an_assertion_of_another_kind_is_refused(header: dict[str, str]) -> None:
    here = await of_keys()
    claims = {"iss": "desk", "sub": "desk", "aud": here.profile.issuer, "jti": "1"}
    assertion = forge(
        {"alg": "ES256", "kid": "desk-1", **header}, {**claims, "exp": here.clock.epoch + 60}, here.key
    )

    answer = await here.ask("/oauth/token", {**GRANT, **here.asserted(), "client_assertion": assertion})

    assert error_of(answer) == (401, "invalid_client")


async def test_an_assertion_is_good_once_also_after_a_restart() -> None:
    here = await of_keys()
    asserted = here.asserted()

    first = await here.ask("/oauth/token", {**GRANT, **asserted})
    again = await here.ask("/oauth/token", {**GRANT, **asserted})
    after = await world(clock=here.clock, store=here.store, keys=here.keys)
    await after.security.directory.put_client(with_key(here, here.key))
    later = await after.ask("/oauth/token", {**GRANT, **asserted})

    assert first.status == 200
    assert error_of(again) == error_of(later) == (401, "invalid_client")


async def test_who_has_a_key_does_not_get_in_with_a_secret_or_with_nothing() -> None:
    here = await of_keys()

    for way in (
        {"client_id": "desk", "client_secret": here.secret.reveal()},
        {"client_id": "desk"},
        {"client_id": "desk", "client_assertion_type": ASSERTION_TYPE, "client_assertion": "x.y.z"},
    ):
        assert error_of(await here.ask("/oauth/token", {**GRANT, **way})) == (401, "invalid_client")


async def test_two_ways_at_once_are_no_way() -> None:
    here = await of_keys()

    both = await here.ask("/oauth/token", {**GRANT, **here.asserted(), "client_secret": "x"})
    half = await here.ask("/oauth/token", {**GRANT, "client_id": "desk", "client_assertion": "x.y.z"})

    assert error_of(both) == error_of(half) == (400, "invalid_request")


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{}]}',
        json.dumps({"keys": [{**other_key().as_dict(private=True), "kid": "k"}]}),
        json.dumps({"keys": [other_key().as_dict(private=False) | {"kid": ""}]}),
        json.dumps({"keys": [{**other_key().as_dict(private=False), "kid": f"k{n}"} for n in range(11)]}),
    ],
)
def test_keys_that_cannot_be_a_clients_are_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="key"):
        check_keys(keys)
