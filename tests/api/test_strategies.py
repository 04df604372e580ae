"""Strategies by REST: bodies, answers and statuses; what a registration means is the desk's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ordergate.api.app import ApiDeps, create_app
from tests.api.people import READER, TRADER

MEAN = {"name": "mean", "version": "1.2", "owner": "user:ann", "reason": "new"}


@pytest.fixture
async def client(deps: ApiDeps) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(deps).administration
    assert app is not None
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


async def test_a_strategy_is_registered_as_it_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/strategies", json=MEAN)
    assert answer.status_code == 201
    assert answer.json() == {"name": "mean", "version": "1.2", "owner": "user:ann", "enabled": True}
    gone = await client.post("/v1/strategies/disable", json={"name": "mean", "reason": "r"})
    assert (gone.status_code, gone.json()["code"]) == (404, "not-found")
    assert (await client.get("/v1/strategies")).json() == {"strategies": []}


@pytest.mark.parametrize(
    "changed",
    [{"name": ""}, {"name": "a b"}, {"version": "1 "}, {"owner": ""}, {"owner": "a b"}, {"reason": ""}],
)
async def test_what_makes_no_sense_is_named(client: httpx.AsyncClient, changed: dict[str, Any]) -> None:
    answer = await client.post("/v1/strategies", json={**MEAN, **changed})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [error["field"] for error in answer.json()["errors"]] == list(changed)


async def test_without_the_scope_nothing_is_shown_or_done(client: httpx.AsyncClient) -> None:
    reader = {"authorization": f"Bearer {READER}"}
    for answer in (
        await client.get("/v1/strategies", headers=reader),
        await client.post("/v1/strategies", json=MEAN, headers=reader),
        await client.post("/v1/strategies/disable", json={"name": "mean", "reason": "r"}, headers=reader),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
