"""Passwords and whatever else somebody is known by: taken as given, and never to be guessed."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec
import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from ordergate.core.ids import Env
from ordergate.security.hashing import SECRET_LENGTH_MAX, hash_secret
from ordergate.security.people.passwords import LENGTH_MIN, refuse_password
from ordergate.security.people.totp import SECRET_BYTES, STEP_S, Totp
from ordergate.security.people.visits import COOKIE
from ordergate.telemetry.secret import Secret
from tests.security.visitor import Visitor, visitor
from tests.security.world import FACTOR_KEY, world

BITS_MIN = 128


async def having(password: str) -> Visitor:
    here = await world()
    alice = await visitor(here)
    person = here.security.directory.person("alice")
    assert person is not None
    hashed = hash_secret(Secret(password))
    await here.security.people.put_person(msgspec.structs.replace(person, password_hash=hashed))
    await here.security.directory.refresh()
    return alice


async def gets_in(alice: Visitor, password: str) -> bool:
    pushed = json.loads((await alice.push()).body)
    await alice.open(pushed["request_uri"])
    before = alice.visit
    await alice.log_in(password=password)
    return alice.visit != before


PASSWORDS = {
    "small": "twelve chars",
    "capital": "ALL IN CAPITALS",
    "cyrillic": "пароль из слов",
    "signs": "\"'<>&;%00\\ \t x",
    "64 long": "x" * 64,
    "as long as may be": "y" * SECRET_LENGTH_MAX,
}


@pytest.mark.parametrize("kind", PASSWORDS)
async def test_any_composition_serves_and_nothing_but_itself(kind: str) -> None:
    password = PASSWORDS[kind]
    alice = await having(password)

    assert await gets_in(alice, password)
    for other in (password[:-1], f"{password} ", f" {password}", password.swapcase()):
        assert not await gets_in(alice, other), repr(other)


GUESSES = {
    "short": "elevenchars",
    "long": "y" * (SECRET_LENGTH_MAX + 1),
    "the name": "alice-alice-alice",
    "the name in capitals": "ALICEaliceALICE1",
    "the tenant and the year": "acmetrading2026",
    "what this is": "ordergate-gateway",
    "password of the gateway": "Password-Ordergate1",
    "one letter": "aaaaaaaaaaaaaaaa",
    "two letters": "abababababababab",
}


@pytest.mark.parametrize("kind", GUESSES)
def test_what_anybody_would_try_first_is_no_password(kind: str) -> None:
    assert refuse_password(Secret(GUESSES[kind]), ("alice", "acme")) is not None


@pytest.mark.parametrize("kind", [kind for kind in PASSWORDS if not kind.startswith(("64", "as long"))])
def test_any_composition_is_taken(kind: str) -> None:
    assert refuse_password(Secret(PASSWORDS[kind]), ("alice", "acme", "a")) is None


COMMON = [
    "qwerty123456",
    "1q2w3e4r5t6y",
    "123456789012",
    "iloveyou1234",
    "letmein12345",
    "qwertyuiopasdf",
    "abc123abc123",
    "Monkey123456",
    "dragonmaster99",
    "january2026!",
    "iloveyouforever",
    "1l0v3y0u1234",
]


@pytest.mark.parametrize("password", COMMON)
def test_a_common_password_is_none_nor_is_what_is_made_of_one(password: str) -> None:
    no = refuse_password(Secret(password), ("alice", "acme"))
    assert no == "a password is not a common one, nor made of common ones, names, dates or neighbouring keys"


def test_no_password_of_the_library_s_list_is_taken() -> None:
    listed: Any = FREQUENCY_LISTS["passwords"]
    long_enough = [word for word in listed if len(word) >= LENGTH_MIN]
    assert len(long_enough) > 200
    assert [word for word in long_enough if refuse_password(Secret(word), ()) is None] == []


def test_of_a_long_password_only_so_much_is_looked_at() -> None:
    assert refuse_password(Secret("a horse that has no battery " * 9), ()) is None


def test_a_name_may_be_in_a_password_that_is_long_enough_without_it() -> None:
    assert refuse_password(Secret("alice has a horse battery"), ("alice",)) is None


async def test_no_password_runs_out_by_itself() -> None:
    alice = await having("a password that is old")
    alice.here.clock.advance(3 * 365 * 86_400)

    assert await gets_in(alice, "a password that is old")


async def test_the_field_hides_what_is_typed_and_takes_what_a_manager_knows() -> None:
    alice = await visitor(await world())
    pushed = json.loads((await alice.push()).body)

    page = (await alice.open(pushed["request_uri"])).body.decode()

    (field,) = re.findall(r'<input name="password"[^>]*>', page)
    assert 'type="password"' in field
    assert 'autocomplete="current-password"' in field
    assert "onpaste" not in page
    assert "maxlength" not in field


def bits(text: str) -> float:
    """At most, of URL-safe base64: what a text of this length can hold."""
    assert re.fullmatch(r"[\w-]+", text), text
    return len(text) * math.log2(64)


async def test_whatever_stands_for_a_login_is_new_each_time_and_beyond_guessing() -> None:
    seen: list[str] = []
    for _ in range(3):
        alice = await visitor(await world())
        pushed: dict[str, Any] = json.loads((await alice.push()).body)
        await alice.open(pushed["request_uri"])
        seen += [pushed["request_uri"].rpartition(":")[2], alice.visit]
        seen += [alice.cookie.removeprefix(f"{COOKIE}=")]
        tokens = await alice.tokens()
        seen += [alice.visit, tokens["refresh_token"].rpartition(".")[2]]
    assert len(set(seen)) == len(seen)
    assert min(map(bits, seen)) >= BITS_MIN


def test_a_second_factor_is_drawn_by_chance_of_160_bits() -> None:
    totp = Totp(Env.PAPER, FACTOR_KEY)
    told = {totp.fresh("alice")[1].reveal().partition("secret=")[2].partition("&")[0] for _ in range(100)}
    assert len(told) == 100
    assert {len(secret) * 5 for secret in told} == {SECRET_BYTES * 8}


async def test_a_code_serves_in_its_own_thirty_seconds_and_in_no_others() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    assert here.clock.epoch % STEP_S == 0

    for waited, status in ((STEP_S - 1, 200), (STEP_S, 401), (2 * STEP_S, 401)):
        here.clock.advance(-here.clock.epoch % STEP_S)
        code = alice.code()
        here.clock.advance(waited)
        await alice.open(json.loads((await alice.push()).body)["request_uri"])
        assert (await alice.log_in(code=code)).status == status, waited
    assert STEP_S <= 30
