"""Credentials at brokers by REST: who may, after which login, what is told, and that no secret ever is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from ordergate.api.app import create_app
from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.quotas import Rate
from ordergate.core.access import Scope
from ordergate.core.refusals import Code, Refusal
from tests.api.books import Books
from tests.api.people import EVERYTHING, READER, TRADER, Directory, Safe, StillClock, deps_of, principal

PAIR = {"key_id": "canary-key", "secret_key": "canary-secret"}
STEPS = ("verify", "switch", "drain", "revoke")


@pytest.fixture
def safe() -> Safe:
    return Safe()


@pytest.fixture
async def client(books: Books, clock: StillClock, safe: Safe) -> AsyncIterator[httpx.AsyncClient]:
    """Requests of somebody who has logged in a moment ago."""
    identity = Directory()
    known = identity.principals[TRADER]
    now = int(clock.now().timestamp())
    identity.principals[TRADER] = msgspec.structs.replace(known, auth_time=now)
    app = create_app(deps_of(books, clock=clock, identity=identity, credentials=safe)).administration
    assert app is not None
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


async def test_a_pair_is_stored_and_nothing_of_it_is_answered(client: httpx.AsyncClient, safe: Safe) -> None:
    answer = await client.post("/v1/credentials/venue", json=PAIR)
    assert (answer.status_code, answer.json()["state"]) == (201, "added")
    assert safe.asked == [("add", "venue", "canary-key", "canary-secret")]
    assert "canary" not in answer.text


@pytest.mark.parametrize("step", STEPS)
async def test_every_step_is_asked_of_the_desk(client: httpx.AsyncClient, safe: Safe, step: str) -> None:
    answer = await client.post(f"/v1/credentials/venue/{step}")
    assert answer.status_code == 200, answer.text
    assert safe.asked == [(step, "venue")]
    safe.refusal = Refusal(Code.CREDENTIAL_STATE, "not now")
    refused = await client.post(f"/v1/credentials/venue/{step}")
    assert (refused.status_code, refused.json()["code"]) == (409, "credential-state")


async def test_only_logins_of_own_accounts_are_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/credentials")
    assert [one["broker"] for one in answer.json()["credentials"]] == ["venue"]


@pytest.mark.parametrize("path", ["/v1/credentials/venue", *(f"/v1/credentials/venue/{s}" for s in STEPS)])
async def test_a_login_that_is_not_new_is_not_enough(
    client: httpx.AsyncClient, clock: StillClock, safe: Safe, path: str
) -> None:
    clock.seconds += 311
    answer = await client.post(path, json=PAIR)
    assert (answer.status_code, answer.json()["code"]) == (401, "step-up-required")
    assert safe.asked == []


@pytest.mark.parametrize("path", ["/v1/credentials/other", *(f"/v1/credentials/other/{s}" for s in STEPS)])
async def test_another_s_login_is_the_same_as_none(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json=PAIR)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_without_the_scope_nothing_is_shown_or_done(client: httpx.AsyncClient, safe: Safe) -> None:
    reader = {"authorization": f"Bearer {READER}"}
    for answer in (
        await client.get("/v1/credentials", headers=reader),
        await client.post("/v1/credentials/venue", json=PAIR, headers=reader),
        await client.post("/v1/credentials/venue/switch", headers=reader),
    ):
        assert answer.status_code == 403
    assert safe.asked == []
    assert Scope.CREDENTIALS_WRITE in principal("trader", EVERYTHING).scopes


@pytest.mark.parametrize(
    "body",
    [
        {"key_id": "canary"},
        {**PAIR, "more": "canary"},
        {**PAIR, "key_id": ""},
        {**PAIR, "secret_key": "canary" * 400},
        {**PAIR, "secret_key": 7},
    ],
)
async def test_a_pair_that_is_none_is_refused_and_not_repeated(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await client.post("/v1/credentials/venue", json=body)
    assert answer.status_code == 400, answer.text
    assert "canary" not in answer.text


async def test_every_step_counts_as_a_change_and_looking_as_a_read(books: Books, clock: StillClock) -> None:
    identity, one = Directory(), Rate(per_s=0.001, burst=1)
    quotas = msgspec.structs.replace(GENEROUS, changes=one, reads=one)
    app = create_app(deps_of(books, clock=clock, identity=identity, bounds=Bounds(of_client=quotas)))
    assert app.administration is not None
    transport = httpx.ASGITransport(app.administration, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        steps = [(await client.post("/v1/credentials/venue/drain")).status_code for _ in range(2)]
        looks = [(await client.get("/v1/credentials")).status_code for _ in range(2)]
    assert (steps[0] != 429, steps[1], looks) == (True, 429, [200, 429])
