"""A revoked token is dead here at once, elsewhere within seconds, and never comes back."""

import json
from typing import Any

import pytest

from ordergate.core.access import Principal
from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from ordergate.security.clients import Snapshot, StoreUnavailable
from ordergate.security.memory import MemoryStore
from tests.security.world import World, world


async def revoke(here: World, token: str, client: str = "desk", secret: str | None = None) -> int:
    login = (client, secret if secret is not None else here.secret.reveal())
    return (await here.ask("/oauth/revoke", {"token": token}, basic=login)).status


async def introspect(
    here: World, token: str, client: str = "desk", secret: str | None = None
) -> dict[str, Any]:
    login = (client, secret if secret is not None else here.secret.reveal())
    answer = await here.ask("/oauth/introspect", {"token": token}, basic=login)
    assert answer.status == 200
    body: dict[str, Any] = json.loads(answer.body)
    return body


async def test_a_revoked_token_is_refused_at_once_also_where_it_was_known() -> None:
    here = await world()
    token = await here.token()
    principal = await here.bearer.authenticate(token)
    assert isinstance(principal, Principal)
    assert here.bearer.known(token) is principal
    assert here.bearer.still_valid(principal)

    assert await revoke(here, token) == 200

    assert here.bearer.known(token) is None
    assert not here.bearer.still_valid(principal)
    assert isinstance(await here.bearer.authenticate(token), Refusal)


async def test_another_process_learns_of_it_with_its_next_look_at_the_store() -> None:
    here = await world()
    there = await world(clock=here.clock, store=here.store, keys=here.keys)
    here.secret = there.secret
    await here.security.directory.refresh()
    token = await here.token()
    principal = await there.bearer.authenticate(token)
    assert isinstance(principal, Principal)

    await revoke(here, token)
    await there.security.directory.refresh()

    assert there.bearer.known(token) is None
    assert not there.bearer.still_valid(principal)


async def test_a_revoked_token_stays_refused_until_no_clock_would_take_it() -> None:
    here = await world()
    token = await here.token()
    await revoke(here, token)

    for seconds in (600, 299, 5, 5, 1, 30):
        here.clock.advance(seconds)
        await here.security.directory.refresh()
        await here.store.prune(here.clock.epoch)
        assert isinstance(await here.bearer.authenticate(token), Refusal)


async def test_a_client_cannot_revoke_or_see_the_token_of_another() -> None:
    here = await world()
    token = await here.token()
    other = await here.security.register("other", tenant="acme", scopes=(), accounts=())

    assert await revoke(here, token, "other", other.reveal()) == 400
    assert await introspect(here, token, "other", other.reveal()) == {"active": False}
    assert isinstance(await here.bearer.authenticate(token), Principal)


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 9_000])
async def test_revoking_what_is_no_token_is_a_success(token: str) -> None:
    here = await world()

    assert await revoke(here, token) == 200
    assert await introspect(here, token) == {"active": False}


async def test_a_missing_token_is_an_invalid_request() -> None:
    here = await world()

    for path in ("/oauth/revoke", "/oauth/introspect"):
        answer = await here.ask(
            path, {"token_type_hint": "access_token"}, basic=("desk", here.secret.reveal())
        )
        assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")


async def test_revoking_needs_a_login_and_a_wrong_hint_changes_nothing() -> None:
    here = await world()
    token = await here.token()

    assert await revoke(here, token, "desk", "wrong") == 401
    assert isinstance(await here.bearer.authenticate(token), Principal)
    answer = await here.ask(
        "/oauth/revoke", {"token": token, "token_type_hint": "nonsense"}, basic=("desk", here.secret.reveal())
    )
    assert answer.status == 200
    assert isinstance(await here.bearer.authenticate(token), Refusal)


async def test_introspection_shows_a_token_until_it_is_revoked_or_expires() -> None:
    here = await world()
    token, short = await here.token(scope="orders:read"), await here.token()

    seen = await introspect(here, token)
    assert seen["active"] is True
    assert (seen["client_id"], seen["tenant"], seen["env"]) == ("desk", "acme", "paper")
    assert seen["scope"] == "orders:read"

    await revoke(here, token)
    assert await introspect(here, token) == {"active": False}
    here.clock.advance(1_000)
    assert await introspect(here, short) == {"active": False}


class Unreachable(MemoryStore):
    """A store that can be cut off."""

    cut = False

    async def load(self, now: int) -> Snapshot:
        self._answer()
        return await super().load(now)

    async def revoke(self, token_id: str, expires_at: int) -> None:
        self._answer()
        await super().revoke(token_id, expires_at)

    def _answer(self) -> None:
        if self.cut:
            raise StoreUnavailable("cut off")


async def test_without_the_store_a_revocation_holds_here_and_the_client_is_told_to_repeat_it() -> None:
    store = Unreachable(Env.PAPER)
    here = await world(store=store)
    token = await here.token()

    store.cut = True
    assert await revoke(here, token) == 503
    assert isinstance(await here.bearer.authenticate(token), Refusal)

    store.cut = False
    await here.security.directory.refresh()
    assert isinstance(await here.bearer.authenticate(token), Refusal)


async def test_without_the_store_what_is_known_stays_in_force() -> None:
    store = Unreachable(Env.PAPER)
    here = await world(store=store)

    store.cut = True
    with pytest.raises(StoreUnavailable):
        await here.security.directory.refresh()

    assert isinstance(await here.bearer.authenticate(await here.token()), Principal)
    here.clock.advance(40)
    assert here.security.directory.stale_s() == 40
