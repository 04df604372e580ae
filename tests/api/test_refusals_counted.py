"""Every refusal that a client is told is counted under its code, once, whichever way it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.quotas import Rate
from ordergate.core.faults import JournalUnavailable
from ordergate.core.refusals import Code
from ordergate.ports.views import OrderQuery, Page
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.people import READER, TRADER, Directory, deps_of
from tests.api.served import Served
from tests.engine.stage import ACCOUNT, ES, Stage
from tests.engine.stage import TRADER as STAGE_TRADER

AS_JSON = {"content-type": "application/json"}
KEY = "counted-key-00000"
ORDER = "/v1/orders/P-000000000000000000"


def counts(deps: ApiDeps) -> dict[str, float]:
    """What has been counted so far, by code."""
    read = deps.metrics.registry.get_sample_value
    found = {code.value: read("ordergate_refusals_total", {"code": code.value}) or 0.0 for code in Code}
    return {code: count for code, count in found.items() if count}


@contextmanager
def counting(deps: ApiDeps, *codes: Code) -> Iterator[None]:
    """Inside, each of these codes is counted once, and nothing else is."""
    before = counts(deps)
    yield
    after = counts(deps)
    added = {code: after[code] - before.get(code, 0.0) for code in after if after[code] != before.get(code)}
    assert added == {code.value: float(codes.count(code)) for code in set(codes)}


@pytest.mark.parametrize(
    ("code", "method", "path", "options"),
    [
        (Code.UNAUTHENTICATED, "GET", ORDER, {"headers": {"authorization": "Bearer nobody"}}),
        (Code.UNAUTHENTICATED, "GET", "/v1/orders", {"headers": {"authorization": "Bearer nobody"}}),
        (Code.FORBIDDEN, "GET", "/v1/kill-switch", {"headers": {"authorization": f"Bearer {READER}"}}),
        (Code.FORBIDDEN, "GET", "/v1/risk/limits", {"headers": {"authorization": f"Bearer {READER}"}}),
        (Code.NOT_FOUND, "GET", "/nowhere", {}),
        (Code.NOT_FOUND, "GET", ORDER, {}),
        (Code.NOT_FOUND, "GET", "/v1/orders/P-000000000000000000/events", {}),
        (Code.METHOD_NOT_ALLOWED, "PUT", "/v1/orders", {}),
        (Code.INVALID, "GET", "/v1/orders?limit=0", {}),
        (Code.INVALID, "POST", "/v1/orders", {"json": an_order(side="hold"), "headers": a_key()}),
        (Code.UNKNOWN_FIELD, "POST", "/v1/orders/preview", {"json": an_order(env="live")}),
        (Code.MALFORMED, "POST", "/v1/kill-switch", {"content": b"{", "headers": AS_JSON}),
        (Code.UNSUPPORTED_MEDIA_TYPE, "POST", "/v1/orders", {"content": b"{}", "headers": a_key()}),
        (Code.TOO_LARGE, "POST", "/v1/orders/preview", {"json": "x" * 70_000}),
        (Code.IDEMPOTENCY_KEY_MISSING, "POST", "/v1/orders", {"json": an_order()}),
        (Code.UNKNOWN_INSTRUMENT, "POST", "/v1/orders", {"json": an_order(symbol="XX"), "headers": a_key()}),
        (Code.RISK_DENIED, "POST", "/v1/orders", {"json": an_order(quantity="1001"), "headers": a_key()}),
        (Code.INVALID, "POST", "/v1/kill-switch", {"json": {"grade": "all", "reason": "x"}}),
    ],
)  # fmt: skip
async def test_a_refusal_of_rest_is_counted_once(
    code: Code, method: str, path: str, options: dict[str, Any], *, client: httpx.AsyncClient, deps: ApiDeps
) -> None:
    with counting(deps, code):
        answer = await client.request(method, path, **options)
        assert answer.json()["code"] == code


async def test_what_is_no_refusal_is_not_counted(client: httpx.AsyncClient, deps: ApiDeps) -> None:
    with counting(deps):
        assert (await client.post("/v1/orders", json=an_order(), headers=a_key())).status_code == 201
        assert (await client.get("/v1/orders")).status_code == 200
        assert (await client.get("/livez")).status_code == 200


async def nothing_answers(query: OrderQuery) -> Page:
    raise JournalUnavailable("the database is away")


async def test_a_defect_a_lost_database_and_a_spent_quota_are_counted(books: Books) -> None:
    one = Rate(per_s=0.001, burst=1)
    deps = deps_of(books, bounds=Bounds(of_client=msgspec.structs.replace(GENEROUS, reads=one)))
    transport = httpx.ASGITransport(create_app(deps), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        books.breaks_down = True
        with counting(deps, Code.INTERNAL):
            await client.post("/v1/orders", json=an_order(), headers=a_key())
        books.orders = nothing_answers  # type: ignore[method-assign]  # these books only
        with counting(deps, Code.UNAVAILABLE):
            await client.get("/v1/orders")
        with counting(deps, Code.RATE_LIMITED):
            await client.get("/v1/orders")


async def test_refusals_over_a_real_socket_are_counted_too(served: Served) -> None:
    """There the answer goes out in one write, past the framework."""
    async with served.client() as client:
        with counting(served.deps, Code.INVALID):
            await client.post("/v1/orders", json=an_order(side="hold"), headers=a_key())
        with counting(served.deps, Code.RISK_DENIED):
            await client.post("/v1/orders", json=an_order(quantity="1001"), headers=a_key())


async def test_a_refused_handshake_is_counted(served: Served) -> None:
    with counting(served.deps, Code.UNAUTHENTICATED), pytest.raises(InvalidStatus):
        await served.stream(token="nobody").__aenter__()


async def test_refusals_of_the_stream_are_counted_once_each(served: Served, books: Books) -> None:
    async with served.stream() as talk:
        await talk.until("authenticated")
        with counting(served.deps, Code.UNKNOWN_FIELD):
            await talk.send(type="ping", id="1", env="live")
            await talk.until("error")
        with counting(served.deps, Code.IDEMPOTENCY_KEY_INVALID):
            await talk.send(type="place", id="2", idempotency_key="short", order=an_order())
            await talk.until("answer")
        with counting(served.deps, Code.INVALID):
            await talk.send(type="place", id="3", idempotency_key=KEY, order=an_order(limit_price=None))
            await talk.until("answer")
        with counting(served.deps, Code.RISK_DENIED):
            await talk.send(type="place", id="4", idempotency_key=KEY, order=an_order(quantity="1001"))
            await talk.until("answer")
        with counting(served.deps, Code.NOT_FOUND, Code.NOT_FOUND):
            await talk.send(type="cancel", id="5", idempotency_key=KEY, order_id="P-000000000000000000")
            await talk.until("answer")
            await talk.send(type="subscribe", account_id="P-OTHER", channels=["orders"])
            await talk.until("error")
        books.breaks_down = True
        with counting(served.deps, Code.INTERNAL):
            await talk.send(type="place", id="6", idempotency_key=KEY + "1", order=an_order())
            await talk.until("answer")


async def test_a_token_that_is_refused_in_a_frame_is_counted(served: Served) -> None:
    with counting(served.deps, Code.UNAUTHENTICATED):
        async with served.stream(token=None) as talk:
            await talk.send(type="authenticate", token="nobody")
            await talk.closed()


async def test_a_refusal_of_the_real_gate_is_counted_by_whoever_tells_it() -> None:
    """The engine and the API share one registry: no refusal is counted by both."""
    async with Stage() as stage:
        identity = Directory()
        identity.principals["stage"] = STAGE_TRADER
        deps = msgspec.structs.replace(
            deps_of(Books(), identity=identity), gate=stage.gate, metrics=stage.node._world.metrics
        )
        headers = {"authorization": "Bearer stage"}
        transport = httpx.ASGITransport(create_app(deps))
        async with httpx.AsyncClient(transport=transport, base_url="http://house", headers=headers) as client:
            order = an_order(account_id=ACCOUNT, symbol=ES, limit_price="4700", client_order_id="mine")
            assert (await client.post("/v1/orders", json=order, headers=a_key())).status_code == 201
            with counting(deps, Code.DUPLICATE_CLIENT_ORDER_ID):
                await client.post("/v1/orders", json={**order, "quantity": "2"}, headers=a_key())
            with counting(deps, Code.INVALID):
                elsewhere = {**order, "client_order_id": None, "venue": "XX"}
                await client.post("/v1/orders", json=elsewhere, headers=a_key())
