"""What a subject may do follows from its roles alone once it has had one, and ends at its tenant."""

from __future__ import annotations

import msgspec
import pytest

from ordergate.core.access import SCOPES_OF, KeyBounds, Principal, Role, Scope
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.refusals import Code
from ordergate.core.tenancy import Access, AccountPlace, Assignment, Desk, Reach, Subject, misfit
from ordergate.security.memory import MemoryStore
from ordergate.security.rights import Registry
from tests.security.world import World, world

ALPHA, BETA, GAMMA, THEIRS = (AccountId(f"P-{name}") for name in ("alpha", "beta", "gamma", "theirs"))
HOUSE = Access(
    tenants=("acme", "zeta"),
    desks=(Desk("acme", "east"), Desk("zeta", "east")),
    accounts=(
        AccountPlace(ALPHA, "acme", "east"),
        AccountPlace(BETA, "acme"),
        AccountPlace(GAMMA, "acme"),
        AccountPlace(THEIRS, "zeta", "east"),
    ),
)


def said(**changes: object) -> Principal:
    made = Principal(
        env=Env.PAPER,
        tenant="acme",
        client_id="app",
        subject="ann",
        scopes=frozenset(Scope),
        accounts=frozenset({ALPHA, BETA, GAMMA, THEIRS}),
        expires_at=1,
        token_id="t",
    )
    return msgspec.structs.replace(made, **changes)


def ann(*roles: tuple[Role, Reach, str], **subject: object) -> Registry:
    known = msgspec.structs.replace(Subject("acme", "ann", 7), **subject)
    given = tuple(Assignment("acme", "ann", *role) for role in roles)
    return Registry(msgspec.structs.replace(HOUSE, subjects=(known,), assignments=given))


def allowed(registry: Registry, principal: Principal) -> Principal:
    found = registry.narrowed(principal)
    assert found is not None
    return found


def test_a_subject_without_roles_keeps_what_its_token_says_within_its_tenant() -> None:
    found = allowed(Registry(HOUSE), said())

    assert found.accounts == {ALPHA, BETA, GAMMA}
    assert found.scopes == frozenset(Scope)
    assert found.by_account is None


@pytest.mark.parametrize("name", ["P-other", "P-AUDIT", "P-ACCESS", "P-LIMITS", "P-CONTROL"])
def test_an_account_that_is_not_placed_is_nobodys_whatever_a_token_says(name: str) -> None:
    found = allowed(Registry(HOUSE), said(accounts=frozenset({AccountId(name), ALPHA})))

    assert found.accounts == {ALPHA}


def test_where_no_account_is_placed_the_token_counts() -> None:
    elsewhere = said(accounts=frozenset({AccountId("P-other")}))

    assert allowed(Registry(Access()), elsewhere) is elsewhere


@pytest.mark.parametrize("role", Role)
def test_a_role_of_the_tenant_holds_on_all_its_accounts_and_on_no_other(role: Role) -> None:
    found = allowed(ann((role, Reach.TENANT, "")), said())

    assert found.scopes == SCOPES_OF[role]
    assert found.accounts == {ALPHA, BETA, GAMMA}
    assert found.version == 7


def test_a_role_of_a_desk_or_an_account_holds_there_only() -> None:
    registry = ann((Role.TRADER, Reach.DESK, "east"), (Role.VIEWER, Reach.ACCOUNT, "P-beta"))

    found = allowed(registry, said())

    assert found.accounts_for(Scope.ORDERS_WRITE) == {ALPHA}
    assert found.accounts_for(Scope.ORDERS_READ) == {ALPHA, BETA}


def test_giving_rights_is_of_a_whole_tenant_or_not_at_all() -> None:
    found = allowed(ann((Role.ADMINISTRATOR, Reach.ACCOUNT, "P-alpha")), said())

    assert not found.may(Scope.ACCESS_WRITE)
    assert found.may_on(Scope.ACCOUNTS_READ, ALPHA)


def test_a_token_narrows_what_roles_allow() -> None:
    asked = said(scopes=frozenset({Scope.ORDERS_READ, Scope.RISK_WRITE}), accounts=frozenset({BETA}))

    found = allowed(ann((Role.TRADER, Reach.TENANT, "")), asked)

    assert found.scopes == {Scope.ORDERS_READ}
    assert found.accounts == {BETA}


def test_whoever_lost_the_last_role_may_do_nothing() -> None:
    found = allowed(ann(), said())

    assert (found.scopes, found.accounts) == (frozenset(), frozenset())


def test_whoever_is_kept_out_may_do_nothing_whatever_the_roles() -> None:
    registry = ann((Role.TRADER, Reach.TENANT, ""), enabled=False)

    assert registry.narrowed(said()) is None
    assert registry.version("acme", "ann") == -1


def test_the_same_name_in_another_tenant_is_somebody_else() -> None:
    found = allowed(ann((Role.VIEWER, Reach.TENANT, "")), said(tenant="zeta"))

    assert found.accounts == {THEIRS}
    assert Scope.ORDERS_WRITE in found.scopes


