"""Whoever keeps people and grants keeps the same promises, in memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId, Env
from ordergate.security import postgres
from ordergate.security.clients import ClientStore
from ordergate.security.grant_desk import KEEP_S
from ordergate.security.memory import MemoryStore
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.persons import CODE_S, IDLE_S, Grant, GrantStore, Person
from ordergate.security.profile import profile

NOW = 1_750_000_000
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA"

ALICE = Person(
    user_id="alice",
    tenant="acme",
    password_hash=HASH,
    totp=b"sealed",
    scopes=frozenset({Scope.ORDERS_READ}),
    accounts=frozenset({AccountId("P-alpha")}),
)
GRANT = Grant(
    grant_id="g1",
    client_id="app",
    user_id="alice",
    scopes=frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
    auth_time=NOW,
    acr="urn:ordergate:password",
    bound_to=None,
    redirect_uri="https://desk.example/back",
    challenge="c" * 43,
    code_hash="h1",
    code_expires_at=NOW + CODE_S,
    used_at=NOW,
)

Kept = tuple[ClientStore, GrantStore]


@pytest.fixture
async def kept(place: str | None) -> AsyncIterator[Kept]:
    if place is None:
        store = MemoryStore(Env.PAPER)
        yield store, MemoryPeople(Env.PAPER, store)
        return
    async with postgres.connected(Env.PAPER, place) as stored:
        yield stored, PostgresPeople(Env.PAPER, stored.pool)


async def test_people_come_back_as_they_were_put(kept: Kept) -> None:
    store, people = kept
    await people.put_person(msgspec.structs.replace(ALICE, totp=None))
    await people.put_person(ALICE)

    assert (await store.load(NOW)).people == (ALICE,)


async def test_a_factor_is_sealed_otherwise_only_over_what_was_read(kept: Kept) -> None:
    store, people = kept
    await people.put_person(ALICE)

    assert not await people.reseal_factor("alice", b"of before", b"otherwise")
    assert not await people.reseal_factor("bob", b"sealed", b"otherwise")
    assert (await store.load(NOW)).people == (ALICE,)
    assert await people.reseal_factor("alice", b"sealed", b"otherwise")
    assert (await store.load(NOW)).people == (msgspec.structs.replace(ALICE, totp=b"otherwise"),)


@pytest.mark.parametrize(
    "changes", [{"user_id": "a b"}, {"tenant": ""}, {"accounts": frozenset({AccountId("L-alpha")})}]
)
async def test_people_of_nowhere_are_refused(kept: Kept, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await kept[1].put_person(msgspec.structs.replace(ALICE, **changes))


async def test_a_grant_comes_back_as_it_was_put(kept: Kept) -> None:
    _, people = kept
    await people.put_grant(GRANT)

    assert await people.grant_of_code("h1") == await people.grant("g1") == GRANT
    assert await people.grant_of_code("g1") is None
    assert await people.grant("h1") is None


async def test_a_code_is_redeemed_once_whoever_asks(kept: Kept) -> None:
    _, people = kept
    await people.put_grant(GRANT)

    done = await asyncio.gather(*(people.redeem("g1", f"r{n}", "jkt:k", NOW + 1) for n in range(5)))

    assert sorted(done) == [False] * 4 + [True]
    found = await people.grant("g1")
    assert found is not None
    assert (found.redeemed, found.refresh_hash, found.bound_to) == (True, f"r{done.index(True)}", "jkt:k")


async def test_a_code_is_not_redeemed_when_its_minute_is_over_or_its_grant_has_ended(kept: Kept) -> None:
    _, people = kept
    await people.put_grant(GRANT)
    await people.put_grant(msgspec.structs.replace(GRANT, grant_id="g2", code_hash="h2"))
    await people.end("g2", NOW + 60)

    assert not await people.redeem("g1", "r", None, NOW + CODE_S)
    assert not await people.redeem("g2", "r", None, NOW)
    assert not await people.redeem("g3", "r", None, NOW)


async def test_a_refresh_token_is_replaced_once_and_remembered(kept: Kept) -> None:
    _, people = kept
    await people.put_grant(GRANT)
    await people.redeem("g1", "r1", None, NOW)

    assert await people.refresh("g1", "r1", "r2", NOW + 5)
    assert not await people.refresh("g1", "r1", "r3", NOW + 6)
    assert await people.refresh("g1", "r2", "r2", NOW + 7)
    assert await people.refresh("g1", "r2", "r4", NOW + 8)

    found = await people.grant("g1")
    assert found is not None
    assert (found.refresh_hash, set(found.spent_hashes), found.used_at) == ("r4", {"r1", "r2"}, NOW + 8)
    await people.end("g1", NOW + 60)
    assert not await people.refresh("g1", "r4", "r5", NOW + 9)


async def test_what_a_grant_led_to_is_revoked_with_its_end(kept: Kept) -> None:
    store, people = kept
    await people.put_grant(GRANT)
    await people.end("g1", NOW + 60)
    await people.end("g1", NOW + 90)
    await people.end("g2", NOW + 60)

    assert (await store.load(NOW)).revoked == {"g1": NOW + 60}


async def test_all_but_the_newest_logins_end_and_their_tokens_are_revoked(kept: Kept) -> None:
    store, people = kept
    for number in range(5):
        name = f"g{number}"
        grant = msgspec.structs.replace(GRANT, grant_id=name, code_hash=name, auth_time=NOW - number)
        await people.put_grant(grant)
        await people.redeem(name, f"r{number}", None, NOW)
    others = msgspec.structs.replace(GRANT, grant_id="of-bob", code_hash="of-bob", user_id="bob")
    await people.put_grant(others)

    assert await people.end_logins("alice", keep=3, now=NOW) == 2
    assert (await store.load(NOW)).revoked == {"g3": NOW + IDLE_S, "g4": NOW + IDLE_S}
    assert not await people.refresh("g3", "r3", "r", NOW)
    assert await people.refresh("g2", "r2", "r", NOW)
    assert await people.end_logins("alice", keep=3, now=NOW) == 0
    assert await people.end_logins("alice", keep=0, now=NOW) == 3
    assert await people.grant("of-bob") == others
    assert await people.end_logins("nobody", keep=0, now=NOW) == 0


async def test_a_login_that_is_over_takes_no_room_and_is_not_ended_again(kept: Kept) -> None:
    store, people = kept
    for number, used_at in enumerate((NOW, NOW - 1)):
        name = f"g{number}"
        await people.put_grant(msgspec.structs.replace(GRANT, grant_id=name, code_hash=name, used_at=used_at))
        await people.redeem(name, f"r{number}", None, used_at)
    await people.put_grant(msgspec.structs.replace(GRANT, grant_id="a code that nobody came with"))

    last = NOW + IDLE_S - 1
    assert await people.end_logins("alice", keep=0, now=last) == 1
    assert (await store.load(last)).revoked == {"g0": last + IDLE_S}
    assert all(profile(env, "https://gateway.example").lifetime_s + KEEP_S <= IDLE_S for env in Env)


async def test_old_grants_are_forgotten(kept: Kept) -> None:
    _, people = kept
    await people.put_grant(GRANT)

    await people.prune_grants(NOW)
    assert await people.grant("g1") is not None
    await people.prune_grants(NOW + 1)
    assert await people.grant("g1") is None
