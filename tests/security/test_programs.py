"""A rotated secret at the token endpoint, and one record of each change with who made it and why."""

from __future__ import annotations

import json

import msgspec
import pytest

from ordergate.core.access import KeyBounds, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.programs import Program
from ordergate.journal.migrate import migrate
from ordergate.security.directory import Directory
from ordergate.security.migrations import identity_migrations
from ordergate.security.postgres import connected
from ordergate.security.programs import Programs
from ordergate.telemetry.secret import Secret
from tests.security.world import SetClock, World, world

BY = {"by": "ann", "client": "console", "reason": "new here"}
ASKS = {"grant_type": "client_credentials"}


async def let_in(here: World, secret: Secret) -> bool:
    answer = await here.ask("/oauth/token", ASKS, basic=("desk", secret.reveal()))
    assert answer.status in (200, 401)
    return answer.status == 200


async def test_two_secrets_serve_until_the_stated_end_and_then_one() -> None:
    here = await world()
    programs = Programs(here.security.directory)
    desk = programs.get("desk")
    assert desk is not None
    first = here.secret

    second = await programs.give_secret(desk, here.clock.epoch + 600, BY, desk)
    assert second is not None
    assert await let_in(here, first)
    assert await let_in(here, second)
    assert not await let_in(here, Secret("neither"))

    here.clock.advance(600)
    assert not await let_in(here, first)
    assert await let_in(here, second)

    third = await programs.give_secret(desk, None, BY, programs.get("desk"))
    assert third is not None
    assert not await let_in(here, second)
    assert await let_in(here, third)


async def test_a_published_key_takes_the_place_of_every_secret() -> None:
    here = await world()
    programs = Programs(here.security.directory)
    desk = programs.get("desk")
    assert desk is not None
    second = await programs.give_secret(desk, here.clock.epoch + 600, BY, desk)
    assert second is not None

    jwk = {**here.key.as_dict(private=False), "kid": "desk-1"}
    assert await programs.put(_of(desk, keys=json.dumps({"keys": [jwk]})), BY, programs.get("desk"))

    assert not await let_in(here, here.secret)
    assert not await let_in(here, second)
    assert (await here.ask("/oauth/token", {**ASKS, **here.asserted()})).status == 200


async def test_every_change_is_one_record_that_says_who_and_why(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with connected(Env.PAPER, database) as store:
        directory = Directory(Env.PAPER, store, SetClock())
        programs = Programs(directory)
        bot = Program(
            client_id="bot",
            tenant="acme",
            scopes=frozenset({Scope.ORDERS_READ}),
            accounts=frozenset({AccountId("P-DEMO")}),
        )
        await programs.give_secret(bot, None, BY, None)
        await programs.give_secret(bot, 2**40, BY, programs.get("bot"))
        bounded = _of(bot, bounds=KeyBounds(strategies=frozenset({"mean"})))
        await programs.put(bounded, BY, programs.get("bot"))
        await programs.put(_of(bounded, scopes=frozenset()), BY, programs.get("bot"))
        await programs.carry_out(_of(bot, enabled=False, bounds=None), BY, "chg-1")
        await programs.carry_out(bot, BY, "chg-1")  # once
        waiting = await store.waiting(100)
        standing = programs.get("bot")

    assert [(one.what, one.operation) for one in waiting] == [
        ("client", "insert"),
        ("client", "update"),
        ("client_bounds", "insert"),
        ("client", "update"),
        ("client", "update"),
        ("client_bounds", "delete"),
    ]
    assert all(BY.items() <= one.facts.items() for one in waiting)
    assert [one.facts.get("secret") for one in waiting[:2]] == ["set", "replaced"]
    assert waiting[1].facts["old_secret_until"] == str(2**40)
    assert "argon2" not in str(waiting)
    assert standing is not None
    assert not standing.enabled


async def test_what_was_changed_elsewhere_meanwhile_is_not_written_over() -> None:
    here = await world()
    programs = Programs(here.security.directory)
    seen = programs.get("desk")
    client = here.security.directory.client("desk")
    assert seen is not None
    assert client is not None
    await here.store.put_client(msgspec.structs.replace(client, enabled=False))  # by another process

    assert not await programs.put(_of(seen, scopes=frozenset()), BY, seen)
    assert await programs.give_secret(seen, None, BY, seen) is None
    assert await programs.give_secret(seen, None, BY, None) is None  # nobody had that name a moment ago
    with pytest.raises(ValueError, match="another tenant"):
        await programs.carry_out(_of(seen, tenant="zeta"), BY, "chg-1")
    standing = here.security.directory.client("desk")
    assert standing == msgspec.structs.replace(client, enabled=False)


async def test_who_did_one_thing_is_not_said_of_the_next(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with connected(Env.PAPER, database) as store:
        here = await world()
        client = here.security.directory.client("desk")
        assert client is not None
        await store.put_client(client, BY)
        await store.revoke("token", 2**40)
        noted, plain = await store.waiting(10)

    assert noted.facts["by"] == "ann"
    assert "by" not in plain.facts


def _of(program: Program, **changes: object) -> Program:
    return msgspec.structs.replace(program, **changes)
