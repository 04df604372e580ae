"""Whoever keeps passkeys keeps the same promises, in memory and on PostgreSQL; every change is recorded."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from ordergate.core.ids import AccountId, Env
from ordergate.journal.migrate import migrate
from ordergate.security import postgres
from ordergate.security.memory import MemoryStore
from ordergate.security.migrations import identity_migrations
from ordergate.security.passkeys import OF_ONE_MAX, Passkey, PeopleStore, is_label
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.postgres import PostgresPeople
from tests.security.test_people_stores import ALICE, GRANT, NOW

KEY = Passkey(
    credential_id="Y3JlZGVudGlhbA",
    user_id="alice",
    label="laptop",
    user_handle=b"handle",
    public_key=b"public",
    sign_count=3,
    backed_up=True,
    made_at=NOW,
)
BOB = msgspec.structs.replace(ALICE, user_id="bob")


@pytest.fixture
async def people(place: str | None) -> AsyncIterator[PeopleStore]:
    if place is None:
        made: PeopleStore = MemoryPeople(Env.PAPER, MemoryStore(Env.PAPER))
        await made.put_person(ALICE)
        yield made
        return
    async with postgres.connected(Env.PAPER, place) as stored:
        made = PostgresPeople(Env.PAPER, stored.pool)
        await made.put_person(ALICE)
        yield made


def another(number: int, **changes: object) -> Passkey:
    return msgspec.structs.replace(
        KEY, **{"credential_id": f"another-{number}", "label": f"key {number}", **changes}
    )


async def test_a_passkey_comes_back_as_it_was_put(people: PeopleStore) -> None:
    assert await people.put_passkey(KEY)
    assert await people.put_passkey(another(1, label="a phone"))

    assert await people.passkey(KEY.credential_id) == KEY
    assert [one.label for one in await people.passkeys_of("alice")] == ["a phone", "laptop"]
    assert await people.passkey("another") is None
    assert await people.passkeys_of("bob") == ()


async def test_a_passkey_is_put_once_and_never_for_somebody_else(people: PeopleStore) -> None:
    await people.put_person(BOB)
    assert await people.put_passkey(KEY)

    assert not await people.put_passkey(KEY)
    assert not await people.put_passkey(msgspec.structs.replace(KEY, user_id="bob", label="mine"))
    assert not await people.put_passkey(another(1, label="laptop"))
    assert not await people.put_passkey(another(1, user_id="nobody"))
    assert await people.put_passkey(another(1, user_id="bob", label="laptop"))
    assert await people.passkeys_of("alice") == (KEY,)


async def test_who_is_replaced_has_no_passkey_left_and_no_login_unless_it_is_kept(
    people: PeopleStore,
) -> None:
    await people.put_person(BOB)
    his = another(2, user_id="bob")
    assert await people.put_passkey(his)
    await people.put_grant(msgspec.structs.replace(GRANT, grant_id="g2", code_hash="h2", user_id="bob"))
    await people.put_grant(GRANT)
    for ends_logins in (False, True):
        assert await people.put_passkey(KEY)
        await people.replace_person(ALICE, ends_logins=ends_logins, now=NOW)
        found = await people.grant("g1")
        assert found is not None
        assert (await people.passkeys_of("alice"), found.revoked) == ((), ends_logins)
    left = await people.grant("g2")
    assert left is not None
    assert (await people.passkeys_of("bob"), left.revoked) == ((his,), False)


async def test_a_person_who_cannot_be_replaces_nobody_and_nothing(people: PeopleStore) -> None:
    assert await people.put_passkey(KEY)
    nowhere = msgspec.structs.replace(ALICE, accounts=frozenset({AccountId("L-alpha")}))
    with pytest.raises(ValueError, match="not accounts of the paper environment"):
        await people.replace_person(nowhere, ends_logins=True, now=NOW)
    assert await people.passkeys_of("alice") == (KEY,)


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "a<b>"},
        {"credential_id": ""},
        {"credential_id": "a+b"},
        {"credential_id": "a" * 1_365},
        {"user_handle": b""},
        {"user_handle": bytes(65)},
        {"public_key": b""},
        {"public_key": bytes(1_025)},
        {"sign_count": -1},
        {"sign_count": 2**32},
    ],
)
async def test_what_looks_like_no_passkey_is_none(people: PeopleStore, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await people.put_passkey(msgspec.structs.replace(KEY, **changes))


async def test_the_longest_there_are_find_room(people: PeopleStore) -> None:
    longest = msgspec.structs.replace(
        KEY, credential_id=secrets.token_urlsafe(1_023), label="x" * 32, user_handle=bytes(64),
        public_key=bytes(1_024), sign_count=2**32 - 1,
    )  # fmt: skip

    assert await people.put_passkey(longest)
    assert await people.passkeys_of("alice") == (longest,)


async def test_a_person_has_only_so_many(people: PeopleStore) -> None:
    done = [await people.put_passkey(another(number)) for number in range(OF_ONE_MAX + 1)]

    assert done == [True] * OF_ONE_MAX + [False]


async def test_a_use_counts_and_a_counter_that_has_not_grown_is_the_end_of_it(people: PeopleStore) -> None:
    await people.put_passkey(KEY)

    assert await people.use_passkey(KEY.credential_id, 4, NOW + 1)
    used = await people.passkey(KEY.credential_id)
    assert used == msgspec.structs.replace(KEY, sign_count=4, used_at=NOW + 1)
    assert not await people.use_passkey(KEY.credential_id, 4, NOW + 2)
    doubted = await people.passkey(KEY.credential_id)
    assert doubted is not None
    assert doubted.suspect
    assert not await people.use_passkey(KEY.credential_id, 9, NOW + 3), "whoever has the other copy, too"
    assert not await people.use_passkey("another", 1, NOW)


async def test_one_that_counted_once_and_then_says_nothing_is_doubted(people: PeopleStore) -> None:
    await people.put_passkey(KEY)

    assert not await people.use_passkey(KEY.credential_id, 0, NOW)


async def test_one_that_never_counts_is_used_again_and_again(people: PeopleStore) -> None:
    await people.put_passkey(msgspec.structs.replace(KEY, sign_count=0))

    assert [await people.use_passkey(KEY.credential_id, 0, NOW) for _ in range(3)] == [True] * 3


async def test_of_two_who_tell_the_same_count_at_once_one_gets_in(people: PeopleStore) -> None:
    await people.put_passkey(KEY)

    done = await asyncio.gather(*(people.use_passkey(KEY.credential_id, 4, NOW) for _ in range(5)))

    assert sorted(done) == [False] * 4 + [True]


async def test_a_passkey_is_taken_away_by_its_name(people: PeopleStore) -> None:
    await people.put_passkey(KEY)

    assert not await people.drop_passkey("alice", "phone")
    assert not await people.drop_passkey("bob", "laptop")
    assert await people.drop_passkey("alice", "laptop")
    assert await people.passkey(KEY.credential_id) is None
    assert not await people.drop_passkey("alice", "laptop")


def test_a_label_is_short_and_plain() -> None:
    assert is_label("Ann-s 2nd. key_")
    assert not any(map(is_label, ("", " x", "x" * 33, "a<b>", "two\nlines", "laptop\n")))


async def test_every_change_of_a_passkey_is_recorded_and_a_use_is_none(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with postgres.connected(Env.PAPER, database) as store:
        people = PostgresPeople(Env.PAPER, store.pool)
        await people.put_person(ALICE)
        await people.put_passkey(KEY)
        await people.use_passkey(KEY.credential_id, 4, NOW)
        await people.use_passkey(KEY.credential_id, 4, NOW)
        await people.use_passkey(KEY.credential_id, 5, NOW)
        await people.drop_passkey("alice", "laptop")
        _, *told = await store.waiting(100)

    assert [(one.what, one.operation, one.subject) for one in told] == [
        ("passkey", "insert", "alice"),
        ("passkey", "update", "alice"),
        ("passkey", "delete", "alice"),
    ]
    assert [one.facts["suspect"] for one in told] == ["false", "true", "true"]
    assert told[0].facts["label"] == "laptop"
    assert told[0].facts["credential"] == KEY.credential_id


@pytest.mark.parametrize(
    "change", ["user_id = 'bob'", "public_key = 'x'", "sign_count = 1", "suspect = false", "env = 'live'"]
)
async def test_a_passkey_is_never_made_another(dsn: str, change: str) -> None:
    async with postgres.connected(Env.PAPER, dsn) as store:
        people = PostgresPeople(Env.PAPER, store.pool)
        await people.put_person(ALICE)
        await people.put_person(BOB)
        await people.put_passkey(KEY)
        await people.use_passkey(KEY.credential_id, 3, NOW)
        with pytest.raises(asyncpg.PostgresError, match="a passkey never"):
            await store.pool.execute(f"update passkey set {change}")


async def test_passkeys_go_with_their_owner(dsn: str) -> None:
    async with postgres.connected(Env.PAPER, dsn) as store:
        people = PostgresPeople(Env.PAPER, store.pool)
        await people.put_person(ALICE)
        await people.put_passkey(KEY)
        await store.pool.execute("delete from person")
        assert await people.passkey(KEY.credential_id) is None


async def test_another_environment_knows_nothing_of_a_passkey(dsn: str) -> None:
    async with postgres.connected(Env.PAPER, dsn) as store:
        await PostgresPeople(Env.PAPER, store.pool).put_person(ALICE)
        await PostgresPeople(Env.PAPER, store.pool).put_passkey(KEY)
        live = PostgresPeople(Env.LIVE, store.pool)
        assert await live.passkey(KEY.credential_id) is None
        assert await live.passkeys_of("alice") == ()
        assert not await live.use_passkey(KEY.credential_id, 9, NOW)
        assert not await live.drop_passkey("alice", "laptop")
