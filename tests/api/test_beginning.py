"""What somebody finds who knows nothing of the gateway but its address, and what only looks for a status."""

from __future__ import annotations

import httpx

from tests.api.books import Books
from tests.api.served import Served


async def test_the_beginning_says_where_the_documentation_is(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert (told["service"], told["env"]) == ("ordergate", "paper")
    for page in (told["docs"], told["openapi"]):
        assert (await client.get(page, headers={"authorization": ""})).status_code == 200


async def test_whoever_looks_at_the_status_alone_sees_the_same_one(served: Served, books: Books) -> None:
    async with served.client() as client:
        for reason, ready in (("", 200), ("is being recovered", 503)):
            books.reasons |= {"account P-DEMO": reason} if reason else {}
            for path, status in (("/livez", 200), ("/readyz", ready)):
                asked, headed = await client.get(path), await client.head(path)
                assert (asked.status_code, headed.status_code, headed.content) == (status, status, b"")
                for name in ("content-type", "content-length", "cache-control", "x-ordergate-env"):
                    assert headed.headers[name] == asked.headers[name]
