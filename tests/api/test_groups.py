"""Groups of orders over REST: the routes in front of a whole engine in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps, create_app
from ordergate.core.access import Principal
from ordergate.core.contingent.terms import GroupId
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.identity import Shown
from tests.api.asking import a_key
from tests.api.people import PLAIN, Directory
from tests.api.people import TRADER as TOKEN
from tests.api.served import serving
from tests.api.test_refusals_counted import counting
from tests.engine.groups import at_exchange, has_ended, placed, trailing
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage


class OneTrader(Directory):
    """Knows the stage's trader by the token of these tests."""

    async def authenticate(self, token: str, shown: Shown = PLAIN) -> Principal | Refusal:
        return TRADER


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


@pytest.fixture
async def asking(stage: Stage, deps: ApiDeps) -> AsyncIterator[httpx.AsyncClient]:
    mine = msgspec.structs.replace(deps, groups=stage.node.groups, identity=OneTrader())
    transport = httpx.ASGITransport(create_app(mine), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


def a_bracket(**changed: Any) -> dict[str, Any]:
    return {
        "account_id": ACCOUNT,
        "type": "bracket",
        "symbol": ES,
        "quantity": "4",
        "legs": [
            {"role": "entry", "side": "buy", "type": "limit", "limit_price": "4800"},
            {"role": "take_profit", "side": "sell", "type": "limit", "limit_price": "4820"},
            {"role": "stop_loss", "side": "sell", "type": "stop", "stop_price": "4780"},
        ],
        **changed,
    }


async def test_a_bracket_is_placed_shown_and_listed_in_the_same_words(
    stage: Stage, asking: httpx.AsyncClient
) -> None:
    answer = await asking.post("/v1/order-groups", json=a_bracket(), headers=a_key())
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert [one["role"] for one in told["orders"]] == ["entry"]
    await stage.until(lambda: at_exchange(stage, Side.SELL))
    shown = (await asking.get(answer.headers["location"])).json()
    assert shown["id"] == told["id"]
    assert shown["to_exit"] == "4"
    assert [(one["role"], one["live"]) for one in shown["legs"]] == [
        ("entry", False),
        ("take_profit", False),
        ("stop_loss", True),
    ]
    listed = (await asking.get("/v1/order-groups", params={"active": "true"})).json()
    assert listed == {"groups": [shown], "next": None}


async def test_pages_of_groups_go_on_where_the_last_one_ended(
    stage: Stage, asking: httpx.AsyncClient
) -> None:
    ids = [await placed(stage, trailing(quantity)) for quantity in (1, 2, 3)]
    first = (await asking.get("/v1/order-groups", params={"limit": 2})).json()
    rest = (await asking.get("/v1/order-groups", params={"limit": 2, "cursor": first["next"]})).json()
    assert [one["id"] for one in (*first["groups"], *rest["groups"])] == sorted(ids, reverse=True)
    assert rest["next"] is None


async def test_a_repeated_key_answers_with_the_same_group_and_says_so(asking: httpx.AsyncClient) -> None:
    key = a_key()
    first = await asking.post("/v1/order-groups", json=a_bracket(), headers=key)
    again = await asking.post("/v1/order-groups", json=a_bracket(), headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = await asking.post("/v1/order-groups", json=a_bracket(quantity="3"), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"quantity": "0"}, "invalid", "quantity"),
        ({"type": "iceberg"}, "invalid", "type"),
        ({"legs": []}, "invalid", "legs"),
        ({"type": "oco"}, "invalid", "legs"),
        ({"colour": "red"}, "unknown-field", "colour"),
        ({"legs": "none"}, "invalid", "legs"),
        ({"legs": [{"role": "entry", "side": "up", "type": "limit"}]}, "invalid", "legs.0.side"),
        ({"legs": [{"role": "entry", "side": "buy", "type": "limit", "x": 1}]}, "unknown-field", "legs.0.x"),
    ],
)
async def test_what_makes_no_group_is_refused_with_the_field(
    asking: httpx.AsyncClient, changed: dict[str, Any], code: str, field: str
) -> None:
    answer = await asking.post("/v1/order-groups", json=a_bracket(**changed), headers=a_key())
    assert answer.status_code == 400, answer.text
    told = answer.json()
    assert told["code"] == code
    assert field in [one["field"] for one in told["errors"]]


