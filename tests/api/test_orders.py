"""The routes of an order's life, as a client sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps
from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.quotas import Quotas, Rate
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.people import LIVE, READER, STRANGER, Directory, StillClock, deps_of
from tests.api.served import serving

Client = httpx.AsyncClient
ORDER = "/v1/orders/P-000000000000000000"


def as_(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def quotas(**changed: Rate) -> Quotas:
    return msgspec.structs.replace(GENEROUS, **changed)


async def placed(client: Client, **changed: str) -> dict[str, str]:
    answer = await client.post("/v1/orders", json=an_order(**changed), headers=a_key())
    assert answer.status_code == 201, answer.text
    order: dict[str, str] = answer.json()
    return order


async def test_placing_answers_201_with_the_order_and_where_it_is(client: Client) -> None:
    answer = await client.post("/v1/orders", json=an_order(), headers=a_key())
    assert answer.status_code == 201
    order = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{order['id']}"
    assert (order["status"], order["quantity"], order["leaves_qty"]) == ("accepted", "3", "3")
    assert (await client.get(answer.headers["location"])).json() == order


async def test_the_same_key_and_body_give_the_same_order_again(client: Client, books: Books) -> None:
    key = a_key()
    first = await client.post("/v1/orders", json=an_order(), headers=key)
    again = await client.post("/v1/orders", json=an_order(), headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(books.orders_by_id) == 1


async def test_the_same_key_with_another_body_is_422(client: Client) -> None:
    key = a_key()
    await client.post("/v1/orders", json=an_order(), headers=key)
    answer = await client.post("/v1/orders", json=an_order(quantity="4"), headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/orders"),
        ("PATCH", "/v1/orders/P-000000000000000000"),
        ("DELETE", "/v1/orders/P-000000000000000000"),
        ("DELETE", "/v1/orders?account_id=P-DEMO"),
    ],
)
async def test_every_mutating_route_needs_a_key(client: Client, method: str, path: str) -> None:
    missing = await client.request(method, path, json=an_order())
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency-key-missing")
    short = await client.request(method, path, json=an_order(), headers={"idempotency-key": "short"})
    assert (short.status_code, short.json()["code"]) == (400, "idempotency-key-invalid")


async def test_a_quoted_key_is_the_same_as_a_bare_one(client: Client) -> None:
    bare = await client.post("/v1/orders", json=an_order(), headers={"idempotency-key": "k" * 20})
    quoted = await client.post("/v1/orders", json=an_order(), headers={"idempotency-key": f'"{"k" * 20}"'})
    assert bare.json()["id"] == quoted.json()["id"]


async def test_a_denial_by_risk_is_422_with_every_failed_control(client: Client) -> None:
    answer = await client.post("/v1/orders", json=an_order(quantity="1001"), headers=a_key())
    told = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["code"] == "risk-denied"
    assert told["failed_controls"][0]["control"] == "R05"
    assert told["order"]["id"] == told["order_id"]
    assert told["order"]["status"] == "denied"


async def test_cancel_and_replace_are_asked_for_and_answered_202(client: Client, books: Books) -> None:
    order = await placed(client)
    canceled = await client.delete(f"/v1/orders/{order['id']}", headers=a_key())
    assert (canceled.status_code, canceled.json()["status"]) == (202, "pending_cancel")
    second = await client.delete(f"/v1/orders/{order['id']}", headers=a_key())
    assert (second.status_code, second.json()["code"]) == (409, "order-pending")


async def test_waiting_for_the_broker_is_said_to_have_been_applied(client: Client) -> None:
    order = await placed(client)
    answer = await client.delete(f"/v1/orders/{order['id']}", headers={**a_key(), "prefer": "wait=99"})
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.json()["status"] == "canceled"


async def test_cancel_all_needs_an_account_and_answers_for_each_order(client: Client) -> None:
    ids = {(await placed(client))["id"] for _ in range(3)}
    other = await placed(client, symbol="BTC/USD")
    answer = await client.delete("/v1/orders?account_id=P-DEMO&symbol=ESM4", headers=a_key())
    assert answer.status_code == 207
    assert {result["order_id"] for result in answer.json()["results"]} == ids
    assert (await client.get(f"/v1/orders/{other['id']}")).json()["status"] == "accepted"
    for query in ("", "?account_id=", "?account_id=P-DEMO&sybmol=ESM4", "?account_id=P-DEMO&account_id=P-A"):
        refused = await client.delete(f"/v1/orders{query}", headers=a_key())
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid"), query


async def test_a_preview_writes_nothing(client: Client, books: Books) -> None:
    answer = await client.post("/v1/orders/preview", json=an_order(quantity="1001"))
    assert answer.status_code == 200
    assert answer.json()["would_be_accepted"] is False
    assert books.orders_by_id == {}


async def test_orders_are_listed_newest_first_page_by_page(client: Client) -> None:
    ids = [(await placed(client))["id"] for _ in range(7)]
    seen: list[str] = []
    page: dict[str, Any] = {}
    cursor = ""
    for _ in range(4):
        page = (await client.get(f"/v1/orders?limit=2{cursor}")).json()
        seen += [order["id"] for order in page["orders"]]
        cursor = f"&cursor={page['next']}"
    assert seen == ids[::-1]
    assert page["next"] is None


async def test_orders_are_filtered_by_what_the_query_says(client: Client) -> None:
    await placed(client, client_order_id="mine-1")
    denied = await client.post("/v1/orders", json=an_order(quantity="1001"), headers=a_key())
    for query, count in (
        ("client_order_id=mine-1", 1),
        ("client_order_id=mine-2", 0),
        ("open=true", 1),
        ("status=denied", 1),
        ("symbol=ESM4", 2),
        ("account_id=P-DEMO&status=accepted", 1),
    ):
        listed = (await client.get(f"/v1/orders?{query}")).json()["orders"]
        assert len(listed) == count, query
    events = (await client.get(f"/v1/orders/{denied.json()['order_id']}/events")).json()["events"]
    assert [event["kind"] for event in events] == ["order_denied"]


async def test_a_cursor_of_another_listing_is_refused(client: Client) -> None:
    for _ in range(2):
        await placed(client)
    cursor = (await client.get("/v1/orders?limit=1")).json()["next"]
    for query in (f"open=true&cursor={cursor}", "cursor=bad", "cursor=%00", f"cursor={cursor}x"):
        answer = await client.get(f"/v1/orders?limit=1&{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), query


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "status=maybe", "open=2", "nope=1"])
async def test_a_query_with_impossible_values_is_refused_by_field(client: Client, query: str) -> None:
    answer = await client.get(f"/v1/orders?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_anothers_order_is_as_absent_as_no_order(client: Client) -> None:
    order = await placed(client)
    absent = "P-000000000000000000"
    for path in ("/v1/orders/{}", "/v1/orders/{}/events"):
        theirs = await client.get(path.format(order["id"]), headers=as_(STRANGER))
        nobodys = await client.get(path.format(absent), headers=as_(STRANGER))
        assert theirs.status_code == nobodys.status_code == 404
        assert {**theirs.json(), "correlation_id": ""} == {**nobodys.json(), "correlation_id": ""}
    listed = await client.get("/v1/orders", headers=as_(STRANGER))
    assert listed.json()["orders"] == []
    asked = await client.get("/v1/orders?account_id=P-DEMO", headers=as_(STRANGER))
    assert asked.status_code == 404


@pytest.mark.parametrize(
    "order_id", ["L-000000000000000000", "nonsense", "P-1", "%00", "P-000000000000000000'"]
)
async def test_an_id_that_is_not_of_this_environment_names_nothing(client: Client, order_id: str) -> None:
    assert (await client.get(f"/v1/orders/{order_id}")).status_code == 404
    assert (await client.delete(f"/v1/orders/{order_id}", headers=a_key())).status_code == 404


async def test_a_missing_scope_is_403_and_says_which(client: Client) -> None:
    answer = await client.post("/v1/orders", json=an_order(), headers={**as_(READER), **a_key()})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert 'scope="orders:write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic dHJhZGVy", "Bearer nobody", f"Bearer {LIVE}"]
)
async def test_without_a_valid_token_of_this_environment_it_is_401(client: Client, value: str) -> None:
    for method, path in (("POST", "/v1/orders"), ("GET", "/v1/orders?limit=0"), ("GET", "/v1/kill-switch")):
        answer = await client.request(method, path, headers={"authorization": value})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_verified_token_is_not_verified_again_until_it_is_revoked(
    client: Client, identity: Directory
) -> None:
    for _ in range(5):
        assert (await client.get("/v1/orders")).status_code == 200
    assert identity.checks == 1
    identity.revoked.add("token-of-trader")
    assert (await client.get("/v1/orders")).status_code == 401


async def test_an_address_that_keeps_guessing_is_slowed_down(client: Client) -> None:
    statuses = []
    for number in range(60):
        answer = await client.get("/v1/orders", headers=as_(f"guess-{number}"))
        statuses.append(answer.status_code)
    assert statuses[0] == 401
    assert statuses[-1] == 429


async def test_a_spent_quota_is_429_and_cancels_have_their_own(books: Books, clock: StillClock) -> None:
    bounds = Bounds(of_client=quotas(orders=Rate(per_s=0.5, burst=1), cancels=Rate(per_s=1, burst=1)))
    deps = deps_of(books, clock=clock, bounds=bounds)
    async with serving(deps) as served, served.client() as client:
        order = await placed(client)
        refused = await client.post("/v1/orders", json=an_order(), headers=a_key())
        assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
        assert refused.headers["retry-after"] == "2"
        canceled = await client.delete(f"/v1/orders/{order['id']}", headers=a_key())
        assert canceled.status_code == 202
        clock.seconds += 2
        await placed(client)


async def test_orders_that_are_spent_leave_reading_and_changing(books: Books, clock: StillClock) -> None:
    deps = deps_of(books, clock=clock, bounds=Bounds(of_client=quotas(orders=Rate(per_s=0.5, burst=1))))
    async with serving(deps) as served, served.client() as client:
        order = await placed(client)
        assert (await client.post("/v1/orders", json=an_order(), headers=a_key())).status_code == 429
        assert (await client.get(f"/v1/orders/{order['id']}")).status_code == 200
        assert (await client.post("/v1/orders/preview", json=an_order())).status_code == 200


async def test_a_tenants_quota_is_shared_by_its_clients(books: Books, clock: StillClock) -> None:
    bounds = Bounds(of_tenant=quotas(reads=Rate(per_s=0.5, burst=2)))
    deps = deps_of(books, clock=clock, bounds=bounds)
    async with serving(deps) as served, served.client() as client, served.client(READER) as reader:
        answers = [await who.get("/v1/orders") for who in (client, reader, client, reader)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


async def test_a_client_over_its_quota_spends_nothing_of_its_tenants(books: Books, clock: StillClock) -> None:
    one, two = Rate(per_s=0.5, burst=1), Rate(per_s=0.5, burst=2)
    bounds = Bounds(of_client=quotas(reads=one), of_tenant=quotas(reads=two))
    deps = deps_of(books, clock=clock, bounds=bounds)
    async with serving(deps) as served, served.client() as client, served.client(READER) as reader:
        assert [(await client.get("/v1/orders")).status_code for _ in range(5)] == [200, 429, 429, 429, 429]
        assert (await reader.get("/v1/orders")).status_code == 200


async def test_a_defect_answers_500_with_its_id_and_nothing_else(client: Client, books: Books) -> None:
    books.breaks_down = True
    for method, path in (("POST", "/v1/orders"), ("GET", "/v1/accounts/P-DEMO/balances")):
        headers = {**a_key(), "x-correlation-id": "find-me-in-the-log"}
        answer = await client.request(method, path, json=an_order(), headers=headers)
        assert answer.status_code == 500
        assert answer.json()["correlation_id"] == "find-me-in-the-log"
        assert answer.headers["x-correlation-id"] == "find-me-in-the-log"
        assert "secret" not in answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_two_requests_at_once_are_not_ordered_behind_each_other(client: Client, books: Books) -> None:
    books.placing_waits_for = asyncio.Event()
    slow = asyncio.create_task(client.post("/v1/orders", json=an_order(), headers=a_key()))
    assert (await client.get("/v1/orders")).status_code == 200
    assert not slow.done()
    books.placing_waits_for.set()
    assert (await slow).status_code == 201


async def test_the_kill_switch_is_engaged_read_and_released(client: Client) -> None:
    engaged = await client.post("/v1/kill-switch", json={"grade": "block_new", "reason": "drill"})
    assert engaged.json()["engaged"] is True
    refused = await client.post("/v1/orders", json=an_order(), headers=a_key())
    assert (refused.status_code, refused.json()["code"]) == (422, "risk-denied")
    assert refused.json()["failed_controls"][0]["reason"] == "kill-switch"
    assert (await client.get("/v1/kill-switch")).json()["reason"] == "drill"
    released = await client.post("/v1/kill-switch/release", json={"reason": "drill over"})
    assert released.json()["engaged"] is False
    await placed(client)
    plain = await client.post("/v1/kill-switch", json={"reason": "no time for more"})
    assert (plain.status_code, plain.json()["grade"]) == (200, "block_new")
    wrong = await client.post("/v1/kill-switch", json={"grade": "panic", "reason": ""})
    assert {error["field"] for error in wrong.json()["errors"]} == {"grade", "reason"}


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("POST", "/v1/orders", an_order(side=1, quantity="-1", type="x"), {"side", "quantity", "type"}),
        ("POST", "/v1/orders/preview", an_order(side="hold", quantity="0"), {"side", "quantity"}),
        ("PATCH", ORDER, {"quantity": "0", "stop_price": 1}, {"quantity", "stop_price"}),
        ("POST", "/v1/kill-switch", {"grade": "all", "reason": "", "env": 1}, {"grade", "reason", "env"}),
        ("POST", "/v1/kill-switch/release", {"reason": "", "grade": 1}, {"grade", "reason"}),
        ("DELETE", "/v1/orders?account_id=x&symbol=*&env=live", None, {"account_id", "symbol", "query"}),
    ],
)  # fmt: skip
async def test_all_wrong_fields_of_a_request_are_listed(
    client: Client, method: str, path: str, body: dict[str, Any] | None, fields: set[str]
) -> None:
    answer = await client.request(method, path, json=body, headers=a_key())
    assert answer.status_code == 400
    assert {one["field"] for one in answer.json()["errors"]} == fields


async def test_readiness_gives_its_reasons(client: Client, books: Books, deps: ApiDeps) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready", "reasons": {}}
    books.reasons["account P-DEMO"] = "is being recovered"
    answer = await client.get("/readyz", headers={"authorization": ""})
    assert answer.status_code == 503
    assert answer.json()["reasons"] == {"account P-DEMO": "is being recovered"}
    assert (await client.get("/livez")).json() == {"status": "alive"}


async def test_an_order_in_question_is_resolved_by_a_word_with_a_reason(client: Client, books: Books) -> None:
    order = (await placed(client))["id"]
    where, key = f"/v1/orders/{order}/resolve", a_key()
    word = {"as": "never-arrived", "reason": "the broker's desk has no such order"}
    early = await client.post(where, json=word, headers=a_key())
    assert (early.status_code, early.json()["code"]) == (409, "order-not-unknown")
    books.happen(
        e.OutcomeUnknown(order_id=OrderId(order), at=books.now(), asked=e.Asked.PLACE, why="timeout")
    )
    shown = (await client.get("/v1/orders", params={"status": "unknown"})).json()["orders"]
    assert [(one["id"], one["unknown_since"] is not None) for one in shown] == [(order, True)]
    answer = await client.post(where, json=word, headers=key)
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (
        200,
        "rejected",
        "never-arrived",
    )
    again = await client.post(where, json=word, headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    events = (await client.get(f"/v1/orders/{order}/events")).json()["events"]
    assert [one["kind"] for one in events][-2:] == ["order_resolved", "order_rejected"]


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ({"as": "working"}, "broker_order_id"),
        ({"as": "never-arrived", "broker_order_id": "b-1"}, "broker_order_id"),
        ({"as": "filled", "broker_order_id": "b-1"}, "avg_px"),
        ({"as": "canceled", "broker_order_id": "b-1", "cum_qty": "3", "avg_px": "4800"}, "cum_qty"),
        ({"as": "working", "broker_order_id": "b-1", "cum_qty": "1e3"}, "cum_qty"),
        ({"as": "gone"}, "as"),
        ({"as": "never-arrived", "reason": ""}, "reason"),
    ],
)
async def test_a_resolution_that_makes_no_sense_is_refused_by_field(
    client: Client, books: Books, word: dict[str, str], field: str
) -> None:
    order = (await placed(client))["id"]
    books.happen(
        e.OutcomeUnknown(order_id=OrderId(order), at=books.now(), asked=e.Asked.PLACE, why="timeout")
    )
    body = {"reason": "seen", **word}
    answer = await client.post(f"/v1/orders/{order}/resolve", json=body, headers=a_key())
    assert answer.status_code == 400
    assert field in {one["field"] for one in answer.json()["errors"]}, answer.text


async def test_resolving_needs_the_scope_and_a_key(client: Client) -> None:
    where, word = f"{ORDER}/resolve", {"as": "never-arrived", "reason": "gone"}
    answer = await client.post(where, json=word, headers=a_key() | as_(READER))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert 'scope="operations:write"' in answer.headers["www-authenticate"]
    assert (await client.post(where, json=word)).json()["code"] == "idempotency-key-missing"
    unknown = await client.post(where, json=word, headers=a_key())
    assert unknown.status_code == 404
