"""Orders of a client that signs its requests (RFC 9421), over real sockets: no other ones pass."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import msgspec
import pytest

from ordergate.api.deps import AuthorizationEndpoint
from ordergate.core.access import KeyBounds, Sender
from ordergate.core.ids import AccountId
from ordergate.security.signed_requests import Held
from ordergate.wiring.gateway import mounted
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.people import deps_of
from tests.api.served import Served, serving
from tests.security.signer import COVERED, signed
from tests.security.world import World, with_key, world

BASE: Final = "https://gateway.example"


class Desk:
    """A gateway, and the program `desk` that signs what it asks."""

    def __init__(self, served: Served, here: World, kept: list[tuple[Held, str]]) -> None:
        self.served = served
        self.here = here
        self.kept = kept
        self.nonces = 0
        self.token = ""

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, signs: bool = True, **more: Any
    ) -> httpx.Response:
        path = target.partition("?")[0]
        headers = {
            "authorization": f"DPoP {self.token}",
            "dpop": self.here.proof(method, path, self.token),
            **a_key(),
            **({"content-type": "application/json"} if body else {}),
        }
        if signs:
            self.nonces += 1
            asked: dict[str, Any] = {
                "covered": COVERED,
                "created": self.here.clock.epoch,
                "keyid": "desk-1",
                "nonce": f"nonce-{self.nonces}",
                **more,
            }
            headers = signed(self.here.key, method, BASE + target, headers, body, **asked)
        async with self.served.client(None) as client:
            return await client.request(method, target, content=body, headers=headers)


@asynccontextmanager
async def desk(books: Books, *, signatures: bool = True) -> AsyncIterator[Desk]:
    kept: list[tuple[Held, str]] = []

    async def note(held: Held, correlation: str) -> None:
        kept.append((held, correlation))

    here = await world(base_url=BASE, signed=note)
    here.accounts = frozenset({AccountId(ACCOUNT)})
    bounds = KeyBounds(signed_requests=True)
    client = with_key(here, here.key, tenant="demo", sender=Sender.DPOP, bounds=bounds)
    await here.security.directory.put_client(client)
    endpoints: tuple[AuthorizationEndpoint, ...] = tuple(
        mounted(endpoint) for endpoint in here.security.endpoints()
    )
    deps = msgspec.structs.replace(
        deps_of(books),
        identity=here.bearer,
        signatures=here.security.signatures if signatures else None,
        authorization=endpoints,
    )
    async with serving(deps) as served:
        made = Desk(served, here, kept)
        form = {"grant_type": "client_credentials", **here.asserted()}
        answer = await here.ask("/oauth/token", form, proof=here.proof("POST", "/oauth/token"))
        made.token = json.loads(answer.body)["access_token"]
        yield made


ORDER: Final = json.dumps(an_order()).encode()


async def test_a_signed_order_is_placed_changed_and_taken_back(books: Books) -> None:
    async with desk(books) as it:
        placed = await it.ask("POST", "/v1/orders", ORDER)
        assert placed.status_code == 201, placed.text
        order = f"/v1/orders/{placed.json()['id']}"
        changed = await it.ask("PATCH", order, b'{"quantity":"2"}')
        canceled = await it.ask("DELETE", order)
        every = await it.ask("DELETE", f"/v1/orders?account_id={ACCOUNT}")
        answers = [placed, changed, canceled, every]
        # The broker has not answered yet, so the change is refused by whoever judges orders, and no sooner.
        assert [one.status_code for one in answers] == [201, 409, 202, 207], [one.text for one in answers]
        assert [correlation for _, correlation in it.kept] == [
            one.headers["x-correlation-id"] for one in answers
        ]
        seen = await it.ask("GET", order, signs=False)
        looked = await it.ask("GET", "/v1/dead-man", signs=False)
        assert (seen.status_code, looked.status_code) == (200, 200), "whoever only looks signs nothing"


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/orders", ORDER),
        ("PATCH", "/v1/orders/P-1", b'{"quantity":"2"}'),
        ("DELETE", "/v1/orders/P-1", b""),
        ("DELETE", f"/v1/orders?account_id={ACCOUNT}", b""),
        ("POST", "/v1/order-groups", b"{}"),
        ("DELETE", "/v1/order-groups/P-1", b""),
        ("POST", f"/v1/accounts/{ACCOUNT}/flatten", b"{}"),
    ],
)
async def test_without_a_signature_nothing_of_orders_is_taken(
    books: Books, method: str, target: str, body: bytes
) -> None:
    async with desk(books) as it:
        bare = await it.ask(method, target, body, signs=False)
        assert (bare.status_code, bare.json()["code"]) == (401, "signature-required")
        assert bare.headers["accept-signature"].startswith('sig=("@method"')
        assert bare.headers["www-authenticate"]
        wrong = await it.ask(method, target, body, covered=COVERED[1:])
        assert (wrong.status_code, wrong.json()["code"]) == (401, "signature-invalid")
        assert it.kept == []


async def test_a_signature_is_good_once(books: Books) -> None:
    async with desk(books) as it:
        assert (await it.ask("POST", "/v1/orders", ORDER, nonce="the-same")).status_code == 201
        again = await it.ask("POST", "/v1/orders", ORDER, nonce="the-same")
        assert (again.status_code, again.json()["code"]) == (401, "signature-invalid")
        assert len(it.kept) == 1


async def test_where_nobody_can_verify_nobody_who_must_sign_trades(books: Books) -> None:
    async with desk(books, signatures=False) as it:
        answer = await it.ask("POST", "/v1/orders", ORDER)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature-required")
