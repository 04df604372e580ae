"""Codes and refresh tokens are good once; what is used twice was stolen, and everything of it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal
from ordergate.core.refusals import Refusal
from ordergate.security.clients import StoreUnavailable
from ordergate.security.oauth_requests import Answer
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.persons import IDLE_S, LIFE_S, LOGINS_MAX
from tests.security.visitor import BACK, Visitor, visitor
from tests.security.world import World, other_key, world


def told(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def error_of(answer: Answer) -> tuple[int, str | None]:
    return answer.status, told(answer).get("error")


async def alive(here: World, tokens: dict[str, Any]) -> bool:
    return isinstance(await here.bearer.authenticate(tokens["access_token"]), Principal)


CODES: dict[str, tuple[dict[str, str | None], str]] = {
    "without the verifier": ({"code_verifier": None}, "invalid_request"),
    "with the verifier of another": ({"code_verifier": "x" * 64}, "invalid_grant"),
    "with the challenge for the verifier": ({"code_verifier": "THE CHALLENGE"}, "invalid_grant"),
    "with a verifier that is too short": ({"code_verifier": "short"}, "invalid_request"),
    "with another redirect": ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
    "with a redirect that only ends otherwise": ({"redirect_uri": f"{BACK}/"}, "invalid_grant"),
    "without the redirect": ({"redirect_uri": None}, "invalid_grant"),
    "with another code": ({"code": "guess"}, "invalid_grant"),
    "without a code": ({"code": None}, "invalid_request"),
}


@pytest.mark.parametrize("what", CODES)
async def test_a_code_is_not_redeemed(what: str) -> None:
    alice = await visitor(await world())
    code = await alice.a_code()
    changes, error = CODES[what]
    if changes.get("code_verifier") == "THE CHALLENGE":
        changes = {"code_verifier": alice.challenge}

    answer = await alice.redeem(code, **changes)

    assert error_of(answer) == (400, error)


async def test_a_code_is_of_its_program() -> None:
    here = await world()
    alice = await visitor(here)
    code = await alice.a_code()
    app = here.security.directory.client("app")
    assert app is not None
    await here.security.directory.put_client(msgspec.structs.replace(app, client_id="other"))

    assert error_of(await alice.redeem(code, client_id="other")) == (400, "invalid_grant")
    assert (await alice.redeem(code)).status == 200


async def test_a_code_is_good_for_a_minute() -> None:
    here = await world()
    alice = await visitor(here)
    code = await alice.a_code()

    here.clock.advance(60)

    assert error_of(await alice.redeem(code)) == (400, "invalid_grant")


async def test_a_code_that_comes_twice_ends_everything_it_led_to() -> None:
    here = await world()
    alice = await visitor(here)
    code = await alice.a_code()
    tokens = told(await alice.redeem(code))
    assert await alive(here, tokens)

    again = await alice.redeem(code)

    assert error_of(again) == (400, "invalid_grant")
    assert not await alive(here, tokens)
    assert error_of(await alice.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_code_that_comes_again_and_again_ends_its_grant_once(monkeypatch: pytest.MonkeyPatch) -> None:
    here = await world()
    alice = await visitor(here)
    code = await alice.a_code()
    ended: list[str] = []
    end = MemoryPeople.end

    async def counted(people: MemoryPeople, grant_id: str, until: int) -> None:
        ended.append(grant_id)
        await end(people, grant_id, until)

    monkeypatch.setattr(MemoryPeople, "end", counted)

    answers = [error_of(await alice.redeem(code)) for _ in range(4)]

    assert answers == [(200, None), *[(400, "invalid_grant")] * 3]
    assert len(ended) == 1


async def test_of_a_code_that_comes_twice_at_once_at_most_one_is_answered_and_then_ended() -> None:
    here = await world()
    alice = await visitor(here)
    code = await alice.a_code()

    answers = await asyncio.gather(*(alice.redeem(code) for _ in range(5)))

    given = [told(answer) for answer in answers if answer.status == 200]
    assert len(given) <= 1
    for tokens in given:
        assert not await alive(here, tokens)


async def test_a_refresh_token_is_replaced_and_the_old_one_is_good_no_more() -> None:
    here = await world()
    alice = await visitor(here)
    first = await alice.tokens()

    second = told(await alice.refresh(first["refresh_token"]))

    assert second["refresh_token"] != first["refresh_token"]
    assert await alive(here, second)
    assert await alive(here, first), "the access token lives its minutes"


async def test_a_refresh_token_that_comes_twice_ends_the_family() -> None:
    here = await world()
    alice = await visitor(here)
    first = await alice.tokens()
    second = told(await alice.refresh(first["refresh_token"]))
    third = told(await alice.refresh(second["refresh_token"]))
    await here.bearer.authenticate(third["access_token"])

    assert error_of(await alice.refresh(first["refresh_token"])) == (400, "invalid_grant")

    for tokens in (first, second, third):
        assert not await alive(here, tokens)
        assert error_of(await alice.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_guess_at_a_refresh_token_ends_nothing() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    grant_id = tokens["refresh_token"].partition(".")[0]

    for guess in (f"{grant_id}.guess", "guess", ".", f"{grant_id}.", "a.b.c"):
        assert error_of(await alice.refresh(guess)) == (400, "invalid_grant")

    assert await alive(here, tokens)
    assert (await alice.refresh(tokens["refresh_token"])).status == 200


async def test_a_refresh_token_ends_when_it_is_not_used_and_in_any_case_after_half_a_day() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    idle = await alice.tokens()

    for _ in range(LIFE_S // (IDLE_S - 60)):
        here.clock.advance(IDLE_S - 60)
        answer = await alice.refresh(tokens["refresh_token"])
        assert answer.status == 200
        tokens = told(answer)
    here.clock.advance(IDLE_S - 60)

    assert error_of(await alice.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert error_of(await alice.refresh(idle["refresh_token"])) == (400, "invalid_grant")


async def test_refreshing_is_no_new_login() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    at = here.clock.epoch
    here.clock.advance(600)

    newer = told(await alice.refresh(tokens["refresh_token"]))

    principal = await here.bearer.authenticate(newer["access_token"])
    assert isinstance(principal, Principal)
    assert principal.auth_time == at


async def test_a_refresh_may_ask_for_less_and_never_for_more() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens(scope="orders:read")

    assert error_of(await alice.refresh(tokens["refresh_token"], scope="orders:write"))[1] == "invalid_scope"
    assert (await alice.refresh(tokens["refresh_token"], scope="orders:read")).status == 200


async def test_a_grant_is_bound_to_the_key_that_asked_for_it() -> None:
    here = await world()
    alice = await visitor(here)
    code = await alice.a_code(dpop_jkt=here.holder.thumbprint())

    def proof(key: Any = None) -> str:
        return here.proof("POST", "/oauth/token", key=key)

    assert error_of(await alice.redeem(code)) == (400, "invalid_grant")
    assert error_of(await alice.redeem(code, proof=proof(other_key()))) == (400, "invalid_grant")
    tokens = told(await alice.redeem(code, proof=proof()))
    assert tokens["token_type"] == "DPoP"
    assert error_of(await alice.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert error_of(await alice.refresh(tokens["refresh_token"], proof=proof(other_key())))[0] == 400
    assert (await alice.refresh(tokens["refresh_token"], proof=proof())).status == 200


async def test_revoking_a_refresh_token_ends_its_family() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    assert await alive(here, tokens)

    revoked = await here.ask("/oauth/revoke", {"client_id": "app", "token": tokens["refresh_token"]})

    assert revoked.status == 200
    assert not await alive(here, tokens)
    assert error_of(await alice.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


async def test_a_revocation_that_failed_half_way_is_done_when_it_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    there = await world(clock=here.clock, store=here.store, people=here.security.people, keys=here.keys)
    asked = {"client_id": "app", "token": tokens["refresh_token"]}

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(here.store, "revoke", away)
        assert (await here.ask("/oauth/revoke", asked)).status == 503
    assert (await here.ask("/oauth/revoke", asked)).status == 200

    await there.security.directory.refresh()
    assert not await alive(there, tokens)


async def test_a_confidential_program_keeps_its_refresh_token() -> None:
    """FAPI 2.0: a client that proves itself each time gains nothing by rotation, and may lose an answer."""
    here = await world()
    alice = await visitor(here)
    desk = here.security.directory.client("desk")
    assert desk is not None
    await here.security.directory.put_client(msgspec.structs.replace(desk, redirect_uris=(BACK,)))
    login = {"client_id": "desk", "client_secret": here.secret.reveal()}
    code = await confidential_code(alice, login)

    tokens = told(await alice.redeem(code, **login))
    for _ in range(2):
        answer = await alice.refresh(tokens["refresh_token"], **login)
        assert answer.status == 200
        assert "refresh_token" not in told(answer)
    assert (await alice.refresh(tokens["refresh_token"])).status == 400


async def confidential_code(alice: Visitor, login: dict[str, str]) -> str:
    pushed = told(await alice.here.ask("/oauth/par", {**alice.request(), **login}))
    await alice.open(pushed["request_uri"], client_id="desk")
    await alice.log_in()
    location = (await alice.decide()).headers["location"]
    return location.partition("code=")[2].partition("&")[0]


async def test_a_token_of_a_person_is_not_one_of_a_program_of_that_name() -> None:
    here = await world()
    await visitor(here)

    for changes in ({"sub": "alice"}, {"sub": "alice", "sid": "no-grant", "client_id": "nobody"}):
        assert isinstance(await here.bearer.authenticate(here.sign(here.claims(**changes))), Refusal)


async def test_one_login_more_than_one_may_have_ends_the_oldest_and_all_of_it() -> None:
    here = await world()
    alice = await visitor(here)
    oldest = await alice.tokens()
    principal = await here.bearer.authenticate(oldest["access_token"])
    kept = []
    for _ in range(LOGINS_MAX - 1):
        here.clock.advance(1)
        kept.append(await alice.tokens())
    assert here.bearer.still_valid(principal)

    here.clock.advance(1)
    kept.append(await alice.tokens())

    assert not here.bearer.still_valid(principal), "an open stream ends"
    assert not await alive(here, oldest)
    assert error_of(await alice.refresh(oldest["refresh_token"])) == (400, "invalid_grant")
    assert [await alive(here, tokens) for tokens in kept] == [True] * LOGINS_MAX
