"""Limits over REST, with a whole engine behind it: versions, two persons, and what is visible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.stream.hub import Hub
from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.engine.answering.answers import Answer
from tests.api.asking import a_key
from tests.api.books import Books
from tests.api.people import READER, STRANGER, TRADER, Directory, deps_of, principal
from tests.api.served import serving
from tests.engine.stage import ACCOUNT, Stage

RULES = "/v1/risk/limits"
CHANGES = "/v1/risk/changes"
BEN = "token-of-ben"
WATCHER = "token-of-a-watcher"
NEW = {"if-none-match": "*"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage(limits={"soft": ["R06"]}) as stage:
        yield stage


@pytest.fixture
def deps(stage: Stage) -> ApiDeps:
    identity = Directory()
    identity.principals[BEN] = principal("ben", frozenset(Scope))
    identity.principals[WATCHER] = principal("watcher", frozenset({Scope.RISK_READ}))
    for token, known in identity.principals.items():
        accounts = frozenset({AccountId("P-OTHER")}) if token == STRANGER else frozenset({ACCOUNT})
        now = int(stage.clock.now().timestamp())
        identity.principals[token] = msgspec.structs.replace(known, accounts=accounts, auth_time=now)
    return msgspec.structs.replace(
        deps_of(Books(), identity=identity),
        gate=stage.gate,
        limits=stage.node.limits,
        views=stage.views,
        hub=Hub(stage.views),
        clock=stage.clock,
    )


@pytest.fixture
def app(deps: ApiDeps) -> FastAPI:
    return create_app(deps)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


def fits(app: FastAPI, name: str, value: Any) -> None:
    components = app.openapi()["components"]
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    Draft202012Validator(schema).validate(value)


def as_(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def a_rule(**changed: Any) -> dict[str, Any]:
    return {
        "scope": "firm",
        "limits": {"max_open_orders": 5},
        "owner": "risk",
        "reason": "a calm day",
        **changed,
    }


async def test_a_rule_that_tightens_is_in_force_with_an_etag(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    made = await client.put(f"{RULES}/firm", json=a_rule(), headers=NEW)
    assert made.status_code == 200, made.text
    assert made.headers["etag"] == '"1"'
    fits(app, "Edit", made.json())
    assert stage.seat.limits is not None
    assert stage.seat.limits.max_open_orders == 5
    shown = await client.get(f"{RULES}/firm")
    assert shown.headers["etag"] == '"1"'
    fits(app, "Rule", shown.json())
    assert (shown.json()["made_by"], shown.json()["approved_by"]) == ("trader", None)
    listed = (await client.get(RULES)).json()
    fits(app, "LimitsInForce", listed)
    assert [rule["id"] for rule in listed["rules"]] == ["firm", f"settings:{ACCOUNT}"]
    assert listed["limits"][0]["max_open_orders"] == 5
    assert len(listed["limits"][0]["config_hash"]) == 64


async def test_a_change_needs_what_was_seen(client: httpx.AsyncClient) -> None:
    without = await client.put(f"{RULES}/firm", json=a_rule())
    assert (without.status_code, without.json()["code"]) == (428, "precondition-required")
    both = await client.put(f"{RULES}/firm", json=a_rule(), headers={**NEW, "if-match": '"1"'})
    assert both.status_code == 428
    assert (await client.put(f"{RULES}/firm", json=a_rule(), headers=NEW)).status_code == 200
    again = await client.put(f"{RULES}/firm", json=a_rule(), headers=NEW)
    assert (again.status_code, again.json()["code"]) == (412, "change-outdated")
    for tag in ('"2"', '"7"'):
        stale = await client.put(f"{RULES}/firm", json=a_rule(), headers={"if-match": tag})
        assert stale.status_code == 412
    for tag in ("x", '"0"', 'W/"1"', '"-1"'):
        wrong = await client.put(f"{RULES}/firm", json=a_rule(), headers={"if-match": tag})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid")
    changed = a_rule(limits={"max_open_orders": 4})
    right = await client.put(f"{RULES}/firm", json=changed, headers={"if-match": '"1"'})
    assert right.headers["etag"] == '"2"'


async def test_what_loosens_is_accepted_only_and_another_person_decides(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    await client.put(f"{RULES}/firm", json=a_rule(), headers=NEW)
    gone = await client.request(
        "DELETE", f"{RULES}/firm", json={"reason": "busy"}, headers={"if-match": '"1"'}
    )
    assert gone.status_code == 202
    assert "etag" not in gone.headers
    fits(app, "Edit", gone.json())
    change = gone.json()["change"]
    assert change["summary"] == [f"{ACCOUNT} max_open_orders"]
    waiting = (await client.get(CHANGES)).json()
    fits(app, "Changes", waiting)
    assert [one["id"] for one in waiting["changes"]] == [change["id"]]

    own = await client.post(f"{CHANGES}/{change['id']}/approve", json={"reason": "mine"})
    assert (own.status_code, own.json()["code"]) == (403, "same-person")
    yes = await client.post(f"{CHANGES}/{change['id']}/approve", json={"reason": "ok"}, headers=as_(BEN))
    assert (yes.status_code, yes.json()["state"], yes.json()["settled_by"]) == (200, "approved", "ben")
    assert (await client.get(f"{RULES}/firm")).status_code == 404
    assert stage.seat.limits is not None
    assert stage.seat.limits.max_open_orders == 1000
    late = await client.post(f"{CHANGES}/{change['id']}/reject", json={"reason": "no"}, headers=as_(BEN))
    assert (late.status_code, late.json()["code"]) == (409, "change-settled")
    assert (await client.get(CHANGES)).json() == {"changes": []}
    settled = (await client.get(CHANGES, params={"state": "all"})).json()["changes"]
    assert [one["state"] for one in settled] == ["approved"]
    fits(app, "Change", (await client.get(f"{CHANGES}/{change['id']}")).json())


async def test_a_file_is_planned_and_applied(client: httpx.AsyncClient, app: FastAPI) -> None:
    listed = {name: value for name, value in a_rule(id="firm").items() if name != "reason"}
    asked = {"rules": [listed], "reason": "from git", "preview": True}
    planned = await client.post(f"{RULES}/apply", json=asked)
    fits(app, "Plan", planned.json())
    assert planned.json() == {"at_once": ["firm"], "waiting": [], "loosens": []}
    assert (await client.get(f"{RULES}/firm")).status_code == 404
    applied = await client.post(f"{RULES}/apply", json={**asked, "preview": False})
    assert (applied.status_code, applied.json()["rules"][0]["version"]) == (200, 1)
    again = await client.post(f"{RULES}/apply", json={**asked, "preview": False})
    assert again.json() == {"rules": [], "removed": [], "change": None}
    pruned = {"rules": [], "reason": "from git", "prune": True, "preview": True}
    planned = await client.post(f"{RULES}/apply", json=pruned)
    assert planned.json()["waiting"] == ["firm"]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (a_rule(limits={"max_open_order": 5}), "limits has no field max_open_order"),
        (a_rule(limits={"max_open_notional": 5}), "must be a decimal string"),
        (a_rule(scope="desk", of="nobody"), "there is no desk nobody"),
        (a_rule(of="x"), "of must name nothing"),
        (a_rule(effective_from="2026-01-05T15:00:00"), "time zone"),
        (a_rule(scope="everybody"), "scope"),
        (a_rule(reason=""), "reason"),
        (a_rule(owner=None), "owner"),
        (a_rule(version=3), "version"),
    ],
)
async def test_what_is_wrong_with_a_rule_is_named(
    client: httpx.AsyncClient, rule: dict[str, Any], says: str
) -> None:
    no = await client.put(f"{RULES}/firm", json=rule, headers=NEW)
    assert no.status_code in (400, 404)
    assert says in no.text


async def test_what_may_be_read_or_changed_follows_scope_and_account(client: httpx.AsyncClient) -> None:
    await client.put(f"{RULES}/firm", json=a_rule(), headers=NEW)
    own = f"{RULES}/settings:{ACCOUNT}"
    assert (await client.get(own, headers=as_(WATCHER))).status_code == 200
    assert (await client.get(own, headers=as_(STRANGER))).status_code == 404
    no = await client.put(f"{RULES}/firm", json=a_rule(), headers={"if-match": '"1"', **as_(WATCHER)})
    assert (no.status_code, no.json()["code"]) == (403, "forbidden")
    for method, body in (("PUT", a_rule()), ("DELETE", {"reason": "r"})):
        said = []
        for name in (f"settings:{ACCOUNT}", "settings:P-NONE"):
            headers = {"if-match": '"1"', **as_(STRANGER)}
            no = await client.request(method, f"{RULES}/{name}", json=body, headers=headers)
            said.append((no.status_code, no.json()["detail"].replace(name, "")))
        assert said[0] == said[1]
    assert (await client.get(f"{RULES}/-nobody")).status_code == 404
    assert (await client.put(f"{RULES}/-nobody", json=a_rule(), headers=NEW)).status_code == 404
    assert (await client.get(f"{CHANGES}/chg-none")).status_code == 404
    no = await client.post(f"{CHANGES}/chg-none/approve", json={"reason": "r"})
    assert no.status_code == 404


async def test_every_limit_is_shown_with_its_use(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    await stage.accepted(quantity=3)
    await client.put(f"{RULES}/firm", json=a_rule(), headers=NEW)
    told = (await client.get("/v1/risk/utilization")).json()
    fits(app, "Utilization", told)
    uses = {(use["limit"], use["symbol"]): use for use in told["accounts"][0]["limits"]}
    assert uses["max_open_orders", None]["used"] == "1"
    assert uses["max_open_orders", None]["rule"] == "firm"
    assert uses["max_long", "ESH4"]["used"] == "3"
    assert uses["max_long", "ESH4"]["rule"] == f"settings:{ACCOUNT}"
    assert told["accounts"][0]["why_none"] is None
    other = await client.get("/v1/risk/utilization", params={"account_id": "P-OTHER"})
    assert other.status_code == 404


async def test_what_is_tighter_for_a_user_or_a_strategy_is_shown_as_theirs(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    await stage.accepted(quantity=3)
    for name, its in {
        "mm-7": {"scope": "strategy", "of": "mm-7", "limits": {"max_open_orders": 1}},
        "anna": {"scope": "user", "of": "anna", "limits": {"max_open_orders": 2}},
        "loose": {"scope": "strategy", "of": "slow", "limits": {"max_open_orders": 9_999}},
    }.items():
        made = await client.put(f"{RULES}/{name}", json=a_rule(**its), headers=NEW)
        assert made.status_code == 200, made.text
    told = (await client.get("/v1/risk/utilization")).json()
    fits(app, "Utilization", told)
    rows = [use for use in told["accounts"][0]["limits"] if use["user"] or use["strategy"]]
    shown = [[use[name] for name in ("limit", "user", "strategy", "used", "value", "rule")] for use in rows]
    assert shown == [
        ["max_open_orders", "anna", None, "1", "2", "anna"],
        ["max_open_orders", None, "mm-7", "1", "1", "mm-7"],
    ]


async def test_a_soft_rule_says_so_wherever_it_is_shown_and_refuses_softly(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    soft = a_rule(severity="soft", limits={"instruments": {"ESH4": {"max_order_quantity": "2"}}})
    made = await client.put(f"{RULES}/firm", json=soft, headers=NEW)
    assert made.status_code == 200, made.text
    assert made.json()["rules"][0]["severity"] == "soft"
    listed = (await client.get(RULES)).json()
    fits(app, "LimitsInForce", listed)
    assert [rule["severity"] for rule in listed["rules"]] == ["soft", "hard"]
    its = listed["limits"][0]
    assert its["instruments"]["ESH4"]["max_order_quantity"] == "2"
    assert its["hard"]["instruments"]["ESH4"]["max_order_quantity"] == "100"
    answer = await stage.place(quantity=3)
    assert isinstance(answer, Answer)
    assert [(no.control, no.severity.value) for no in answer.failed] == [("R06", "soft")]
    told = (await client.get("/v1/risk/utilization")).json()
    fits(app, "Utilization", told)
    rows = {(use["limit"], use["symbol"]): use for use in told["accounts"][0]["limits"]}
    assert rows["max_order_quantity", "ESH4"]["severity"] == "soft"
    assert (rows["max_long", "ESH4"]["severity"], rows["max_long", "ESH4"]["control"]) == ("hard", "R11")
    assert rows["buying_power", None]["control"] == "R13"
    version = {"if-match": '"1"'}
    harder = await client.put(f"{RULES}/firm", json={**soft, "severity": "hard"}, headers=version)
    assert harder.status_code == 200
    softer = await client.put(f"{RULES}/firm", json=soft, headers={"if-match": '"2"'})
    assert (softer.status_code, softer.json()["change"]["state"]) == (202, "pending")
    wrong = await client.put(f"{RULES}/firm", json={**soft, "severity": "mild"}, headers=version)
    assert "severity" in wrong.json()["errors"][0]["field"]


async def test_the_stream_tells_the_use_when_it_changes_and_nothing_else(deps: ApiDeps, stage: Stage) -> None:
    async with serving(deps) as served, served.stream() as talk:
        await talk.send(type="subscribe", id="1", account_id=ACCOUNT, channels=["risk"])
        assert (await talk.until("subscribed"))["channels"] == ["risk"]
        first = await talk.until("risk")
        await stage.accepted(quantity=3)
        await stage.clock.move(1)
        again = await talk.until("risk")
        used = {(use["limit"], use["symbol"]): use["used"] for use in again["limits"]}
        assert used["max_long", "ESH4"] == "3"
        assert first["account_id"] == again["account_id"] == ACCOUNT
        seen = [(await talk.next())["type"] for _ in range(2)]
        assert seen == ["heartbeat", "heartbeat"]


async def test_whoever_subscribes_again_is_told_the_use_again(deps: ApiDeps) -> None:
    async with serving(deps) as served, served.stream() as talk:
        for _ in range(2):
            await talk.send(type="subscribe", id="1", account_id=ACCOUNT, channels=["risk"])
            assert (await talk.until("risk"))["account_id"] == ACCOUNT


async def test_the_use_is_for_those_who_may_read_risk_and_has_nothing_to_resume(deps: ApiDeps) -> None:
    async with serving(deps) as served:
        async with served.stream(token=READER) as talk:
            await talk.send(type="subscribe", id="1", account_id=ACCOUNT, channels=["risk"])
            assert (await talk.until("error"))["code"] == "forbidden"
        async with served.stream() as talk:
            resume = {"stream_id": "s", "after_seq": 1}
            await talk.send(type="subscribe", account_id=ACCOUNT, channels=["risk"], resume=resume)
            assert (await talk.until("error"))["code"] == "invalid"
            await talk.send(type="subscribe", account_id=ACCOUNT, channels=["orders", "risk"])
            assert (await talk.until("subscribed"))["channels"] == ["orders", "risk"]
            await talk.until("reset")
            await talk.until("risk")


async def test_a_dry_run_says_what_the_last_orders_would_have_got(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    order = await stage.accepted(quantity=7)
    its = {"instruments": {"ESH4": {"max_order_quantity": "5"}}}
    listed = {"id": "firm", "scope": "firm", "owner": "risk", "limits": its}
    asked = {"account_id": ACCOUNT, "rules": [listed], "orders": 10}
    told = await client.post(f"{RULES}/dry-run", json=asked, headers=as_(WATCHER))
    assert told.status_code == 200, told.text
    fits(app, "DryRun", told.json())
    assert told.json()["would_refuse"] == 1
    assert told.json()["differences"][0]["order_id"] == order
    assert told.json()["differences"][0]["quantity"] == "7"
    assert (told.json()["unlisted"], told.json()["not_judged"]) == (0, [])
    no = await client.post(f"{RULES}/dry-run", json=asked, headers=as_(STRANGER))
    assert no.status_code == 404
    no = await client.post(f"{RULES}/dry-run", json={**asked, "orders": 0})
    assert (no.status_code, no.json()["code"]) == (400, "invalid")


async def test_a_dry_run_says_what_it_could_not_judge(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    await stage.accepted(limit=None, quantity=7)
    its = {"max_order_quantity": "5", "market_spread_percent": "5"}
    listed = {"id": "firm", "scope": "firm", "owner": "risk", "limits": {"instruments": {"ESH4": its}}}
    asked = {"account_id": ACCOUNT, "rules": [listed]}
    told = await client.post(f"{RULES}/dry-run", json=asked, headers=as_(WATCHER))
    assert told.status_code == 200, told.text
    fits(app, "DryRun", told.json())
    assert told.json()["not_judged"] == [{"control": "R10", "orders": 1}]
    (one,) = told.json()["differences"]
    assert ([no["control"] for no in one["newly"]], one["not_judged"]) == (["R06"], ["R10"])


async def test_an_override_is_asked_for_granted_and_used(
    client: httpx.AsyncClient, app: FastAPI, deps: ApiDeps, stage: Stage
) -> None:
    order = {
        "account_id": ACCOUNT,
        "symbol": "ESH4",
        "side": "buy",
        "type": "limit",
        "quantity": "101",
        "limit_price": "4700",
    }
    asked = {"order": order, "controls": ["R06"], "reason": "a large client order"}
    await stage.clock.move(311)
    old = await client.post("/v1/risk/overrides", json=asked)
    assert (old.status_code, old.json()["code"]) == (401, "step-up-required")
    assert 'error="insufficient_user_authentication"' in old.headers["www-authenticate"]
    identity = deps.identity
    assert isinstance(identity, Directory)
    for token in (TRADER, BEN):
        known = identity.principals[token]
        now = int(stage.clock.now().timestamp())
        identity.principals[token] = msgspec.structs.replace(known, auth_time=now)
    waits = await client.post("/v1/risk/overrides", json=asked)
    assert waits.status_code == 202, waits.text
    fits(app, "Change", waits.json())
    assert waits.json()["summary"] == [f"{ACCOUNT} R06 once"]
    change = waits.json()["id"]
    yes = await client.post(f"{CHANGES}/{change}/approve", json={"reason": "seen"}, headers=as_(BEN))
    assert yes.status_code == 200, yes.text
    placed = await client.post("/v1/orders", json=order, headers=a_key())
    assert placed.status_code == 201, placed.text
    again = await client.post("/v1/orders", json=order, headers=a_key())
    assert [no["control"] for no in again.json()["failed_controls"]] == ["R06"]
    never = await client.post("/v1/risk/overrides", json={**asked, "controls": ["R01"]})
    assert (never.status_code, never.json()["code"]) == (400, "invalid")


async def test_a_preview_explains_with_the_use_of_the_limits_that_bear_on_it(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    await stage.accepted(quantity=3)
    order = {
        "account_id": ACCOUNT,
        "symbol": "ESH4",
        "side": "buy",
        "type": "limit",
        "quantity": "998",
        "limit_price": "4700",
    }
    told = (await client.post("/v1/orders/preview", json=order)).json()
    fits(app, "Preview", told)
    assert told["would_be_accepted"] is False
    uses = {use["limit"]: use for use in told["limits"]}
    assert (uses["max_long"]["used"], uses["max_long"]["headroom"]) == ("3", "997")
    assert uses["max_order_quantity"]["rule"] == f"settings:{ACCOUNT}"
