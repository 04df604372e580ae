"""An address's quotas: what takes back or stops is told apart from the rest, exactly as the door tells it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import Bounds
from ordergate.api.door import Door
from ordergate.api.exchange import Reply
from ordergate.api.of_address import takes_back
from ordergate.api.quotas import Rate
from tests.api.asking import a_key, an_order
from tests.api.people import TRADER

ONE = Rate(per_s=0.001, burst=1)
SPOKEN_WITHOUT_A_TOKEN = ("/oauth/", "/v1/hooks/", "/livez", "/readyz")


def client_of(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers)


async def test_an_address_that_has_spent_its_orders_can_still_cancel_stop_and_log_in(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(requests_of_peer=ONE)))
    async with client_of(app) as client:
        order = (await client.post("/v1/orders", json=an_order(), headers=a_key())).json()["id"]

        refused = await client.get("/v1/accounts")
        canceled = await client.delete(f"/v1/orders/{order}", headers=a_key())
        token = await client.post("/oauth/token")

    assert (refused.status_code, canceled.status_code, token.status_code) == (429, 202, 200)


async def test_what_is_canceled_and_what_is_logged_in_is_bounded_too(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(requests_of_peer=ONE)))
    async with client_of(app) as client:
        stops = [(await client.post("/v1/kill-switch", json={})).status_code for _ in range(2)]
        logins = [(await client.post("/oauth/token")).status_code for _ in range(2)]
        assert (await client.get("/v1/accounts")).status_code == 200

    assert (stops, logins) == ([400, 429], [200, 429])


async def test_an_address_counts_as_cancels_what_the_door_counts_as_cancels(
    deps: ApiDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every route is asked, so one that is added is judged as well."""
    cancels: list[bool] = []

    async def enter(*_: object, **how: bool) -> Reply:
        cancels.append(how.get("cancels", False))
        return Reply(204, b"")

    monkeypatch.setattr(Door, "enter", enter)
    app = create_app(deps)
    assert app.administration is not None
    told: dict[str, bool] = {}
    for template, operations in app.openapi()["paths"].items():
        if template.startswith(SPOKEN_WITHOUT_A_TOKEN):
            continue
        for method in (name.upper() for name in operations):
            path = re.sub(r"\{[^}]+\}", "P-DEMO", template)
            cancels.clear()
            for face in (app, app.administration):
                async with client_of(face) as client:
                    await client.request(method, path, json={})
            assert len(cancels) == 1, (method, path)
            told[f"{method} {template}"] = cancels[0]
            assert takes_back(method, path) is cancels[0], (method, path)

    assert {name for name, whether in told.items() if whether} == {
        "DELETE /v1/orders",
        "DELETE /v1/orders/{order_id}",
        "DELETE /v1/order-groups/{group_id}",
        "DELETE /v1/dead-man/{session}",
        "PUT /v1/dead-man",
        "POST /v1/accounts/{account_id}/flatten",
        "POST /v1/kill-switch",
        "POST /v1/kill-switch/release",
        "POST /v1/kill-switch/flatten",
    }
