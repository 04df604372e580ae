"""The administration's listener: the same edge and the same door, before other routes."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import Bounds
from ordergate.api.quotas import Quotas, Rate
from tests.api.people import TRADER
from tests.api.served import serving

AT_MOST = Rate(per_s=0.001, burst=2)
AS_TRADER = {"authorization": f"Bearer {TRADER}"}


async def ask(app: object, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]  # as httpx has it
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get(path, headers={**AS_TRADER, **headers})


async def test_every_answer_is_marked_as_at_the_first_listener(deps: ApiDeps) -> None:
    app = create_app(deps)
    here = await ask(app.administration, "/v1/access/tenant")
    there = await ask(app, "/v1/accounts")
    assert (here.status_code, there.status_code) == (200, 200)
    marks = {"content-type", "content-length", "x-correlation-id"}
    assert {k: v for k, v in here.headers.items() if k not in marks} == {
        k: v for k, v in there.headers.items() if k not in marks
    }
    assert here.headers["x-ordergate-env"] == "paper"


async def test_what_is_not_there_is_a_problem_and_a_method_names_the_others(deps: ApiDeps) -> None:
    administration = create_app(deps).administration
    assert (await ask(administration, "/v1/orders")).json()["code"] == "not-found"
    assert (await ask(administration, "/livez")).json()["code"] == "not-found"
    wrong = await ask(administration, "/v1/access/assignments")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("first", ["main", "administration"])
async def test_a_quota_is_one_at_both_listeners(deps: ApiDeps, first: str) -> None:
    quotas = Quotas(orders=AT_MOST, cancels=AT_MOST, reads=AT_MOST, changes=AT_MOST)
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(of_client=quotas)))
    asked = [(app, "/v1/accounts"), (app.administration, "/v1/access/tenant")]
    if first == "administration":
        asked.reverse()
    (one, path), (other, other_path) = asked
    assert [(await ask(one, path)).status_code for _ in range(2)] == [200, 200]
    assert (await ask(other, other_path)).status_code == 429


async def test_whoever_guesses_tokens_at_one_listener_is_slowed_down_at_both(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(failed_logins_of_peer=AT_MOST)))
    for _ in range(2):
        answer = await ask(app.administration, "/v1/access/tenant", authorization="Bearer guessed")
        assert answer.status_code == 401
    assert (await ask(app, "/v1/accounts", authorization="Bearer guessed")).status_code == 429


async def test_no_stream_is_opened_there(deps: ApiDeps) -> None:
    async with serving(deps) as served:
        url = served.admin_url.replace("http", "ws", 1) + "/v1/stream"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=AS_TRADER)
        assert refused.value.response.status_code in (403, 404)
