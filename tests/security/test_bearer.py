"""A verified token is remembered as long as it stands and its client may do what it says."""

import json
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from ordergate.ports.identity import Identity, Shown
from ordergate.ports.keys import Purpose
from ordergate.security.bearer import Bearer
from ordergate.security.clients import Client
from tests.security.world import World, opened, world


async def principal_of(here: World, token: str) -> Principal:
    principal = await here.bearer.authenticate(token)
    assert isinstance(principal, Principal)
    return principal


async def change(here: World, **changes: Any) -> None:
    client = here.security.directory.client("desk")
    assert isinstance(client, Client)
    await here.security.directory.put_client(msgspec.structs.replace(client, **changes))


async def test_it_is_the_identity_that_the_ports_promise() -> None:
    here = await world()
    identity: Identity = here.bearer

    assert identity.known("never seen") is None


async def test_a_token_is_known_after_it_was_verified_and_not_before() -> None:
    here = await world()
    token = await here.token()

    assert here.bearer.known(token) is None
    principal = await principal_of(here, token)
    assert here.bearer.known(token) is principal
    assert await here.bearer.authenticate(token) is principal


@pytest.mark.parametrize("env", list(Env), ids=str)
async def test_no_text_but_a_bound_token_itself_finds_it_and_that_asks_for_a_proof(env: Env) -> None:
    here = await world(env=env)
    token = await here.token(bound=True)
    proven = Shown(dpop=True, method="POST", path="/v1/orders", proof=here.proof("POST", "/v1/orders", token))
    assert isinstance(await here.bearer.authenticate(token, proven), Principal)

    for text in (token, f"bound {token}", f"dpop {token}", f" {token}"):
        assert here.bearer.known(text) is None
        assert isinstance(await here.bearer.authenticate(text), Refusal)


async def test_a_principal_carries_what_the_token_allows() -> None:
    here = await world()

    principal = await principal_of(here, await here.token(scope="orders:write"))

    assert principal.may(Scope.ORDERS_WRITE)
    assert not principal.may(Scope.ORDERS_READ)
    assert principal.accounts == here.accounts
    assert principal.expires_at == here.clock.epoch + 900
    assert principal.auth_time is None  # a program has proven itself, and nobody has logged in


async def test_nothing_of_it_outlives_its_expiry() -> None:
    here = await world()
    token = await here.token()
    principal = await principal_of(here, token)

    here.clock.advance(909)
    assert here.bearer.known(token) is principal
    assert here.bearer.still_valid(principal)

    here.clock.advance(1)
    assert here.bearer.known(token) is None
    assert not here.bearer.still_valid(principal)
    assert isinstance(await here.bearer.authenticate(token), Refusal)


@pytest.mark.parametrize("lost", [{"enabled": False}, {"tenant": "other"}])
async def test_a_client_that_is_switched_off_or_moved_loses_its_tokens_at_once(lost: dict[str, Any]) -> None:
    here = await world()
    token = await here.token()
    principal = await principal_of(here, token)

    await change(here, **lost)

    assert here.bearer.known(token) is None
    assert not here.bearer.still_valid(principal)
    assert isinstance(await here.bearer.authenticate(token), Refusal)


async def test_a_right_taken_from_a_client_is_taken_from_its_tokens() -> None:
    here = await world()
    token = await here.token()
    before = await principal_of(here, token)

    await change(here, scopes=frozenset({Scope.ORDERS_READ}), accounts=frozenset(sorted(here.accounts)[:1]))

    assert here.bearer.known(token) is None
    assert not here.bearer.still_valid(before)
    after = await principal_of(here, token)
    assert after.scopes == {Scope.ORDERS_READ}
    assert after.accounts == frozenset(sorted(here.accounts)[:1])


async def test_a_right_given_to_a_client_is_not_given_to_tokens_it_has() -> None:
    here = await world()
    token = await here.token()
    before = await principal_of(here, token)

    await change(here, scopes=frozenset(Scope))

    assert here.bearer.known(token) is before
    assert Scope.RISK_WRITE not in before.scopes


async def test_a_principal_that_this_process_never_verified_is_not_valid() -> None:
    here = await world()
    principal = await principal_of(here, await here.token())

    assert not here.bearer.still_valid(msgspec.structs.replace(principal, token_id="invented"))


async def test_only_so_many_tokens_are_remembered_and_the_oldest_goes_first() -> None:
    here = await world()
    bearer = Bearer(here.profile, here.security.directory, here.clock, here.senders, remembered_max=3)
    tokens = [here.sign(here.claims(jti=f"token-{i}")) for i in range(5)]

    for token in tokens:
        await bearer.authenticate(token)

    assert [bearer.known(token) is not None for token in tokens] == [False, False, True, True, True]


