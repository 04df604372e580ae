"""Whoever fills the room for tokens makes room himself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.security.bearer import Bearer
from ordergate.security.shares import Shares
from tests.security.world import World, world


def filled(*whose: tuple[str, str]) -> Shares:
    shares = Shares()
    for number, (tenant, client) in enumerate(whose):
        shares.add(tenant, client, str(number))
    return shares


def test_the_oldest_of_whoever_has_the_most_leaves_first() -> None:
    assert filled(("acme", "one"), ("acme", "two"), ("acme", "two")).first_to_leave() == "1"


def test_a_tenant_gains_nothing_by_having_many_clients() -> None:
    shares = filled(("other", "busy"), ("other", "busy"), ("acme", "a"), ("acme", "b"), ("acme", "c"))

    assert shares.first_to_leave() == "2"


def test_where_nobody_has_anything_nothing_leaves() -> None:
    with pytest.raises(ValueError, match="empty"):
        Shares().first_to_leave()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), st.sampled_from("123456"))))
def test_what_was_dropped_is_not_counted_however_often_it_came_and_went(
    came: list[tuple[str, str, str]],
) -> None:
    shares = Shares()
    for tenant, client, name in came:
        shares.add(tenant, client, name)
    for tenant, client, name in came:
        shares.drop(tenant, client, name)

    shares.add("z", "z", "left")
    assert shares.first_to_leave() == "left"


async def of_another_tenant(here: World, bearer: Bearer) -> Principal:
    await here.security.register(
        "quiet", tenant="other", scopes=[Scope.ORDERS_READ], accounts=[AccountId("P-beta")]
    )
    claims = here.claims(jti="quiet", client_id="quiet", sub="quiet", tenant="other", acct=["P-beta"])
    found = await bearer.authenticate(here.sign(claims))
    assert isinstance(found, Principal)
    return found


async def test_one_clients_many_tokens_push_no_other_tenants_out() -> None:
    here = await world()
    bearer = Bearer(here.profile, here.security.directory, here.clock, here.senders, remembered_max=10)
    quiet = await of_another_tenant(here, bearer)

    for number in range(30):
        await bearer.authenticate(here.sign(here.claims(jti=f"token-{number}")))

    assert bearer.still_valid(quiet)


async def test_a_token_that_was_forgotten_for_others_is_good_when_it_comes_again() -> None:
    here = await world()
    bearer = Bearer(here.profile, here.security.directory, here.clock, here.senders, remembered_max=1)
    first, second = (here.sign(here.claims(jti=f"token-{number}")) for number in range(2))
    for token in (first, second):
        await bearer.authenticate(token)
    assert bearer.known(first) is None

    assert isinstance(await bearer.authenticate(first), Principal)


async def test_revoked_tokens_leave_nothing_behind() -> None:
    here = await world()
    bearer = Bearer(here.profile, here.security.directory, here.clock, here.senders, remembered_max=2)
    for number in range(9):
        await bearer.authenticate(here.sign(here.claims(jti=f"token-{number}")))
        await here.security.directory.revoke(f"token-{number}", here.clock.epoch + 1_000)

    quiet = await of_another_tenant(here, bearer)
    await bearer.authenticate(here.sign(here.claims(jti="last")))

    assert bearer.still_valid(quiet)
