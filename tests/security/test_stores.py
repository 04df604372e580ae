"""Both stores keep the same promises: one suite, the twin in memory and PostgreSQL."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest

from ordergate.core.access import KeyBounds, Role, Scope, Sender
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.strategies import Strategy
from ordergate.core.tenancy import AccountPlace, Assignment, Desk, Reach, Subject
from ordergate.security import postgres
from ordergate.security.clients import Client, ClientStore, PublishedKey, StoreUnavailable
from ordergate.security.memory import MemoryStore
from tests.security.world import other_key, world

NOW = 1_750_000_000
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA"


@pytest.fixture
async def store(place: str | None) -> AsyncIterator[ClientStore]:
    if place is None:
        yield MemoryStore(Env.PAPER)
        return
    async with postgres.connected(Env.PAPER, place) as connected:
        yield connected


def client(name: str = "desk", **changes: object) -> Client:
    made = Client(
        client_id=name,
        tenant="acme",
        secret_hash=HASH,
        scopes=frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
        accounts=frozenset({AccountId("P-alpha"), AccountId("P-beta")}),
    )
    return msgspec.structs.replace(made, **changes)


async def test_a_new_store_knows_nothing(store: ClientStore) -> None:
    snapshot = await store.load(NOW)

    assert (snapshot.clients, snapshot.keys, snapshot.revoked) == ((), (), {})


async def test_a_client_comes_back_as_it_was_put(store: ClientStore) -> None:
    nobody = client("nobody", scopes=frozenset(), accounts=frozenset(), enabled=False)
    await store.put_client(nobody)
    await store.put_client(client())

    assert (await store.load(NOW)).clients == (client(), nobody)


async def test_putting_a_client_again_replaces_all_of_it(store: ClientStore) -> None:
    await store.put_client(client())
    changed = client(tenant="other", scopes=frozenset({Scope.RISK_READ}), enabled=False)

    await store.put_client(changed)

    assert (await store.load(NOW)).clients == (changed,)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": ""},
        {"client_id": "corp:desk"},
        {"client_id": "a b"},
        {"client_id": "x" * 65},
        {"tenant": ""},
        {"accounts": frozenset({AccountId("L-alpha")})},
        {"accounts": frozenset({AccountId("*")})},
    ],
)
async def test_a_client_that_cannot_be_is_refused(store: ClientStore, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"client id|tenant|accounts"):
        await store.put_client(msgspec.structs.replace(client(), **changes))

    assert (await store.load(NOW)).clients == ()


async def test_keys_are_listed_until_they_retire(store: ClientStore) -> None:
    keys = tuple(
        PublishedKey(kid=f"k{i}", jwk="{}", retires_at=at) for i, at in enumerate((None, NOW, NOW + 1))
    )

    await store.put_keys(keys)

    assert [key.kid for key in (await store.load(NOW)).keys] == ["k0", "k2"]
    assert [key.kid for key in (await store.load(NOW + 1)).keys] == ["k0"]


async def test_a_key_can_be_retired_later(store: ClientStore) -> None:
    key = PublishedKey(kid="k", jwk="{}")
    await store.put_keys((key,))

    await store.put_keys((msgspec.structs.replace(key, retires_at=NOW + 5),))

    assert (await store.load(NOW)).keys[0].retires_at == NOW + 5
    assert (await store.load(NOW + 5)).keys == ()


async def test_the_earlier_end_of_a_key_stands(store: ClientStore) -> None:
    key = PublishedKey(kid="k", jwk="{}", retires_at=NOW + 5)
    await store.put_keys((key,))

    for later in (NOW + 6, None):
        await store.put_keys((msgspec.structs.replace(key, retires_at=later),))

    assert (await store.load(NOW)).keys == (key,)


async def test_a_revocation_is_kept_until_it_no_longer_matters(store: ClientStore) -> None:
    await store.revoke("a", NOW + 10)
    await store.revoke("b", NOW + 20)
    await store.revoke("a", NOW + 10)

    assert (await store.load(NOW)).revoked == {"a": NOW + 10, "b": NOW + 20}
    assert (await store.load(NOW + 10)).revoked == {"b": NOW + 20}


async def test_pruning_changes_nothing_that_still_matters(store: ClientStore) -> None:
    await store.put_client(client())
    await store.put_keys(
        (PublishedKey(kid="k", jwk="{}", retires_at=NOW + 10), PublishedKey(kid="l", jwk="{}"))
    )
    await store.revoke("a", NOW + 10)
    await store.revoke("b", NOW)
    before = await store.load(NOW)

    await store.prune(NOW)

    assert await store.load(NOW) == before
    await store.prune(NOW + 10)
    assert (await store.load(NOW)).revoked == {}
    assert [key.kid for key in (await store.load(NOW)).keys] == ["l"]


async def test_a_whole_identity_lives_in_it_across_a_restart(store: ClientStore) -> None:
    first = await world(store=store)
    token = await first.token()
    await first.ask("/oauth/revoke", {"token": token}, basic=("desk", first.secret.reveal()))

    second = await world(store=store, keys=first.keys, clock=first.clock)

    assert second.security.directory.client("desk") is not None
    assert second.security.bearer.own(token) is None
    assert second.security.bearer.own(await second.token()) is not None


async def test_two_environments_in_one_database_do_not_see_each_other(dsn: str) -> None:
    async with postgres.connected(Env.PAPER, dsn) as paper, postgres.connected(Env.LIVE, dsn) as live:
        await paper.put_client(client())
        await paper.put_keys((PublishedKey(kid="k", jwk="{}"),))
        await paper.revoke("a", NOW + 10)

        assert await live.load(NOW) == await MemoryStore(Env.LIVE).load(NOW)
        await live.prune(NOW + 100)
        assert (await paper.load(NOW)).revoked == {"a": NOW + 10}


async def test_the_database_itself_refuses_a_private_key_and_a_plain_secret(dsn: str) -> None:
    async with postgres.connected(Env.PAPER, dsn) as paper:
        with pytest.raises(StoreUnavailable):
            await paper.put_keys((PublishedKey(kid="k", jwk='{"kty":"EC","d":"private"}'),))
        with pytest.raises(StoreUnavailable):
            await paper.put_client(client(secret_hash="plain"))


async def test_a_database_that_is_not_there_is_told_as_unavailable(dsn: str) -> None:
    with pytest.raises(StoreUnavailable):
        async with postgres.connected(Env.PAPER, "postgresql://nobody@127.0.0.1:1/none"):
            pass


async def test_what_is_spent_once_is_spent(store: ClientStore) -> None:
    assert await store.spend("assertion a", NOW + 60)
    assert not await store.spend("assertion a", NOW + 60)
    assert await store.spend("assertion b", NOW + 60)

    await store.prune(NOW + 60)

    assert await store.spend("assertion a", NOW + 120)


async def test_a_client_of_keys_comes_back_as_it_was_put(store: ClientStore) -> None:
    jwk = {**other_key().as_dict(private=False), "kid": "desk-1"}
    client = Client(
        client_id="desk",
        tenant="acme",
        scopes=frozenset(),
        accounts=frozenset(),
        keys=json.dumps({"keys": [jwk]}),
        redirect_uris=("https://desk.example/back",),
        sender=Sender.DPOP,
    )

    await store.put_client(client)

    assert (await store.load(NOW)).clients == (client,)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret_hash": None},
        {"secret_hash": HASH, "keys": "{}"},
        {"redirect_uris": ("http://desk.example/",)},
    ],
)
async def test_a_client_that_proves_itself_in_no_way_or_in_two_is_refused(
    store: ClientStore, changes: dict[str, Any]
) -> None:
    described = {"tenant": "acme", "scopes": frozenset(), "accounts": frozenset(), "secret_hash": HASH}

    with pytest.raises(ValueError, match=r"."):
        await store.put_client(Client(client_id="desk", **{**described, **changes}))


# Access: tenants, desks, accounts, subjects, roles

TRADES = Assignment("acme", "ann", Role.TRADER, Reach.DESK, "east")


async def settled(store: ClientStore) -> None:
    await store.place_accounts(
        [AccountPlace(AccountId("P-alpha"), "acme", "east"), AccountPlace(AccountId("P-beta"), "zeta")]
    )


async def test_accounts_bring_their_tenants_and_desks(store: ClientStore) -> None:
    await settled(store)
    await settled(store)

    access = await store.load_access()
    assert access.tenants == ("acme", "zeta")
    assert access.desks == (Desk("acme", "east"),)
    assert access.accounts == (
        AccountPlace(AccountId("P-alpha"), "acme", "east"),
        AccountPlace(AccountId("P-beta"), "zeta"),
    )
    assert (await store.load(NOW)).access == access


async def test_an_account_never_changes_its_tenant(store: ClientStore) -> None:
    await settled(store)

    with pytest.raises(ValueError, match="never changes its tenant"):
        await store.place_accounts([AccountPlace(AccountId("P-alpha"), "zeta")])


async def test_every_change_of_roles_moves_the_version(store: ClientStore) -> None:
    await settled(store)
    versions = []
    for step in (
        store.assign(TRADES),
        store.assign(TRADES),
        store.withdraw(TRADES),
        store.withdraw(TRADES),
        store.enable("acme", "ann", enabled=False),
        store.enable("acme", "ann", enabled=False),
        store.enable("acme", "ann", enabled=True),
        store.place_accounts([AccountPlace(AccountId("P-alpha"), "acme", "west")]),
    ):
        await step
        versions += [one.version for one in (await store.load_access()).subjects]

    assert versions == [2, 2, 3, 3, 4, 4, 5, 6]


async def test_a_subject_is_kept_out_before_it_ever_had_a_role(store: ClientStore) -> None:
    await settled(store)
    await store.enable("acme", "bob", enabled=True)
    assert (await store.load_access()).subjects == ()

    await store.enable("acme", "bob", enabled=False)

    assert (await store.load_access()).subjects == (Subject("acme", "bob", 1, enabled=False),)


async def test_an_approved_change_is_carried_out_once(store: ClientStore) -> None:
    await settled(store)
    await store.assign(TRADES, "chg-1")
    await store.withdraw(TRADES)

    await store.assign(TRADES, "chg-1")

    assert (await store.load_access()).assignments == ()


async def test_what_names_no_tenant_is_refused(store: ClientStore) -> None:
    nowhere = Assignment("nowhere", "ann", Role.TRADER, Reach.TENANT)
    with pytest.raises(ValueError, match="no tenant"):
        await store.assign(nowhere)
    with pytest.raises(ValueError, match="no tenant"):
        await store.put_desk(Desk("nowhere", "east"))
    with pytest.raises(ValueError, match="no tenant"):
        await store.enable("nowhere", "ann", enabled=False)
    with pytest.raises(ValueError, match="tenant is"):
        await store.put_tenant("a tenant")


async def test_the_bounds_of_a_key_come_back_as_they_were_put(store: ClientStore) -> None:
    bounds = KeyBounds(
        instruments=frozenset({Symbol("AAPL"), Symbol("MSFT")}),
        strategies=frozenset({"mean"}),
        notional_max=Decimal("2500.50"),
        networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
        expires_at=NOW + 60,
    )
    for changed in (bounds, KeyBounds(), None, bounds):
        await store.put_client(client(bounds=changed))

        assert (await store.load(NOW)).clients[0].bounds == changed


async def test_a_client_of_signed_requests_stays_one(store: ClientStore) -> None:
    jwk = {**other_key().as_dict(private=False), "kid": "one"}
    keys, bounds = json.dumps({"keys": [jwk]}), KeyBounds(signed_requests=True)
    signing = client(secret_hash=None, keys=keys, sender=Sender.DPOP, bounds=bounds)
    for changed in (bounds, None, bounds):
        await store.put_client(msgspec.structs.replace(signing, bounds=changed))

        assert (await store.load(NOW)).clients[0].bounds == changed


async def test_a_strategy_is_kept_as_it_was_put_and_put_again(store: ClientStore) -> None:
    await settled(store)
    first = Strategy("acme", "mean", "1", "user:ann")
    every = Strategy("acme", "mean", "", "user:ann")
    await store.put_strategy(first)
    await store.put_strategy(every)
    await store.put_strategy(msgspec.structs.replace(first, owner="user:ben", enabled=False))

    kept = (await store.load_access()).strategies
    assert kept == (every, Strategy("acme", "mean", "1", "user:ben", enabled=False))
    for wrong in (Strategy("nowhere", "mean", "", "ann"), Strategy("acme", "a b", "", "ann")):
        with pytest.raises(ValueError, match=r"no tenant|a strategy"):
            await store.put_strategy(wrong)
    assert (await store.load_access()).strategies == kept


async def test_a_replaced_secret_comes_back_with_its_end(store: ClientStore) -> None:
    replaced = client(old_secret_hash=HASH, old_secret_until=NOW + 60)
    await store.put_client(replaced)
    assert (await store.load(NOW)).clients == (replaced,)
    for wrong in (client(old_secret_hash=HASH), client(old_secret_until=NOW)):
        with pytest.raises(ValueError, match="has an end"):
            await store.put_client(wrong)


async def test_an_approved_change_of_a_client_is_carried_out_once(store: ClientStore) -> None:
    await store.put_client(client(), {"by": "ann"}, "chg-1")
    await store.put_client(client(enabled=False))

    await store.put_client(client(), {"by": "ann"}, "chg-1")

    assert [one.enabled for one in (await store.load(NOW)).clients] == [False]
