"""Reconciliations and breaks over REST, with a whole engine behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from ordergate.api import schemas
from ordergate.api.app import create_app
from ordergate.api.stream.hub import Hub
from ordergate.core.accounts.breaks import Action
from ordergate.core.ids import AccountId
from tests.api.asking import a_key
from tests.api.books import Books
from tests.api.people import READER, STRANGER, TRADER, Directory, deps_of
from tests.engine.settling import drift, natures
from tests.engine.stage import ACCOUNT, ES, Stage
from tests.engine.test_canceling_from_breaks import split

BREAKS = "/v1/reconciliation/breaks"
RUNS = "/v1/reconciliation/runs"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


@pytest.fixture
def app(stage: Stage) -> FastAPI:
    identity = Directory()
    for token, known in identity.principals.items():
        accounts = frozenset({AccountId("P-OTHER")}) if token == STRANGER else frozenset({ACCOUNT})
        identity.principals[token] = msgspec.structs.replace(known, accounts=accounts)
    deps = deps_of(Books(), identity=identity)
    deps = msgspec.structs.replace(
        deps,
        gate=stage.gate,
        breaks=stage.node.breaks,
        views=stage.views,
        hub=Hub(stage.views),
        clock=stage.clock,
    )
    return create_app(deps)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


@pytest.fixture
async def broken(stage: Stage) -> str:
    """The id of an open position break."""
    drift(stage, 2)
    await stage.until(lambda: natures(stage) == ["position"])
    account = stage.lane.books.account
    assert account is not None
    return next(iter(account.breaks))


def fits(app: FastAPI, name: str, value: Any) -> None:
    components = app.openapi()["components"]
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    Draft202012Validator(schema).validate(value)


async def test_an_open_break_is_listed_shown_and_on_the_account(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage, broken: str
) -> None:
    await stage.clock.move(90)
    listed = (await client.get(BREAKS)).json()
    fits(app, "Breaks", listed)
    (item,) = listed["breaks"]
    assert (item["id"], item["severity"], item["state"]) == (broken, "severe", "open")
    assert (item["ours"], item["theirs"], item["subject"]) == ("0", "2", "ESH4")
    assert item["allowed_actions"] == ["adopt", "dismiss"]
    assert item["age_s"] >= 90
    assert [step["what"] for step in item["history"]] == ["opened"]
    shown = (await client.get(f"{BREAKS}/{broken}")).json()
    fits(app, "AgedBreak", shown)
    assert shown == item
    account = (await client.get(f"/v1/accounts/{ACCOUNT}")).json()
    assert (account["breaks"], account["breaks_next"]) == ([item], None)


async def test_an_account_with_more_breaks_than_it_shows_says_where_the_others_are(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await split(stage)
    drift(stage, 2)
    await stage.until(lambda: natures(stage) == ["order_status", "position"])
    every = (await client.get(f"{BREAKS}?open=true")).json()["breaks"]
    monkeypatch.setattr(schemas, "PAGE_MAX", 1)
    account = (await client.get(f"/v1/accounts/{ACCOUNT}")).json()
    fits(app, "Account", account)
    where = {"account_id": ACCOUNT, "open": "true", "cursor": account["breaks_next"]}
    others = (await client.get(BREAKS, params=where)).json()
    assert (account["breaks"], others["breaks"], others["next"]) == (every[:1], every[1:], None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 1),
        ("?open=true", 1),
        ("?open=false", 0),
        ("?state=open", 1),
        ("?state=healed", 0),
        ("?severity=severe", 1),
        ("?severity=warning", 0),
        (f"?account_id={ACCOUNT}", 1),
        ("?state=open&severity=severe&limit=1", 1),
    ],
)
async def test_breaks_are_chosen_by_state_severity_and_account(
    client: httpx.AsyncClient, broken: str, query: str, found: int
) -> None:
    listed = (await client.get(BREAKS + query)).json()["breaks"]
    assert [item["id"] for item in listed] == [broken] * found


@pytest.mark.parametrize("query", ["?state=broken", "?severity=bad", "?nature=cash", "?limit=0", "?cursor=x"])
async def test_an_impossible_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(BREAKS + query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


async def test_a_break_is_assigned_and_resolved_and_says_by_whom_and_why(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage, broken: str
) -> None:
    assigned = await client.post(
        f"{BREAKS}/{broken}/assign", json={"owner": "anna", "note": "your desk"}, headers=a_key()
    )
    assert assigned.status_code == 200
    assert (assigned.json()["state"], assigned.json()["owner"]) == ("assigned", "anna")
    resolved = await client.post(
        f"{BREAKS}/{broken}/resolve",
        json={"action": "adopt", "reason": "assigned overnight"},
        headers=a_key(),
    )
    fits(app, "AgedBreak", resolved.json())
    told = resolved.json()
    assert (told["state"], told["action"], told["reason"]) == ("resolved", "adopt", "assigned overnight")
    assert told["history"][-1]["actor"] == "trader"
    assert (await client.get(f"{BREAKS}/{broken}")).json() == told
    assert (await client.get(f"{BREAKS}?open=true")).json()["breaks"] == []
    assert stage.held(ES) == 2


async def test_the_same_key_answers_the_same_and_settles_once(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage, broken: str
) -> None:
    key, body = a_key(), {"action": "adopt", "reason": "r"}
    first = await client.post(f"{BREAKS}/{broken}/resolve", json=body, headers=key)
    again = await client.post(f"{BREAKS}/{broken}/resolve", json=body, headers=key)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = await client.post(f"{BREAKS}/{broken}/resolve", json={**body, "reason": "s"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    late = await client.post(f"{BREAKS}/{broken}/resolve", json=body, headers=a_key())
    assert (late.status_code, late.json()["code"]) == (409, "break-settled")


async def test_a_cancel_at_the_broker_is_in_the_breaks_history(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    _, theirs, broken = await split(stage)
    body = {"action": "cancel_order", "reason": "over with us"}
    asked = await client.post(f"{BREAKS}/{broken}/resolve", json=body, headers=a_key())
    fits(app, "AgedBreak", asked.json())
    assert (asked.status_code, asked.json()["state"]) == (200, "open")
    await stage.until(lambda: natures(stage) == [])
    told = (await client.get(f"{BREAKS}/{broken}")).json()
    assert [step["what"] for step in told["history"]] == [
        "opened", "cancel_asked", "cancel_answered", "healed",
    ]  # fmt: skip
    assert told["history"][1]["note"] == f"{theirs}: over with us"


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"action": "close_order", "reason": "r"}, (409, "action-not-allowed")),
        ({"action": "guess", "reason": "r"}, (400, "invalid")),
        ({"action": "adopt", "reason": ""}, (400, "invalid")),
        ({"action": "adopt"}, (400, "invalid")),
        ({"action": "adopt", "reason": "r", "force": True}, (400, "unknown-field")),
        ({"action": "adopt", "reason": "x" * 501}, (400, "invalid")),
    ],
)
async def test_a_request_that_makes_no_sense_settles_nothing(
    client: httpx.AsyncClient, app: FastAPI, broken: str, body: dict[str, Any], refused: tuple[int, str]
) -> None:
    answer = await client.post(f"{BREAKS}/{broken}/resolve", json=body, headers=a_key())
    assert (answer.status_code, answer.json()["code"]) == refused
    fits(app, "Problem", answer.json())
    assert (await client.get(f"{BREAKS}/{broken}")).json()["state"] == "open"


async def test_settling_needs_a_key_a_scope_and_an_account(client: httpx.AsyncClient, broken: str) -> None:
    path, body = f"{BREAKS}/{broken}/resolve", {"action": "adopt", "reason": "r"}
    no_key = await client.post(path, json=body)
    assert (no_key.status_code, no_key.json()["code"]) == (400, "idempotency-key-missing")
    for token, status in ((READER, 403), (STRANGER, 404)):
        headers = {**a_key(), "authorization": f"Bearer {token}"}
        for place, asked in ((path, body), (f"{BREAKS}/{broken}/assign", {"owner": "me"})):
            assert (await client.post(place, json=asked, headers=headers)).status_code == status
        run = await client.post(RUNS, json={"account_id": ACCOUNT}, headers=headers)
        assert run.status_code == status
    reader = {"authorization": f"Bearer {READER}"}
    assert (await client.get(BREAKS, headers=reader)).status_code == 200
    stranger = {"authorization": f"Bearer {STRANGER}"}
    assert (await client.get(BREAKS, headers=stranger)).json()["breaks"] == []
    assert (await client.get(f"{BREAKS}/{broken}", headers=stranger)).status_code == 404
    assert (await client.get(f"{BREAKS}?account_id={ACCOUNT}", headers=stranger)).status_code == 404
    assert (await client.get(RUNS, headers=stranger)).json()["runs"] == []


async def test_a_break_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for name in ("brk-000000000000-00000000", "nonsense", "..%2f..", "x" * 30):
        assert (await client.get(f"{BREAKS}/{name}")).status_code == 404
        answer = await client.post(
            f"{BREAKS}/{name}/resolve", json={"action": Action.ADOPT, "reason": "r"}, headers=a_key()
        )
        assert answer.status_code == 404, name


async def test_runs_are_listed_newest_first_page_by_page(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    await stage.until(lambda: stage.seat.runs.count >= 6, within_s=600)
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await client.get(f"{RUNS}?limit=2{cursor}")).json()
        fits(app, "Runs", page)
        seen += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [run.id for run in stage.seat.runs.newest_first()]
    (latest,) = (await client.get(f"{RUNS}?limit=1")).json()["runs"]
    assert latest["result"] == "completed"
    assert latest["why"] == ["timer"]


async def test_a_run_that_is_asked_for_says_who_asked(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    answer = await client.post(RUNS, json={"account_id": ACCOUNT})
    assert answer.status_code == 202
    fits(app, "RunAsked", answer.json())
    before = answer.json()["after"]
    runs = stage.seat.runs.count
    await stage.until(lambda: stage.seat.runs.count > runs)
    (latest,) = (await client.get(f"{RUNS}?limit=1")).json()["runs"]
    assert latest["why"] == ["asked by trader"]
    assert latest["id"] > before
    waited = await client.post(RUNS, json={"account_id": ACCOUNT}, headers={"prefer": "wait=10"})
    assert waited.headers["preference-applied"] == "wait=10"
    assert waited.json()["run"]["why"] == ["asked by trader"]
