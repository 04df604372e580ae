"""A hook has no token that could end: whether it and its owner may go on is asked at every alert."""

from ipaddress import ip_network
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import create_app
from ordergate.api.routes.hooks import sender_of
from ordergate.core.access import KeyBounds, Principal, Role, Scope, Sender
from ordergate.core.hooks.hook import Hook, Signed
from ordergate.core.hooks.template import Template
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.tenancy import AccountPlace, Assignment, Reach
from ordergate.core.webhook_signatures import signature
from ordergate.security.memory import MemoryStore
from ordergate.security.persons import Person
from tests.api.asking import an_order
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.people import StillClock, deps_of
from tests.security.world import World, with_key, world

ALPHA = AccountId("P-alpha")
HOOK = Hook(
    name="trend",
    account=ALPHA,
    tenant="acme",
    proof=Signed(secrets=(b"s",)),
    template=Template({"symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"}),
)
SENDER: Principal = sender_of(HOOK, Env.PAPER)
PEER = "192.0.2.7"
ANN = Person(
    user_id="ann",
    tenant="acme",
    password_hash="$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA",
    scopes=frozenset({Scope.ORDERS_WRITE}),
    accounts=frozenset({ALPHA}),
)
TRADER = Assignment("acme", "corp:4711", Role.TRADER, Reach.ACCOUNT, ALPHA)


async def place() -> tuple[World, MemoryStore]:
    store = MemoryStore(Env.PAPER)
    await store.place_accounts([AccountPlace(ALPHA, "acme"), AccountPlace(AccountId("P-beta"), "acme")])
    store.people["ann"] = ANN
    await store.assign(TRADER)
    here = await world(store=store)
    await here.security.directory.refresh()
    return here, store


def admitted(here: World, owner: str | None, peer: str = PEER) -> Principal | None:
    found: Principal | None = here.bearer.admitted(SENDER, owner, peer)
    return found


async def test_a_hook_that_nobody_answers_for_is_admitted_until_it_is_kept_out() -> None:
    here, _ = await place()
    assert admitted(here, None)
    await here.security.directory.keep_out("acme", "hook:trend", {})
    assert not admitted(here, None)


@pytest.mark.parametrize("owner", ["ann", "desk", "corp:4711"])
async def test_an_owner_that_is_kept_out_takes_the_hook_along(owner: str) -> None:
    here, _ = await place()
    assert admitted(here, owner)
    await here.security.directory.keep_out("acme", owner, {})
    assert not admitted(here, owner)


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"tenant": "other"},
        {"scopes": frozenset({Scope.ORDERS_READ})},
        {"accounts": frozenset({AccountId("P-beta")})},
    ],
)
async def test_a_person_who_may_not_place_the_order_answers_for_none(changes: dict[str, object]) -> None:
    here, store = await place()
    store.people["ann"] = msgspec.structs.replace(ANN, **changes)
    await here.security.directory.refresh()
    assert not admitted(here, "ann")


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"tenant": "other"},
        {"scopes": frozenset({Scope.ORDERS_READ})},
        {"accounts": frozenset({AccountId("P-beta")})},
        {"redirect_uris": ("https://desk.example/",)},
        {"bounds": KeyBounds(expires_at=1)},
        {"bounds": KeyBounds(networks=(ip_network("10.0.0.0/8"),))},
    ],
)
async def test_a_program_that_may_not_place_the_order_answers_for_none(changes: dict[str, object]) -> None:
    here, _ = await place()
    client = here.security.directory.client("desk")
    assert client is not None
    await here.security.directory.put_client(msgspec.structs.replace(client, **changes))
    assert not admitted(here, "desk")


async def test_a_key_bounds_the_hook_that_it_answers_for() -> None:
    here, _ = await place()
    client = here.security.directory.client("desk")
    assert client is not None
    bounds = KeyBounds(instruments=frozenset({Symbol("MSFT")}), networks=(ip_network("192.0.2.0/24"),))
    await here.security.directory.put_client(msgspec.structs.replace(client, bounds=bounds))
    sender = admitted(here, "desk")
    assert sender is not None
    assert (sender.bounds, sender.owner) == (bounds, "desk")
    assert admitted(here, "desk", "::ffff:192.0.2.7") is not None
    assert admitted(here, "desk", "198.51.100.1") is None


async def test_a_key_whose_orders_come_in_signed_requests_answers_for_no_alert() -> None:
    here, _ = await place()
    signer = with_key(
        here,
        here.key,
        sender=Sender.DPOP,
        accounts=frozenset({ALPHA}),
        bounds=KeyBounds(signed_requests=True),
    )
    await here.security.directory.put_client(signer)
    assert admitted(here, signer.client_id) is None
    await here.security.directory.put_client(msgspec.structs.replace(signer, bounds=None))
    assert admitted(here, signer.client_id) is not None


async def test_a_demotion_of_the_owner_reaches_the_hook() -> None:
    here, _ = await place()
    await here.security.directory.withdraw(TRADER, {})
    assert not admitted(here, "corp:4711")
    await here.security.directory.assign(msgspec.structs.replace(TRADER, role=Role.VIEWER))
    assert not admitted(here, "corp:4711")


async def test_an_owner_whom_nobody_knows_answers_for_nothing() -> None:
    here, _ = await place()
    assert not admitted(here, "user:nobody")


async def test_a_hook_of_another_tenant_s_account_is_not_admitted() -> None:
    here, _ = await place()
    assert not here.bearer.admitted(msgspec.structs.replace(SENDER, tenant="other"), None, PEER)


@pytest.mark.parametrize("kept_out", ["desk", "hook:trend"])
async def test_an_alert_that_is_proved_is_refused_once_whoever_answers_for_it_is_kept_out(
    kept_out: str,
) -> None:
    """The whole route, over a real directory."""
    store, clock = MemoryStore(Env.PAPER), StillClock()
    await store.place_accounts([AccountPlace(ACCOUNT, "acme")])
    here = await world(store=store)
    client = here.security.directory.client("desk")
    assert client is not None
    accounts = frozenset({ACCOUNT})
    await here.security.directory.put_client(msgspec.structs.replace(client, accounts=accounts))
    order = {name: str(value) for name, value in an_order(account_id=None).items()}
    hook = msgspec.structs.replace(HOOK, account=ACCOUNT, owner="desk", template=Template(order))
    deps = msgspec.structs.replace(deps_of(Books(), clock=clock), identity=here.bearer, hooks={"trend": hook})
    transport = httpx.ASGITransport(create_app(deps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as sender:
        assert (await sender.post("/v1/hooks/trend", **alert("one", clock))).status_code == 201
        await here.security.directory.keep_out("acme", kept_out, {})
        assert (await sender.post("/v1/hooks/trend", **alert("two", clock))).status_code == 401


def alert(name: str, clock: StillClock) -> dict[str, Any]:
    at, body = int(clock.now().timestamp()), b"{}"
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(name, at, body, b"s"),
    }
    return {"content": body, "headers": headers}