@pytest.mark.parametrize(
    ("assignment", "code"),
    [
        (Assignment("acme", "ann", Role.VIEWER, Reach.TENANT), None),
        (Assignment("acme", "corp:4711", Role.VIEWER, Reach.DESK, "east"), None),
        (Assignment("acme", "ann", Role.VIEWER, Reach.ACCOUNT, "P-alpha"), None),
        (Assignment("acme", "", Role.VIEWER, Reach.TENANT), Code.INVALID),
        (Assignment("acme", "a b", Role.VIEWER, Reach.TENANT), Code.INVALID),
        (Assignment("acme", "ann", Role.VIEWER, Reach.TENANT, "east"), Code.INVALID),
        (Assignment("none", "ann", Role.VIEWER, Reach.TENANT), Code.NOT_FOUND),
        (Assignment("acme", "ann", Role.VIEWER, Reach.DESK, "west"), Code.NOT_FOUND),
        (Assignment("acme", "ann", Role.VIEWER, Reach.ACCOUNT, "P-theirs"), Code.NOT_FOUND),
        (Assignment("acme", "ann", Role.VIEWER, Reach.ACCOUNT, "L-alpha"), Code.NOT_FOUND),
    ],
)
def test_an_assignment_names_what_there_is_in_its_tenant(assignment: Assignment, code: Code | None) -> None:
    no = misfit(Env.PAPER, HOUSE, assignment)

    assert (None if no is None else no.code) == code


# In a process: what changes is in force for tokens that were given out before


TRADER = Assignment("acme", "desk", Role.TRADER, Reach.TENANT)


async def two_processes() -> tuple[World, World, Principal]:
    """Two over one store; `desk` has a token that the second has verified."""
    store = MemoryStore(Env.PAPER)
    await store.place_accounts([AccountPlace(ALPHA, "acme"), AccountPlace(BETA, "acme")])
    await store.assign(TRADER)
    here = await world(store=store)
    there = await world(store=store, clock=here.clock, keys=here.keys)
    here.secret = there.secret
    await here.security.directory.refresh()
    principal = await there.bearer.authenticate(await here.token())
    assert isinstance(principal, Principal)
    return here, there, principal


async def test_a_demotion_elsewhere_ends_what_was_allowed_before_within_five_seconds() -> None:
    here, there, principal = await two_processes()
    assert principal.may_on(Scope.ORDERS_WRITE, ALPHA)
    await here.security.directory.withdraw(TRADER, {})
    await here.security.directory.assign(Assignment("acme", "desk", Role.VIEWER, Reach.ACCOUNT, "P-alpha"))

    there.clock.advance(2)
    await there.security.directory.refresh()  # as it does every two seconds

    assert not there.bearer.still_valid(principal)


async def test_a_token_that_is_read_again_after_a_demotion_does_not_revive_what_it_allowed() -> None:
    here, _, _ = await two_processes()
    token = await here.token()
    before = await here.bearer.authenticate(token)
    await here.security.directory.withdraw(TRADER, {})

    after = await here.bearer.authenticate(token)  # by another connection

    assert after.scopes == frozenset()
    assert here.bearer.still_valid(after)
    assert not here.bearer.still_valid(before)


async def test_a_key_that_lost_an_account_is_not_revived_either() -> None:
    here = await world()
    token = await here.token()
    before = await here.bearer.authenticate(token)
    client = here.security.directory.client("desk")
    assert client is not None
    await here.security.directory.put_client(msgspec.structs.replace(client, accounts=frozenset({ALPHA})))

    after = await here.bearer.authenticate(token)

    assert after.accounts == {ALPHA}
    assert not here.bearer.still_valid(before)


async def test_whoever_is_kept_out_gets_in_with_no_token() -> None:
    here, _, _ = await two_processes()
    token = await here.token()
    await here.security.directory.keep_out("acme", "desk", {})

    refused = await here.bearer.authenticate(token)

    assert refused.code is Code.UNAUTHENTICATED
    await here.store.enable("acme", "desk", enabled=True)
    await here.security.directory.refresh()
    assert isinstance(await here.bearer.authenticate(token), Principal)


async def test_a_key_ends_when_it_was_made_to_end_and_bounds_follow_at_once() -> None:
    here = await world()
    token = await here.token()
    before = await here.bearer.authenticate(token)
    client = here.security.directory.client("desk")
    assert client is not None
    bounds = KeyBounds(instruments=frozenset({Symbol("AAPL")}), expires_at=here.clock.epoch + 60)

    await here.security.directory.put_client(msgspec.structs.replace(client, bounds=bounds))

    assert not here.bearer.still_valid(before)
    bounded = await here.bearer.authenticate(token)
    assert bounded.bounds == bounds
    here.clock.advance(60)
    assert not here.bearer.still_valid(bounded)
    assert here.bearer.known(token) is None
    assert (await here.bearer.authenticate(token)).code is Code.UNAUTHENTICATED