async def test_expired_tokens_make_room_before_good_ones_do() -> None:
    here = await world()
    bearer = Bearer(here.profile, here.security.directory, here.clock, here.senders, remembered_max=2)
    now = here.clock.epoch
    good = here.sign(here.claims(jti="good", exp=now + 800))
    short = here.sign(here.claims(jti="short", exp=now + 10))
    await bearer.authenticate(good)
    await bearer.authenticate(short)

    here.clock.advance(30)
    late = here.sign(here.claims(jti="late"))
    await bearer.authenticate(late)

    assert bearer.known(good) is not None
    assert bearer.known(late) is not None


class TestRotation:
    """A new key signs; the old one verifies until no token of it can be alive."""

    async def test_tokens_of_both_keys_are_good_during_the_overlap(self) -> None:
        here = await world()
        old = await here.token()
        await here.security.signer.rotate()
        new = await here.token()

        jwks = (await here.ask("/.well-known/jwks.json", {})).body
        assert opened(old, jwks).header["kid"] != opened(new, jwks).header["kid"]
        assert (await principal_of(here, old)).token_id != (await principal_of(here, new)).token_id
        assert here.security.signer.kid == opened(new, jwks).header["kid"]
        assert here.own.kid == opened(old, jwks).header["kid"]

    async def test_the_old_key_leaves_the_key_set_when_its_time_is_over(self) -> None:
        here = await world()
        await here.security.signer.rotate()

        here.clock.advance(900 + 10 + 300)
        forged = here.sign(here.claims())

        assert isinstance(await here.bearer.authenticate(forged), Refusal)
        kids = [k["kid"] for k in json.loads((await here.ask("/.well-known/jwks.json", {})).body)["keys"]]
        assert kids == [here.security.signer.kid]

    async def test_in_an_emergency_the_old_key_is_dead_at_once_and_everywhere(self) -> None:
        here = await world()
        there = await world(clock=here.clock, store=here.store, keys=here.keys)
        here.secret = there.secret
        await here.security.directory.refresh()
        old = await here.token()
        mine, theirs = await principal_of(here, old), await principal_of(there, old)

        await here.security.signer.rotate(emergency=True)

        assert here.bearer.known(old) is None
        assert not here.bearer.still_valid(mine)
        assert isinstance(await here.bearer.authenticate(old), Refusal)
        await there.security.directory.refresh()
        assert not there.bearer.still_valid(theirs)
        assert isinstance(await there.bearer.authenticate(old), Refusal)
        assert (await principal_of(there, await here.token())).client_id == "desk"

    async def test_the_next_key_is_known_for_a_day_before_it_signs(self) -> None:
        here = await world()
        signer, day = here.security.signer, 24 * 3600

        async def kids() -> list[str]:
            return [k["kid"] for k in json.loads((await here.ask("/.well-known/jwks.json", {})).body)["keys"]]

        async def signs() -> str:
            jwks = (await here.ask("/.well-known/jwks.json", {})).body
            return str(opened(await here.token(), jwks).header["kid"])

        first = here.own.kid
        here.clock.advance(29 * day - 1)
        await signer.keep_young()
        assert await kids() == [first]

        here.clock.advance(1)
        await signer.keep_young()
        (coming,) = set(await kids()) - {first}
        assert await signs() == first

        here.clock.advance(day - 1)
        await signer.keep_young()
        assert await signs() == first
        here.clock.advance(1)
        await signer.keep_young()
        assert await signs() == coming
        assert set(await kids()) == {first, coming}
        here.clock.advance(900 + 10 + 300)
        assert await kids() == [coming]

    async def test_a_gateway_that_was_away_announces_before_it_signs(self) -> None:
        here = await world()
        here.clock.advance(60 * 24 * 3600)

        await here.security.signer.keep_young()
        await here.security.signer.keep_young()

        assert here.security.signer.kid == here.own.kid
        assert len(await here.keys.describe(Purpose.TOKENS)) == 2

    async def test_an_announced_key_is_not_taken_for_the_one_that_signs_after_a_restart(self) -> None:
        here = await world()
        here.clock.advance(29 * 24 * 3600)
        await here.security.signer.keep_young()

        again = await world(clock=here.clock, store=here.store, keys=here.keys)
        assert again.security.signer.kid == here.own.kid

        here.clock.advance(24 * 3600)
        await again.security.signer.keep_young()
        assert again.security.signer.kid != here.own.kid