async def test_a_denied_group_names_every_control_and_its_leg(asking: httpx.AsyncClient) -> None:
    answer = await asking.post("/v1/order-groups", json=a_bracket(quantity="101"), headers=a_key())
    assert answer.status_code == 422
    told = answer.json()
    assert told["code"] == "risk-denied"
    assert told["group"]["status"] == "denied"
    assert {one["inputs"]["leg"] for one in told["failed_controls"]} == {"entry", "take_profit", "stop_loss"}


async def test_a_denied_group_is_counted_as_a_denial(asking: httpx.AsyncClient, deps: ApiDeps) -> None:
    with counting(deps, Code.RISK_DENIED):
        await asking.post("/v1/order-groups", json=a_bracket(quantity="101"), headers=a_key())


async def test_a_group_is_canceled_with_a_result_for_each_order(
    stage: Stage, asking: httpx.AsyncClient
) -> None:
    group_id = (await asking.post("/v1/order-groups", json=a_bracket(), headers=a_key())).json()["id"]
    await stage.until(lambda: at_exchange(stage, Side.SELL))
    answer = await asking.delete(f"/v1/order-groups/{group_id}", headers=a_key())
    assert answer.status_code == 202
    results = {one["role"]: one["result"] for one in answer.json()["orders"]}
    assert results == {"entry": "filled", "stop_loss": "cancel-requested"}
    await stage.until(lambda: has_ended(stage, group_id))
    twice = await asking.delete(f"/v1/order-groups/{group_id}", headers=a_key())
    assert (twice.status_code, twice.json()["code"]) == (409, "order-final")


async def test_an_account_is_flattened_with_a_result_for_each_order(
    stage: Stage, asking: httpx.AsyncClient
) -> None:
    await stage.accepted(side=Side.BUY, quantity=3, limit="4800")
    await stage.until(lambda: stage.held(ES) == 3)
    resting = await stage.accepted(side=Side.BUY, quantity=1, limit="4700")
    answer = await asking.post(f"/v1/accounts/{ACCOUNT}/flatten", json={}, headers=a_key())
    assert answer.status_code == 202, answer.text
    assert [one["order_id"] for one in answer.json()["orders"]] == [resting]
    group_id = GroupId(answer.json()["id"])
    await stage.until(lambda: has_ended(stage, group_id))
    shown = (await asking.get(f"/v1/order-groups/{group_id}")).json()
    assert [(one["role"], one["result"]) for one in shown["orders"]] == [
        ("other", "canceled"),
        ("close", "filled"),
    ]
    assert stage.held(ES) == 0


@pytest.mark.parametrize("path", ["/v1/order-groups/PG-000000000000000000", "/v1/order-groups/nonsense"])
async def test_what_does_not_exist_is_not_found(asking: httpx.AsyncClient, path: str) -> None:
    assert (await asking.get(path)).status_code == 404
    assert (await asking.delete(path, headers=a_key())).status_code == 404


async def test_the_stream_places_and_cancels_groups_in_the_same_words(stage: Stage, deps: ApiDeps) -> None:
    mine = msgspec.structs.replace(deps, groups=stage.node.groups, identity=OneTrader())
    async with serving(mine) as served, served.stream(TOKEN) as talk:
        key = "key-of-a-group-on-the-stream"
        await talk.send(type="place_group", id="1", idempotency_key=key, group=a_bracket())
        placed_now = await talk.until("answer", id="1")
        assert placed_now["status"] == 201, placed_now
        group_id = placed_now["group"]["id"]
        await talk.send(type="cancel_group", id="2", idempotency_key=key, group_id=group_id)
        canceled = await talk.until("answer", id="2")
        assert (canceled["status"], canceled["group"]["cancel_requested"]) == (202, True)
        await talk.send(type="place_group", id="3", idempotency_key=key, group=a_bracket(legs=[]))
        refused = await talk.until("answer", id="3")
        assert refused["problem"]["code"] == "invalid"
        await talk.send(
            type="place_group", id="4", idempotency_key=key + "2", group=a_bracket(quantity="101")
        )
        denied = await talk.until("answer", id="4")
        assert denied["problem"]["group"]["status"] == "denied"
