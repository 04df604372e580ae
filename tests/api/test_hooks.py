"""Alerts that become orders, as their sender sees the route."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.quotas import Rate
from ordergate.core.hooks.hook import Hook, Passphrase
from ordergate.core.hooks.template import Found, Template
from tests.api.asking import an_order
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.people import TRADER, Directory, StillClock

PASSPHRASE = "a passphrase that is long"
TEMPLATE = Template(
    {
        "symbol": an_order()["symbol"],
        "side": Found(path="action", words={"long": "buy", "short": "sell"}),
        "type": "limit",
        "limit_price": an_order()["limit_price"],
        "quantity": Found(path="qty"),
        "strategy": "trend",
    }
)


def hook(**changed: Any) -> Hook:
    proof = Passphrase(field="secret", time="at", id="n", secrets=(PASSPHRASE.encode(),))
    given = {"name": "tv", "account": ACCOUNT, "tenant": "demo", "proof": proof, "template": TEMPLATE}
    given["owner"] = "user:ann"
    return Hook(**{**given, **changed})


@pytest.fixture
async def sender(deps: ApiDeps) -> AsyncIterator[httpx.AsyncClient]:
    hooks = {"tv": hook(), "inside": hook(name="inside", networks=(ip_network("10.0.0.0/8"),))}
    bounds = Bounds(
        failed_logins_of_peer=Rate(per_s=0.001, burst=3),
        refused_alerts_of_peer=Rate(per_s=0.001, burst=3),
        alerts_of_hook=Rate(per_s=0.001, burst=4),
    )
    app = create_app(msgspec.structs.replace(deps, hooks=hooks, bounds=bounds))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def alert(clock: StillClock, **changed: Any) -> dict[str, Any]:
    at = int(clock.now().timestamp())
    return {"secret": PASSPHRASE, "at": at, "n": 1, "action": "long", "qty": 2, **changed}


async def test_an_alert_becomes_an_order_of_its_hooks_account(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    answer = await sender.post("/v1/hooks/tv", json=alert(clock))
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert (order["account_id"], order["side"], order["quantity"], order["strategy"]) == (
        ACCOUNT,
        "buy",
        "2",
        "trend",
    )


async def test_the_same_alert_again_is_the_same_order(
    sender: httpx.AsyncClient, clock: StillClock, books: Books
) -> None:
    first = await sender.post("/v1/hooks/tv", json=alert(clock))
    again = await sender.post("/v1/hooks/tv", json=alert(clock))
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(books.orders_by_id) == 1


async def test_one_name_with_another_order_is_refused(sender: httpx.AsyncClient, clock: StillClock) -> None:
    await sender.post("/v1/hooks/tv", json=alert(clock))
    answer = await sender.post("/v1/hooks/tv", json=alert(clock, qty=3))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


async def test_no_hook_and_a_wrong_proof_are_told_the_same(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    headers = {"x-correlation-id": "the-same-id"}
    wrong = await sender.post("/v1/hooks/tv", json=alert(clock, secret="wrong"), headers=headers)
    none = await sender.post("/v1/hooks/none", json=alert(clock), headers=headers)
    shut = await sender.post("/v1/hooks/inside", json=alert(clock), headers=headers)
    assert (wrong.status_code, wrong.content) == (401, none.content)
    assert (none.status_code, none.content) == (401, shut.content)


@pytest.mark.parametrize("who", ["hook:tv", "user:ann"])
async def test_a_hook_that_is_kept_out_or_whose_owner_is_fails_at_once(
    sender: httpx.AsyncClient, clock: StillClock, identity: Directory, books: Books, who: str
) -> None:
    assert (await sender.post("/v1/hooks/tv", json=alert(clock))).status_code == 201
    identity.kept_out.add(who)
    headers = {"x-correlation-id": "the-same-id"}
    answer = await sender.post("/v1/hooks/tv", json=alert(clock, n=2), headers=headers)
    none = await sender.post("/v1/hooks/none", json=alert(clock), headers=headers)
    assert (answer.status_code, answer.content) == (401, none.content)
    assert len(books.orders_by_id) == 1


async def test_an_alert_that_says_something_twice_is_refused(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    body = json.dumps(alert(clock))[:-1] + ', "qty": 200}'
    answer = await sender.post("/v1/hooks/tv", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 401


async def test_an_address_that_keeps_failing_is_slowed_down(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    for _ in range(3):
        await sender.post("/v1/hooks/tv", json=alert(clock, secret="wrong"))
    answer = await sender.post("/v1/hooks/tv", json=alert(clock))
    assert answer.status_code == 429


async def test_refused_alerts_slow_down_neither_the_tokens_of_their_address_nor_another_hook(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    for _ in range(4):
        await sender.post("/v1/hooks/inside", json=alert(clock))
    token = {"authorization": f"Bearer {TRADER}"}
    assert (await sender.get("/v1/accounts", headers=token)).status_code == 200
    assert (await sender.post("/v1/hooks/inside", json=alert(clock))).status_code == 429
    assert (await sender.post("/v1/hooks/tv", json=alert(clock))).status_code == 201


async def test_a_guessed_name_is_slowed_down_as_a_hooks_own_is(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    """Nobody is told by it which hooks there are."""
    for number in range(4):
        await sender.post(f"/v1/hooks/invented-{number}", json=alert(clock))
    assert (await sender.post("/v1/hooks/another", json=alert(clock))).status_code == 401

    statuses = {
        name: [
            (await sender.post(f"/v1/hooks/{name}", json=alert(clock, secret="wrong"))).status_code
            for _ in range(4)
        ]
        for name in ("tv", "none")
    }
    assert statuses == {"tv": [401, 401, 401, 429], "none": [401, 401, 401, 429]}


async def test_wrong_tokens_do_not_slow_down_the_alerts_of_their_address(
    sender: httpx.AsyncClient, clock: StillClock
) -> None:
    statuses = [
        (await sender.get("/v1/accounts", headers={"authorization": f"Bearer guess-{n}"})).status_code
        for n in range(4)
    ]
    assert statuses == [401, 401, 401, 429]
    assert (await sender.post("/v1/hooks/tv", json=alert(clock))).status_code == 201


async def test_a_hook_has_a_rate_of_its_own(sender: httpx.AsyncClient, clock: StillClock) -> None:
    answers = [await sender.post("/v1/hooks/tv", json=alert(clock, n=number)) for number in range(1, 6)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 201, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_an_alert_whose_body_comes_slowly_is_not_counted_as_of_before_the_others(
    deps: ApiDeps, clock: StillClock
) -> None:
    app = create_app(
        msgspec.structs.replace(
            deps, hooks={"tv": hook()}, bounds=Bounds(alerts_of_hook=Rate(per_s=1, burst=5))
        )
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as sender:

        async def slowly() -> AsyncIterator[bytes]:
            body = json.dumps(alert(clock, n=1)).encode()
            yield body[:5]
            clock.seconds += 9
            assert (await sender.post("/v1/hooks/tv", json=alert(clock, n=2))).status_code == 201
            yield body[5:]

        headers = {"content-type": "application/json"}
        answer = await sender.post("/v1/hooks/tv", content=slowly(), headers=headers)
    assert answer.status_code == 201, answer.text


async def test_alerts_spend_the_quota_of_the_hooks_tenant(deps: ApiDeps, clock: StillClock) -> None:
    two = msgspec.structs.replace(GENEROUS, orders=Rate(per_s=0.001, burst=2))
    app = create_app(msgspec.structs.replace(deps, hooks={"tv": hook()}, bounds=Bounds(of_tenant=two)))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as sender:
        answers = [await sender.post("/v1/hooks/tv", json=alert(clock, n=number)) for number in range(1, 4)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"action": "flat"}, "side"), ({"qty": None}, "quantity"), ({"qty": "-1"}, "quantity")],
)
async def test_an_alert_that_makes_no_order_is_refused_with_the_field(
    sender: httpx.AsyncClient, clock: StillClock, changed: dict[str, Any], field: str
) -> None:
    answer = await sender.post("/v1/hooks/tv", json=alert(clock, **changed))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert field in {error["field"] for error in answer.json()["errors"]}
