"""A defect of ours is in the log under the id that its client was told, with where it came from."""

from __future__ import annotations

import io
import json

import httpx

from tests.api.asking import a_key, an_order
from tests.api.books import Books


async def test_a_defect_is_logged_with_its_id_and_where_it_came_from(
    client: httpx.AsyncClient, books: Books, logged: io.StringIO
) -> None:
    books.breaks_down = True
    headers = {**a_key(), "x-correlation-id": "find-me-in-the-log"}

    answer = await client.post("/v1/orders", json=an_order(), headers=headers)

    assert answer.status_code == 500
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    (fault,) = (line for line in lines if line["event"] == "api.fault")
    assert (fault["level"], fault["correlation_id"]) == ("error", "find-me-in-the-log")
    assert "Traceback" in fault["exception"]
    assert fault["exception"] not in answer.text
