"""The alarms that stand over REST, with a whole engine behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from ordergate.api.alarm_schemas import EXAMPLE, Alarm
from ordergate.api.app import create_app
from ordergate.api.stream.hub import Hub
from ordergate.brokers.paper import fates
from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.ids import AccountId
from ordergate.engine.accounts.alarms import Alarms
from ordergate.telemetry.metrics import Metrics
from tests.api.books import Books
from tests.api.people import READER, STRANGER, TRADER, Directory, deps_of
from tests.engine.stage import ACCOUNT, Stage

ALARMS = "/v1/alarms"
OF_ACCOUNT = f"/v1/accounts/{ACCOUNT}/alarms"


def late(call: fates.Call) -> fates.Fate:
    return fates.LateCall() if call is fates.Call.PLACE else fates.Delivered()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage(fate=late, resend_is_safe=False) as stage:
        yield stage


@pytest.fixture
def app(stage: Stage) -> FastAPI:
    identity = Directory()
    for token, known in identity.principals.items():
        accounts = frozenset({AccountId("P-OTHER")}) if token == STRANGER else frozenset({ACCOUNT})
        identity.principals[token] = msgspec.structs.replace(known, accounts=accounts)
    return create_app(
        msgspec.structs.replace(
            deps_of(Books(), identity=identity),
            gate=stage.gate,
            alarms=stage.node.alarms,
            views=stage.views,
            hub=Hub(stage.views),
            clock=stage.clock,
        )
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {READER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


async def unknown(stage: Stage) -> str:
    """An order of which nobody knows what became of it, and that has been alarmed."""
    order = await stage.accepted()
    await stage.until(lambda: stage.listener.frames_of("alarm_raised"))
    return order


async def sound(stage: Stage, *subjects: str) -> None:
    alarms = Alarms(stage.clock, Metrics())
    for subject in subjects:
        assert alarms.sound(stage.seat, AlarmNature.ORDER_NOT_SHOWN, subject, "seen", {"news": "x"})
        await stage.clock.move(1)


def fits(app: FastAPI, name: str, value: Any) -> None:
    components = app.openapi()["components"]
    Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components}).validate(value)


async def names(client: httpx.AsyncClient, path: str) -> list[str]:
    return [alarm["subject"] for alarm in (await client.get(path)).json()["alarms"]]


@pytest.mark.parametrize("path", [ALARMS, OF_ACCOUNT, f"{ALARMS}?account_id={ACCOUNT}"])
async def test_an_alarm_that_stands_is_listed_with_its_evidence(
    client: httpx.AsyncClient, app: FastAPI, stage: Stage, path: str
) -> None:
    order = await unknown(stage)
    told = (await client.get(path)).json()
    fits(app, "Alarms", told)
    (alarm,) = told["alarms"]
    assert (alarm["nature"], alarm["lasting"], alarm["account_id"]) == ("unknown_order", True, ACCOUNT)
    assert (alarm["about"], alarm["subject"], alarm["order_id"]) == ("order", order, order)
    assert (alarm["evidence"]["symbol"], alarm["evidence"]["quantity"]) == ("ESH4", "1")
    assert alarm["ends"] == "when the answer is known, or the order has ended"
    assert (told["unread"], told["next"]) == ([], None)


async def test_an_alarm_that_is_cleared_is_gone(client: httpx.AsyncClient, stage: Stage) -> None:
    await unknown(stage)
    stage.broker.let_late_calls_in()
    await stage.until(lambda: stage.listener.frames_of("alarm_cleared"))
    assert (await client.get(ALARMS)).json() == {"alarms": [], "unread": [], "next": None}


async def test_an_alarm_outlives_a_restart(client: httpx.AsyncClient, stage: Stage) -> None:
    await sound(stage, "b1")
    account = stage.lane.books.account
    assert account is not None
    await stage.restart()
    assert [one.subject for one in stage.node.alarms.of([ACCOUNT]).alarms] == ["b1"]


async def test_the_newest_is_first_and_pages_go_on_where_the_last_one_ended(
    client: httpx.AsyncClient, stage: Stage
) -> None:
    await sound(stage, "b1", "b2", "b" * 300, "b4", "b5")
    assert await names(client, ALARMS) == ["b5", "b4", "b" * 300, "b2", "b1"]
    first = (await client.get(f"{ALARMS}?limit=3")).json()
    assert [alarm["subject"] for alarm in first["alarms"]] == ["b5", "b4", "b" * 300]
    assert await names(client, f"{ALARMS}?limit=3&cursor={first['next']}") == ["b2", "b1"]


async def test_a_cursor_of_another_listing_is_refused(client: httpx.AsyncClient, stage: Stage) -> None:
    await sound(stage, "b1", "b2")
    cursor = (await client.get(f"{ALARMS}?limit=1")).json()["next"]
    answer = await client.get(f"{OF_ACCOUNT}?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?lasting=true", 0),
        ("?lasting=false", 1),
        ("?nature=order_not_shown", 1),
        ("?nature=unknown_order", 0),
    ],
)
@pytest.mark.parametrize("path", [ALARMS, OF_ACCOUNT])
async def test_alarms_are_chosen_by_nature_and_by_whether_they_last(
    client: httpx.AsyncClient, stage: Stage, path: str, query: str, found: int
) -> None:
    await sound(stage, "b1")
    assert len(await names(client, path + query)) == found


@pytest.mark.parametrize("query", ["?nature=bad", "?limit=0", "?cursor=x", "?state=open", "?lasting=maybe"])
@pytest.mark.parametrize("path", [ALARMS, OF_ACCOUNT])
async def test_an_impossible_query_is_refused(client: httpx.AsyncClient, path: str, query: str) -> None:
    answer = await client.get(path + query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


async def test_anothers_alarms_are_not_there(client: httpx.AsyncClient, stage: Stage) -> None:
    await sound(stage, "b1")
    stranger = {"authorization": f"Bearer {STRANGER}"}
    assert (await client.get(ALARMS, headers=stranger)).json()["alarms"] == []
    for path in (OF_ACCOUNT, f"{ALARMS}?account_id={ACCOUNT}"):
        assert (await client.get(path, headers=stranger)).status_code == 404


async def test_an_account_that_is_being_folded_is_named_and_not_shown_empty(
    client: httpx.AsyncClient, stage: Stage
) -> None:
    await sound(stage, "b1")
    stage.lane.ready.clear()
    told = (await client.get(ALARMS, headers={"authorization": f"Bearer {TRADER}"})).json()
    assert told == {"alarms": [], "unread": [ACCOUNT], "next": None}


def test_the_documents_example_is_an_alarm(app: FastAPI) -> None:
    fits(app, "Alarm", EXAMPLE)
    assert Alarm.model_validate(EXAMPLE).broker_order_ids
