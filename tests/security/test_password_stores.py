"""Whoever keeps passwords and resets keeps the same promises, in memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from ordergate.core.ids import Env
from ordergate.journal.migrate import migrate
from ordergate.security import postgres
from ordergate.security.clients import ClientStore
from ordergate.security.code_grants import secret_hash
from ordergate.security.memory import MemoryStore
from ordergate.security.migrations import identity_migrations
from ordergate.security.passkeys import PeopleStore
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.persons import Person
from ordergate.security.resets import RESET_S, NewPassword, Reset
from tests.security.test_people_stores import ALICE, GRANT, HASH, NOW

OTHER: Final = HASH.replace("c29tZXNhbHQ", "YW5vdGhlcnNhbHQ")
RESET: Final = Reset(user_id="alice", code_hash=secret_hash("a code"), expires_at=NOW + RESET_S)
NEW: Final = NewPassword(user_id="alice", old_hash=HASH, new_hash=OTHER)
BY_RESET: Final = msgspec.structs.replace(NEW, reset=RESET.code_hash)

Kept = tuple[ClientStore, PeopleStore]


@pytest.fixture
async def kept(place: str | None) -> AsyncIterator[Kept]:
    if place is None:
        store = MemoryStore(Env.PAPER)
        people: PeopleStore = MemoryPeople(Env.PAPER, store)
        await people.put_person(ALICE)
        yield store, people
        return
    async with postgres.connected(Env.PAPER, place) as stored:
        people = PostgresPeople(Env.PAPER, stored.pool)
        await people.put_person(ALICE)
        yield stored, people


async def person(store: ClientStore) -> Person:
    (found,) = (await store.load(NOW)).people
    return found


async def test_another_password_takes_the_place_of_the_one_that_stands_and_no_other(kept: Kept) -> None:
    store, people = kept

    assert await people.change_password(msgspec.structs.replace(NEW, old_hash=OTHER), NOW) is None
    assert await people.change_password(msgspec.structs.replace(NEW, user_id="nobody"), NOW) is None
    assert await person(store) == ALICE
    assert await people.change_password(NEW, NOW) == 0
    assert await person(store) == msgspec.structs.replace(ALICE, password_hash=OTHER)
    assert await people.change_password(NEW, NOW) is None


async def test_who_is_kept_out_changes_nothing(kept: Kept) -> None:
    _, people = kept
    await people.put_person(msgspec.structs.replace(ALICE, enabled=False))

    assert await people.change_password(NEW, NOW) is None


@pytest.mark.parametrize("ends", [True, False])
async def test_logins_end_with_the_old_password_where_that_is_said(kept: Kept, *, ends: bool) -> None:
    store, people = kept
    await people.put_grant(GRANT)
    await people.redeem("g1", "r1", None, NOW)

    assert await people.change_password(msgspec.structs.replace(NEW, ends_logins=ends), NOW) == int(ends)

    assert ("g1" in (await store.load(NOW)).revoked) is ends
    assert await people.refresh("g1", "r1", "r2", NOW) is not ends


async def test_a_reset_comes_back_as_it_was_put_and_the_last_one_serves(kept: Kept) -> None:
    _, people = kept
    assert await people.reset_of("alice") is None
    assert await people.put_reset(msgspec.structs.replace(RESET, code_hash=secret_hash("one before")))

    assert await people.put_reset(RESET)

    assert await people.reset_of("alice") == RESET
    assert await people.reset_of("") is None


@pytest.mark.parametrize("changes", [{"totp": None}, {"enabled": False}, {"user_id": "bob"}])
async def test_there_is_no_reset_for_who_could_not_show_who_they_are(
    kept: Kept, changes: dict[str, Any]
) -> None:
    _, people = kept
    await people.put_person(msgspec.structs.replace(ALICE, **changes))
    put = await people.put_reset(RESET)

    assert put is ("user_id" in changes), "bob is another"
    assert not await people.put_reset(msgspec.structs.replace(RESET, user_id="nobody"))


async def test_a_reset_serves_once_whoever_comes_with_it(kept: Kept) -> None:
    _, people = kept
    await people.put_reset(RESET)

    done = await asyncio.gather(*(people.change_password(BY_RESET, NOW) for _ in range(5)))

    assert sorted(done, key=str) == [0, None, None, None, None]
    assert await people.reset_of("alice") is None


async def test_a_reset_serves_for_its_half_hour_and_with_its_own_code(kept: Kept) -> None:
    _, people = kept
    assert await people.change_password(BY_RESET, NOW) is None, "there is none"
    await people.put_reset(RESET)

    wrong = msgspec.structs.replace(BY_RESET, reset=secret_hash("a guess"))
    assert await people.change_password(wrong, NOW) is None
    assert await people.change_password(BY_RESET, NOW + RESET_S) is None
    assert await people.change_password(BY_RESET, NOW + RESET_S - 1) == 0


@pytest.mark.parametrize("given", ["changed", "put"])
async def test_another_password_is_the_end_of_a_reset_whoever_gave_it(kept: Kept, given: str) -> None:
    _, people = kept
    await people.put_reset(RESET)
    await people.put_person(msgspec.structs.replace(ALICE, totp=b"another"))
    assert await people.reset_of("alice") == RESET, "the password is the same"

    if given == "changed":
        await people.change_password(NEW, NOW)
    else:
        await people.put_person(msgspec.structs.replace(ALICE, password_hash=OTHER))

    assert await people.reset_of("alice") is None


async def test_every_step_of_a_reset_is_recorded_and_no_hash_of_it(database: str) -> None:
    await migrate(database, also=identity_migrations())
    async with postgres.connected(Env.PAPER, database) as store:
        people = PostgresPeople(Env.PAPER, store.pool)
        await people.put_person(ALICE)
        await people.put_grant(GRANT)
        await people.put_reset(RESET)
        await people.change_password(BY_RESET, NOW)
        _, *told = await store.waiting(100)

    assert {(one.what, one.operation, one.subject) for one in told[1:]} == {
        ("person", "update", "alice"),
        ("password_reset", "delete", "alice"),
        ("revocation", "insert", "g1"),
    }
    assert (told[0].what, told[0].operation, told[0].subject) == ("password_reset", "insert", "alice")
    assert {(one.facts["by"], one.facts["with"]) for one in told[1:]} == {("alice", "a reset")}
    (changed,) = (one for one in told if one.what == "person")
    assert (changed.facts["password"], changed.facts["second_factor"]) == ("replaced", "kept")
    assert all(secret not in str(told) for secret in (RESET.code_hash, HASH, OTHER))


async def test_a_reset_goes_with_its_owner_and_is_kept_as_a_hash_alone(dsn: str) -> None:
    async with postgres.connected(Env.PAPER, dsn) as store:
        people = PostgresPeople(Env.PAPER, store.pool)
        await people.put_person(ALICE)
        await people.put_reset(RESET)
        with pytest.raises(asyncpg.CheckViolationError):
            await store.pool.execute("update password_reset set code_hash = 'a code'")
        await store.pool.execute("delete from person")
        assert await people.reset_of("alice") is None
