"""A program has no say where it takes persons, so nobody is two persons with the help of one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from ordergate.core.access import PASSWORD_ONLY, TWO_FACTORS, Principal, Role
from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from tests.security.floor import OWN, Floor, floor
from tests.security.test_grants_of_people import confidential_code, told
from tests.security.visitor import BACK, visitor
from tests.security.world import with_key, world

NOT_NOW: Final = ("action-not-allowed", "order-not-unknown", "key-required")
"""No stop cancels yet, no order is in question, the new key has none of its own: they passed by then."""

WHY: Final = {"reason": "a test"}
SEEN: Final = {"settings:": {"if-match": '"1"'}, "/limits/on": {"if-none-match": "*"}}
RISK, TRADER, OPERATOR, GIVES = Role.RISK_MANAGER, Role.TRADER, Role.OPERATOR, Role.ADMINISTRATOR


def _looser(until: str | None = None) -> dict[str, Any]:
    limits = {"max_open_orders": 5_000} if until is None else {"enabled_until": until}
    return {"scope": "account", "of": "{account}", "limits": limits, "owner": "risk", **WHY}


STOP: Final = {"level": "account", "target": "{account}", **WHY}
OVERRIDDEN: Final = {
    "account_id": "{account}",
    "symbol": "ESH4",
    "side": "buy",
    "type": "limit",
    "quantity": "1",
    "limit_price": "4700",
    "time_in_force": "day",
}
A_ROLE: Final = {"subject": "newcomer", "role": "trader", "reach": "account", "of": "{account}", **WHY}
A_KEY: Final = {"client_id": "newcomer", "scopes": ["accounts:read"], "accounts": ["{account}"], **WHY}

PRIVILEGED: Final[dict[str, tuple[Role, str, str, dict[str, Any]]]] = {
    "enables an account": (RISK, "PUT", "/v1/risk/limits/on", _looser("2024-03-20T00:00:00Z")),
    "loosens a limit": (RISK, "PUT", "/v1/risk/limits/settings:{account}", _looser()),
    "approves a change of limits": (RISK, "POST", "/v1/risk/changes/{change}/approve", WHY),
    "asks for an override": (
        TRADER, "POST", "/v1/risk/overrides", {"order": OVERRIDDEN, "controls": ["R06"], **WHY},
    ),
    "releases a stop": (RISK, "POST", "/v1/kill-switch/release", STOP),
    "closes what is held under one": (OPERATOR, "POST", "/v1/kill-switch/flatten", STOP),
    "resolves an order in question": (
        OPERATOR, "POST", "/v1/orders/{order}/resolve", {"as": "canceled", **WHY},
    ),
    "asks for a role": (GIVES, "POST", "/v1/access/assignments", A_ROLE),
    "approves a role": (GIVES, "POST", "/v1/access/changes/{role_change}/approve", WHY),
    "makes a key": (GIVES, "POST", "/v1/clients", A_KEY),
    "registers a strategy": (GIVES, "POST", "/v1/strategies", {"name": "mean", "owner": "ann", **WHY}),
    "stores a broker's credentials": (
        OPERATOR, "POST", "/v1/credentials/{login}", {"key_id": "k" * 20, "secret_key": "s" * 40},
    ),
}  # fmt: skip


@pytest.fixture(params=[Env.PAPER, Env.LIVE], ids=str)
async def here(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    async with floor(request.param) as made:
        yield made


async def test_a_program_does_nothing_that_takes_a_person(here: Floor) -> None:
    """Whoever holds the keys of two programs would be two persons."""
    for what, (role, *_) in PRIVILEGED.items():
        program = here.claims_of_program(role)
        as_if_a_person = {**program, "auth_time": program["iat"], "acr": TWO_FACTORS}
        for claims in (program, as_if_a_person, here.claims(role, acr=PASSWORD_ONLY)):
            refused = await _asked(here, what, {**claims, "jti": here.key()})
            assert refused == (401, "step-up-required"), what
        status, code = await _asked(here, what, here.claims(role))
        assert status < 300 or code in NOT_NOW, (what, code)


async def _asked(here: Floor, what: str, claims: dict[str, Any]) -> tuple[int, str | None]:
    _, method, path, body = PRIVILEGED[what]
    thing = here.things[OWN]
    headers = {"idempotency-key": here.key()}
    for place, seen in SEEN.items():
        headers |= seen if place in path else {}
    status, told = await here.ask(
        method, path.format(**thing), token=here.signed(claims), body=_of(body, thing), headers=headers
    )
    return status, told.get("code")


def _of(body: Any, thing: Any) -> Any:
    """The body with what is meant in the place of its kind."""
    if isinstance(body, dict):
        return {name: _of(value, thing) for name, value in body.items()}
    if isinstance(body, list):
        return [_of(value, thing) for value in body]
    return body.format(**thing) if isinstance(body, str) else body


async def test_a_programs_fresh_token_is_a_login_where_one_person_runs_everything_in_paper() -> None:
    for env, programs_step_up, counts in (
        (Env.PAPER, False, False),
        (Env.PAPER, True, True),
        (Env.LIVE, True, False),
    ):
        here = await world(env, programs_step_up=programs_step_up)
        principal = await here.present(await here.token())
        assert isinstance(principal, Principal)
        assert here.bearer.stepped_up(principal) is counts


async def test_a_program_that_acts_for_people_gets_no_token_of_its_own() -> None:
    """Whoever holds its key would engage a stop as a person, and release it as the program."""
    here = await world()
    alice = await visitor(here)
    desk = here.security.directory.client("desk")
    assert desk is not None
    before = await here.token()
    assert isinstance(await here.bearer.authenticate(before), Principal)

    await here.security.directory.put_client(msgspec.structs.replace(desk, redirect_uris=(BACK,)))

    answer = await here.ask_for_token()
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "unauthorized_client")
    assert isinstance(await here.bearer.authenticate(before), Refusal), "nor is one from before good"
    login = {"client_id": "desk", "client_secret": here.secret.reveal()}
    of_alice = told(await alice.redeem(await confidential_code(alice, login), **login))
    assert isinstance(await here.bearer.authenticate(of_alice["access_token"]), Principal)


async def test_nor_in_live_where_it_proves_itself_with_a_key() -> None:
    here = await world(Env.LIVE)
    await here.security.directory.put_client(with_key(here, here.key, redirect_uris=(BACK,)))

    answer = await here.ask_for_token(proof=here.proof("POST", "/oauth/token"))

    assert (answer.status, json.loads(answer.body)["error"]) == (400, "unauthorized_client")
