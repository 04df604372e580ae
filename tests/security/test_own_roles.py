"""Everybody may know the roles they have: people and programs of ours, and people of another issuer."""

from __future__ import annotations

from typing import Any

import pytest

from ordergate.core.access import Principal, Role
from ordergate.core.ids import AccountId, Env
from ordergate.core.tenancy import AccountPlace, Assignment, Reach
from ordergate.engine.desks.access_desk import AccessDesk, AssignmentView
from ordergate.journal.memory import MemoryJournal
from ordergate.security.programs import Programs
from tests.engine.stage import CountingChance, Listener
from tests.security.everybody import OF_TENANT, OWN
from tests.security.floor import Floor, floor
from tests.security.test_external_issuer import Trusting, trusting


async def me(here: Floor, claims: dict[str, Any]) -> dict[str, Any]:
    status, told = await here.ask("GET", "/v1/access/me", token=here.signed(claims))
    assert status == 200, told
    return told


@pytest.mark.parametrize("env", Env, ids=str)
async def test_people_and_programs_are_told_the_roles_they_have_as_they_were_given(env: Env) -> None:
    async with floor(env) as here:
        for role in Role:
            reach = Reach.TENANT if role in OF_TENANT else Reach.ACCOUNT
            given = {"role": role, "reach": reach, "of": "" if role in OF_TENANT else here.accounts[OWN]}
            for claims in (here.claims(role), here.claims_of_program(role), here.claims(role, scope="")):
                assert (await me(here, claims))["roles"] == [given]


async def test_a_program_without_roles_has_none_and_what_its_key_allows() -> None:
    async with floor(Env.PAPER) as here:
        name = f"program-{OWN}"
        told = await me(here, here.claims_of_program(Role.TRADER, sub=name, client_id=name))
    assert (told["roles"], told["version"], told["scopes"]) == ([], 0, ["accounts:read"])


async def test_roles_are_told_as_they_are_now_and_of_ones_own_tenant() -> None:
    async with floor(Env.PAPER) as here:
        book, role = here.security.directory, Role.TRADER
        more = Assignment("acme", role.value, Role.VIEWER, Reach.TENANT, "")
        await here.store.assign(Assignment("zeta", role.value, Role.VIEWER, Reach.TENANT, ""))
        await book.assign(more)
        assert {one["role"] for one in (await me(here, here.claims(role)))["roles"]} == {"trader", "viewer"}
        await book.withdraw(more, {})
        assert [one["role"] for one in (await me(here, here.claims(role)))["roles"]] == ["trader"]


async def test_somebody_of_another_issuer_has_the_roles_that_were_given_here() -> None:
    async with trusting() as it:
        before = await it.ask()
        assert isinstance(before, Principal)
        assert desk_of(it).roles_of(before) == ()
        alpha = AccountId("P-alpha")
        await it.here.store.place_accounts([AccountPlace(alpha, "acme")])
        for subject, role in (("corp:user-1", Role.VIEWER), ("user-1", Role.TRADER)):
            await it.here.store.assign(Assignment("acme", subject, role, Reach.ACCOUNT, alpha))
        await it.here.security.directory.refresh()
        principal = await it.ask()
    assert isinstance(principal, Principal)
    assert desk_of(it).roles_of(principal) == (AssignmentView(Role.VIEWER, Reach.ACCOUNT, "P-alpha"),)


def desk_of(it: Trusting) -> AccessDesk:
    book = it.here.security.directory
    return AccessDesk(
        Env.PAPER,
        book,
        Programs(book),
        journal=MemoryJournal(Env.PAPER),
        audience=Listener(),
        clock=it.here.clock,
        chance=CountingChance(),
    )
