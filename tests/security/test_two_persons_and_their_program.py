"""A program that acts for people has no say of its own, so nobody is two persons with its help."""

from __future__ import annotations

import json

import msgspec

from ordergate.core.access import Principal
from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from tests.security.test_grants_of_people import confidential_code, told
from tests.security.visitor import BACK, visitor
from tests.security.world import with_key, world


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
