"""Every change of who may do what is caught by the database, whoever made it."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.core.strategies import Strategy
from ordergate.journal.migrate import migrate
from ordergate.security.clients import Client, PublishedKey
from ordergate.security.hashing import hash_secret, new_secret
from ordergate.security.migrations import identity_migrations
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.persons import Person
from ordergate.security.postgres import connected
from tests.security.world import world

FAR = 2**40


def client(**changes: object) -> Client:
    whole = {
        "client_id": "desk",
        "tenant": "default",
        "secret_hash": hash_secret(new_secret()),
        "scopes": frozenset({Scope.RISK_WRITE}),
        "accounts": frozenset({AccountId("P-DEMO")}),
        **changes,
    }
    return Client(**whole)  # type: ignore[arg-type]  # as named


async def test_our_own_changes_and_those_made_by_hand_are_caught(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with connected(Env.PAPER, database) as store:
        first = client()
        await store.put_client(first)
        await store.put_client(client(enabled=False))
        key = PublishedKey(kid="k", jwk='{"kty":"EC"}', retires_at=None)
        await store.put_keys((key,))
        await store.put_keys((key,))  # published again at every start, and the same
        await store.revoke("token", FAR)
        connection = await asyncpg.connect(database, server_settings={"application_name": "psql"})
        try:
            await connection.execute("update oauth_client set scopes = '{orders:write,risk:write}'")
            await connection.execute("delete from oauth_revocation")
        finally:
            await connection.close()
        waiting = await store.waiting(100)
        told = [(one.what, one.operation, one.subject) for one in waiting]
        assert told == [
            ("client", "insert", "desk"),
            ("client", "update", "desk"),
            ("signing_key", "insert", "k"),
            ("revocation", "insert", "token"),
            ("client", "update", "desk"),
            ("revocation", "delete", "token"),
        ]
        assert [waiting[number].facts["secret"] for number in (0, 1, 4)] == ["set", "replaced", "kept"]
        assert waiting[1].facts["enabled"] == "false"
        assert waiting[4].facts["scopes"] == "orders:write risk:write"
        assert waiting[0].by.endswith(" by ordergate identity")
        assert waiting[4].by.endswith(" by psql")
        assert str(first.secret_hash) not in str(waiting)
        await store.recorded([one.number for one in waiting[:5]])
        assert [one.what for one in await store.waiting(100)] == ["revocation"]


async def test_what_was_caught_is_not_changed(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with connected(Env.PAPER, database) as store:
        await store.put_client(client())
    connection = await asyncpg.connect(database)
    try:
        for statement in (
            "delete from identity_change",
            "update identity_change set made_by = 'nobody', recorded = true",
            "update identity_change set recorded = false",
        ):
            with pytest.raises(asyncpg.PostgresError, match="never changed"):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_token_with_power_is_recorded_before_it_is_given_out() -> None:
    noted: list[Principal] = []

    async def note(principal: Principal) -> None:
        noted.append(principal)

    made = await world(noted=note)
    made.secret = await made.security.register(
        "desk", tenant="acme", scopes={Scope.RISK_WRITE, Scope.ORDERS_READ}, accounts=made.accounts
    )
    await made.token(scope="orders:read")
    assert noted == []
    await made.token(scope="risk:write")
    assert [(one.client_id, one.scopes) for one in noted] == [("desk", frozenset({Scope.RISK_WRITE}))]


async def test_a_token_with_power_that_cannot_be_recorded_is_not_given_out() -> None:
    async def note(principal: Principal) -> None:
        raise JournalUnavailable("away")

    made = await world(noted=note)
    made.secret = await made.security.register(
        "desk", tenant="acme", scopes={Scope.RISK_WRITE, Scope.ORDERS_READ}, accounts=made.accounts
    )
    asked = {"grant_type": "client_credentials", "scope": "risk:write"}
    answer = await made.ask("/oauth/token", asked, basic=("desk", made.secret.reveal()))
    assert answer.status == 503
    assert b"access_token" not in answer.body
    assert await made.token(scope="orders:read")


async def test_what_changes_about_people_is_caught_too_and_no_secret_of_theirs(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with connected(Env.PAPER, database) as store:
        people = PostgresPeople(Env.PAPER, store.pool)
        alice = Person(
            user_id="alice",
            tenant="acme",
            password_hash=hash_secret(new_secret()),
            totp=b"a sealed secret",
            scopes=frozenset({Scope.RISK_WRITE}),
            accounts=frozenset({AccountId("P-DEMO")}),
        )
        await people.put_person(alice)
        await people.put_person(msgspec.structs.replace(alice, enabled=False, totp=b"another"))

        first, second = await store.waiting(100)

    assert [(one.what, one.operation, one.subject) for one in (first, second)] == [
        ("person", "insert", "alice"),
        ("person", "update", "alice"),
    ]
    assert (first.facts["password"], first.facts["second_factor"]) == ("set", "set")
    assert (second.facts["password"], second.facts["second_factor"]) == ("kept", "set")
    assert second.facts["enabled"] == "false"
    assert alice.password_hash not in f"{first}{second}"


async def test_a_strategy_is_never_taken_out_and_shown_to_nobody_but_the_gateway(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with connected(Env.PAPER, database) as store:
        await store.put_tenant("acme")
        await store.put_strategy(Strategy("acme", "mean", "1", "user:ann"), {"by": "ann"})
        (noted,) = [one for one in await store.waiting(100) if one.what == "strategy"]
        connection = await asyncpg.connect(database)
        try:
            with pytest.raises(asyncpg.PostgresError, match="never deleted"):
                await connection.execute("delete from access_strategy")
            await connection.execute("set role ordergate_reader")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("select * from access_strategy")
        finally:
            await connection.close()

    assert (noted.operation, noted.subject) == ("insert", "mean")
    assert (noted.facts["version"], noted.facts["owner"], noted.facts["by"]) == ("1", "user:ann", "ann")
