"""A key that bought something more than seven days ago is answered with where that is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import msgspec

from ordergate.api import problems
from ordergate.api.app import create_app
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.once import KEPT
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.people import TRADER, Directory, deps_of
from tests.engine.stage import ACCOUNT, ES, Stage
from tests.engine.stage import TRADER as PRINCIPAL

ORDER = an_order(account_id=ACCOUNT, symbol=ES, limit_price="4700")


async def test_the_answer_leads_to_the_order() -> None:
    identity = Directory()
    identity.principals[TRADER] = PRINCIPAL
    headers = {"authorization": f"Bearer {TRADER}", **a_key()}
    async with Stage() as stage:

        def over_the_engine() -> httpx.AsyncClient:
            deps = msgspec.structs.replace(
                deps_of(Books(), identity=identity), gate=stage.gate, instruments=stage.instruments
            )
            transport = httpx.ASGITransport(create_app(deps))
            return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)

        async with over_the_engine() as client:
            first = await client.post("/v1/orders", json=ORDER)
        await stage.crash()
        stage.clock.wrong_by += KEPT + timedelta(seconds=1)
        await stage.start()
        async with over_the_engine() as client:
            again = await client.post("/v1/orders", json=ORDER)
    order = first.json()["id"]
    told = again.json()
    assert (again.status_code, told["code"]) == (409, "idempotency-key-consumed")
    assert (told["order_id"], told["link"]) == (order, f"/v1/orders/{order}")
    assert "errors" not in told


def of(**fields: str) -> dict[str, Any]:
    refusal = Refusal(Code.IDEMPOTENCY_KEY_CONSUMED, "long ago", fields)
    told: dict[str, Any] = msgspec.json.decode(problems.encode(problems.problem(refusal, "c")))
    return told


def test_a_group_has_a_link_of_its_own() -> None:
    told = of(group_id="PG-01HZX3K9QW5V7M2N4B")
    assert (told["group_id"], told["link"]) == ("PG-01HZX3K9QW5V7M2N4B", "/v1/groups/PG-01HZX3K9QW5V7M2N4B")


def test_where_no_single_order_was_bought_there_is_nothing_to_link_to() -> None:
    assert "link" not in of()
