"""A query that is not read is refused: what is overlooked in it would do more than was asked."""

from __future__ import annotations

import httpx
import pytest

from tests.api.asking import a_key, an_order
from tests.api.books import Books

ORDER = "/v1/orders/P-000000000000000001"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/orders?preview=true", an_order()),
        ("POST", "/v1/orders/preview?account_id=P-DEMO", an_order()),
        ("POST", "/v1/accounts/P-DEMO/flatten?symbol=ESM4", {}),
        ("POST", "/v1/kill-switch?level=account&target=P-DEMO", {"reason": "drill"}),
        ("POST", "/v1/kill-switch/release?level=account&target=P-DEMO", {"reason": "drill"}),
        ("PUT", "/v1/dead-man?session=desk", {"gtc": "keep"}),
        ("GET", f"{ORDER}?fields=status", None),
        ("PATCH", f"{ORDER}?quantity=3", {"limit_price": "4800"}),
        ("DELETE", f"{ORDER}?symbol=ESM4", None),
    ],
)
async def test_a_command_takes_nothing_from_the_query_and_overlooks_none(
    client: httpx.AsyncClient, books: Books, method: str, path: str, body: object
) -> None:
    answer = await client.request(method, path, json=body, headers=a_key())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [wrong["field"] for wrong in answer.json()["errors"]] == ["query"]
    assert books.orders_by_id == {}


async def test_an_alert_may_have_a_query(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/hooks/trend?from=desk", json={})).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/orders?status=working&status=filled",
        "/v1/accounts/P-DEMO/executions?limit=1&limit=2",
        "/v1/accounts?a=1&a=2",
    ],
)
async def test_a_parameter_that_is_given_twice_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [wrong["message"] for wrong in answer.json()["errors"]] == ["is given twice"]
