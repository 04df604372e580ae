"""A key that bought something more than seven days ago is answered with where that is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ordergate.api import problems
from ordergate.api.app import Gateway
from ordergate.api.face import methods_at
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.once import KEPT
from tests.api.asking import a_key, an_order
from tests.api.over_engine import client_of
from tests.engine.stage import ACCOUNT, ES, Stage

ORDER = an_order(account_id=ACCOUNT, symbol=ES, limit_price="4700")


async def test_the_answer_leads_to_the_order() -> None:
    headers = a_key()
    async with Stage() as stage:
        async with client_of(stage) as client:
            first = await client.post("/v1/orders", json=ORDER, headers=headers)
        await stage.crash()
        stage.clock.wrong_by += KEPT + timedelta(seconds=1)
        await stage.start()
        async with client_of(stage) as client:
            again = await client.post("/v1/orders", json=ORDER, headers=headers)
            shown = await client.get(again.json()["link"])
    order = first.json()["id"]
    told = again.json()
    assert (again.status_code, told["code"]) == (409, "idempotency-key-consumed")
    assert (told["order_id"], told["link"]) == (order, f"/v1/orders/{order}")
    assert shown.json()["id"] == order
    assert "errors" not in told


def of(**fields: str) -> dict[str, Any]:
    refusal = Refusal(Code.IDEMPOTENCY_KEY_CONSUMED, "long ago", fields)
    told: dict[str, Any] = msgspec.json.decode(problems.encode(problems.problem(refusal, "c")))
    return told


def test_a_group_has_a_link_of_its_own() -> None:
    told = of(group_id="PG-01HZX3K9QW5V7M2N4B")
    assert told["group_id"] == "PG-01HZX3K9QW5V7M2N4B"
    assert told["link"] == "/v1/order-groups/PG-01HZX3K9QW5V7M2N4B"


@pytest.mark.parametrize(
    "bought", [{"order_id": "P-01HZX3K9QW5V7M2N4B"}, {"group_id": "PG-01HZX3K9QW5V7M2N4B"}]
)
def test_a_link_is_a_path_that_can_be_asked_for(app: Gateway, bought: dict[str, str]) -> None:
    assert "GET" in methods_at(app, of(**bought)["link"])


def test_where_no_single_order_was_bought_there_is_nothing_to_link_to() -> None:
    assert "link" not in of()
