"""Keys of programs by REST: bodies, answers and statuses; what a change means is the desk's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps, create_app
from ordergate.core.approvals import Change
from ordergate.core.programs import Program
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.desks.programs_desk import Made, ProgramView
from tests.api.desks import NoPrograms
from tests.api.people import READER, TRADER

BOUNDS = {
    "scopes": ["orders:read"],
    "accounts": ["P-DEMO"],
    "instruments": ["ESM4"],
    "strategies": ["mean"],
    "max_notional": "1000.5",
    "networks": ["10.0.0.0/8"],
    "expires_at": "2030-01-01T00:00:00Z",
    "signed_requests": True,
    "sender": "dpop",
    "reason": "new here",
}


class Desk(NoPrograms):
    def __init__(self) -> None:
        self.asked: list[Program] = []

    async def create(self, *asked: Any, **_: Any) -> Made | ProgramView | Change | Refusal:
        self.asked.append(asked[1])
        return await super().create()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(deps: ApiDeps, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(msgspec.structs.replace(deps, programs=desk)).administration
    assert app is not None
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


async def test_a_new_program_is_read_whole_and_its_secret_told_once(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    answer = await client.post("/v1/clients", json={"client_id": "bot", **BOUNDS})

    assert answer.status_code == 201
    assert answer.json()["client_secret"] == "told this once"
    (asked,) = desk.asked
    assert (asked.client_id, asked.tenant, asked.sender) == ("bot", "demo", "dpop")
    assert asked.bounds is not None
    assert (str(asked.bounds.notional_max), asked.bounds.expires_at) == ("1000.5", 1893456000)
    assert asked.bounds.signed_requests
    for path in ("/v1/clients", "/v1/clients/bot"):
        assert "told this once" not in (await client.get(path)).text


@pytest.mark.parametrize(
    "changed",
    [
        {"max_notional": 1000},
        {"max_notional": "-1"},
        {"networks": ["10.0.0.1/8"]},
        {"networks": ["everywhere"]},
        {"expires_at": "2030-01-01T00:00:00"},
        {"scopes": ["orders:all"]},
        {"accounts": ["*"]},
        {"client_id": "a b"},
        {"keys": "none"},
    ],
)
async def test_a_bound_that_makes_no_sense_is_named(
    client: httpx.AsyncClient, desk: Desk, changed: dict[str, Any]
) -> None:
    answer = await client.post("/v1/clients", json={"client_id": "bot", **BOUNDS, **changed})

    (field,) = changed
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [error["field"].split(".")[0].split("[")[0] for error in answer.json()["errors"]] == [field]
    assert desk.asked == []


async def test_an_instrument_that_is_not_listed_bounds_nothing(client: httpx.AsyncClient, desk: Desk) -> None:
    answer = await client.put("/v1/clients/bot", json={**BOUNDS, "instruments": ["NOSUCH"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-instrument")


@pytest.mark.parametrize("overlap_s", [-1, 86_401, "60", 0.5])
async def test_an_overlap_is_a_day_at_most(client: httpx.AsyncClient, overlap_s: Any) -> None:
    asked = {"overlap_s": overlap_s, "reason": "old"}
    answer = await client.post("/v1/clients/bot/rotate", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    stated = await client.post("/v1/clients/bot/rotate", json={"overlap_s": 86_400, "reason": "old"})
    assert (stated.status_code, stated.json()["client_secret"]) == (200, "told this once")


async def test_who_must_log_in_again_is_told_how(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/clients/bot/keys", json={"keys": {"keys": []}, "reason": "r"})
    assert (answer.status_code, answer.json()["code"]) == (401, "step-up-required")
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]


async def test_a_wish_and_a_no_have_their_statuses(
    client: httpx.AsyncClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(*_: object, **__: object) -> Refusal:
        return Refusal(Code.KEY_REQUIRED, "publish a key")

    monkeypatch.setattr(desk, "rotate", no)
    answer = await client.post("/v1/clients/bot/rotate", json={"overlap_s": 0, "reason": "r"})
    assert (answer.status_code, answer.json()["code"]) == (409, "key-required")


async def test_without_the_scope_nothing_is_shown_or_done(client: httpx.AsyncClient, desk: Desk) -> None:
    reader = {"authorization": f"Bearer {READER}"}
    for answer in (
        await client.get("/v1/clients", headers=reader),
        await client.post("/v1/clients", json={"client_id": "bot", **BOUNDS}, headers=reader),
        await client.post("/v1/clients/bot/disable", json={"reason": "r"}, headers=reader),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert desk.asked == []
    assert (await client.post("/v1/clients/bot/disable", json={"reason": "r"})).status_code == 200
