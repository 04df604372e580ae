"""Accounts, positions, balances, executions, instruments and limits."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.people import READER, STRANGER

Client = httpx.AsyncClient


async def test_an_account_shows_its_balances_and_where_its_stream_stands(client: Client) -> None:
    assert [found["id"] for found in (await client.get("/v1/accounts")).json()["accounts"]] == ["P-DEMO"]
    account = (await client.get("/v1/accounts/P-DEMO")).json()
    assert account["balances"] == [{"account_id": "P-DEMO", "currency": "USD", "cash": "100000"}]
    assert (account["stream_id"], account["seq"], account["open_orders"]) == ("stream-1", 1, 0)


async def test_fills_show_as_executions_positions_and_cash(client: Client, books: Books) -> None:
    for _ in range(3):
        order = (await client.post("/v1/orders", json=an_order(), headers=a_key())).json()
        books.fill(order["id"], "1", "4800.25")
        books.fill(order["id"], "2", "4800.00")
    positions = (await client.get("/v1/accounts/P-DEMO/positions")).json()["positions"]
    assert [(found["symbol"], found["quantity"]) for found in positions] == [("ESM4", "9")]
    seen = []
    page: dict[str, Any] = {}
    cursor = ""
    for _ in range(3):
        page = (await client.get(f"/v1/accounts/P-DEMO/executions?limit=2{cursor}")).json()
        seen += [execution["exec_id"] for execution in page["executions"]]
        cursor = f"&cursor={page['next']}"
    assert len(set(seen)) == 6
    assert seen == sorted(seen, key=lambda exec_id: -int(exec_id[1:]))
    assert page["next"] is None
    assert (await client.get("/v1/accounts/P-DEMO/balances")).json()["balances"][0]["cash"] == "100000"


async def test_anothers_account_does_not_exist(client: Client) -> None:
    for path in ("", "/positions", "/balances", "/executions"):
        headers = {"authorization": f"Bearer {STRANGER}"}
        theirs = await client.get(f"/v1/accounts/P-DEMO{path}", headers=headers)
        nobodys = await client.get(f"/v1/accounts/P-NONE{path}")
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json()["code"] == "not-found"


async def test_instruments_are_listed_and_found_with_a_slash_in_their_symbol(client: Client) -> None:
    listed = (await client.get("/v1/instruments")).json()["instruments"]
    assert [found["symbol"] for found in listed] == ["BTC/USD", "ESM4"]
    assert listed[1]["tick"] == "0.25"
    for path in ("BTC/USD", "BTC%2FUSD"):
        assert (await client.get(f"/v1/instruments/{path}")).json()["symbol"] == "BTC/USD"
    assert (await client.get("/v1/instruments/NOPE")).status_code == 404


async def test_limits_are_shown_to_whoever_may_see_them(client: Client) -> None:
    limits = (await client.get("/v1/risk/limits")).json()["limits"]
    assert limits == [{"account_id": "P-DEMO", "max_order_quantity": "1000"}]
    refused = await client.get("/v1/risk/limits", headers={"authorization": f"Bearer {READER}"})
    assert refused.status_code == 403
    assert (await client.get("/v1/risk/limits?account_id=P-OTHER")).status_code == 404


async def test_a_database_that_cannot_be_asked_is_a_503_that_names_no_host(
    client: httpx.AsyncClient, books: Books
) -> None:
    books.database_is_down = True
    answer = await client.get("/v1/accounts/P-DEMO/balances")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "10.0.0.1" not in answer.text
