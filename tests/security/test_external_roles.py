"""What somebody else's issuer says about a person: their roles, how they logged in, whose the token is."""

from __future__ import annotations

from typing import Any

import pytest

from ordergate.core.access import PASSWORD_ONLY, TWO_FACTORS, Principal, Scope
from ordergate.core.refusals import Refusal
from ordergate.ports.identity import Shown
from ordergate.security import external
from ordergate.security.external import IssuerSettings
from tests.security.test_external_issuer import trusting


async def test_what_a_key_signed_that_the_issuer_took_back_ends_with_the_next_look() -> None:
    async with trusting() as it:
        before = await it.ask()
        assert isinstance(before, Principal)
        it.idp.new_key("k2")
        del it.idp.keys["k1"]

        it.here.clock.advance(external.COOL_DOWN_S + 1)
        newer = it.idp.token(it.claims(jti="their-token-2"), kid="k2")
        assert isinstance(await it.ask(newer), Principal)

        assert not it.here.bearer.still_valid(before), "an open stream ends, too"


ROLES = {
    "trader": frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
    "watcher": frozenset({Scope.ORDERS_READ}),
}


@pytest.mark.parametrize(
    ("roles", "scopes"),
    [
        (["trader"], {Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
        (["watcher", "unknown"], {Scope.ORDERS_READ}),
        ("watcher trader", {Scope.ORDERS_READ, Scope.ORDERS_WRITE}),
        (["unknown"], set()),
        ([], set()),
        (None, set()),
    ],
)
async def test_with_roles_a_token_has_what_its_roles_map_to_and_nothing_else(
    roles: Any, scopes: set[Scope]
) -> None:
    async with trusting(roles_claim="realm_access.roles", roles=ROLES) as it:
        principal = await it.ask(realm_access={"roles": roles}, scope="risk:write accounts:write")

    assert isinstance(principal, Principal)
    assert principal.scopes == scopes


async def test_roles_of_another_shape_are_refused() -> None:
    async with trusting(roles_claim="roles", roles=ROLES) as it:
        assert isinstance(await it.ask(roles={"trader": True}), Refusal)
        assert isinstance(await it.ask(roles=[1]), Refusal)


@pytest.mark.parametrize("half", [{"roles_claim": "roles"}, {"roles": ROLES}])
def test_roles_without_their_claim_or_their_meaning_are_a_mistake(half: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="roles"):
        IssuerSettings(name="corp", issuer="https://idp.example", audience="a", tenant="t", **half)


async def test_only_logins_of_a_strong_kind_count_where_they_are_named() -> None:
    async with trusting(strong_acr=frozenset({"gold"})) as it:
        now = it.here.clock.epoch
        gold = await it.ask(auth_time=now, acr="gold")
        tin = await it.ask(auth_time=now, acr="tin", jti="their-token-2")
        unsaid = await it.ask(auth_time=now, jti="their-token-3")

    for principal, counts in ((gold, True), (tin, False), (unsaid, False)):
        assert isinstance(principal, Principal)
        assert it.here.bearer.stepped_up(principal) is counts
        assert principal.client_id == "corp:desk:user-1", "a person who logged in, at that program"


@pytest.mark.parametrize("acr", ["gold", "0", PASSWORD_ONLY, TWO_FACTORS, None])
async def test_where_none_is_named_no_login_counts(acr: str | None) -> None:
    async with trusting() as it:
        principal = await it.ask(auth_time=it.here.clock.epoch, acr=acr)

    assert isinstance(principal, Principal)
    assert not it.here.bearer.stepped_up(principal)


@pytest.mark.parametrize("sub", ["desk", "user-1"])
async def test_a_program_of_an_issuer_is_nobody_who_logged_in(sub: str) -> None:
    """RFC 9068, 2.2: a token without a person is of the client itself, and nobody has logged in."""
    async with trusting(strong_acr=frozenset({"gold"})) as it:
        it.here.clock.advance(1)
        principal = await it.ask(sub=sub, auth_time=it.here.clock.epoch, acr="gold")

    assert isinstance(principal, Principal)
    assert it.here.bearer.stepped_up(principal) is (sub == "user-1")


async def test_a_token_of_an_issuer_may_be_bound_to_its_sender_and_then_is() -> None:
    async with trusting() as it:
        thumbprint = it.here.holder.thumbprint()
        token = it.idp.token(it.claims(cnf={"jkt": thumbprint}))

        assert isinstance(await it.ask(token), Refusal)
        shown = Shown(dpop=True, method="POST", path="/v1/orders", proof=it.here.proof(token=token))
        assert isinstance(await it.here.bearer.authenticate(token, shown), Principal)
