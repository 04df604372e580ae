"""What a client saw of an order, and that nothing else is changed for it."""

from __future__ import annotations

import httpx
import pytest

from ordergate.api import etags
from ordergate.core.ids import OrderId
from ordergate.core.refusals import Code, Refusal
from tests.api.asking import a_key, an_order
from tests.api.books import Books

Client = httpx.AsyncClient


async def placed(client: Client) -> dict[str, str]:
    answer = await client.post("/v1/orders", json=an_order(), headers=a_key())
    assert answer.status_code == 201, answer.text
    order: dict[str, str] = answer.json()
    return order


async def test_an_order_has_an_etag_that_every_change_of_it_changes(client: Client, books: Books) -> None:
    key = a_key()
    first = await client.post("/v1/orders", json=an_order(), headers=key)
    order = f"/v1/orders/{first.json()['id']}"
    assert first.headers["etag"] == (await client.get(order)).headers["etag"] == '"1"'
    books.fill(OrderId(first.json()["id"]), "1", "4800.25")
    shown = await client.get(order)
    assert (shown.headers["etag"], shown.json()["revision"]) == ('"2"', 2)
    again = await client.post("/v1/orders", json=an_order(), headers=key)
    assert again.headers["etag"] == '"2"'
    waited = await client.delete(order, headers={**a_key(), "prefer": "wait=1"})
    assert (waited.headers["etag"], waited.json()["revision"]) == ('"4"', 4)


async def test_only_an_order_that_is_as_it_was_seen_is_changed(client: Client, books: Books) -> None:
    placing = await placed(client)
    order = f"/v1/orders/{placing['id']}"
    books.fill(OrderId(placing["id"]), "1", "4800.25")
    for method, body in (("PATCH", {"quantity": "5"}), ("DELETE", None)):
        stale = await client.request(method, order, json=body, headers={**a_key(), "if-match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "change-outdated")
        assert stale.headers["etag"] == '"2"'
    assert (await client.get(order)).headers["etag"] == '"2"'

    key = a_key()
    changed = await client.patch(order, json={"quantity": "5"}, headers={**key, "if-match": '"2"'})
    assert (changed.status_code, changed.headers["etag"]) == (202, '"3"')
    again = await client.patch(order, json={"quantity": "5"}, headers={**key, "if-match": '"2"'})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    canceled = await client.delete(order, headers={**a_key(), "if-match": "*"})
    assert canceled.status_code == 202


@pytest.mark.parametrize("tag", ["x", '"0"', 'W/"1"', '"-1"', '"1", "2"', "", '"1234567890"'])
async def test_an_if_match_that_is_no_etag_is_400(client: Client, tag: str) -> None:
    order = f"/v1/orders/{(await placed(client))['id']}"
    for method, body in (("PATCH", {"quantity": "5"}), ("DELETE", None)):
        wrong = await client.request(method, order, json=body, headers={**a_key(), "if-match": tag})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid")
        assert wrong.json()["errors"][0]["field"] == "If-Match"


async def test_two_if_matches_are_ambiguous(client: Client) -> None:
    order = f"/v1/orders/{(await placed(client))['id']}"
    both = [*a_key().items(), ("if-match", '"1"'), ("if-match", '"2"')]
    answer = await client.delete(order, headers=both)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_what_is_not_there_is_404_whatever_was_seen(client: Client) -> None:
    for tag in ('"1"', "*"):
        answer = await client.delete("/v1/orders/P-000000000000000000", headers={**a_key(), "if-match": tag})
        assert answer.status_code == 404


def test_an_order_of_before_revisions_has_no_etag() -> None:
    assert etags.of_order(b'{"id":"P-1","version":3}') == []
    assert etags.of_order(b'{"id":"P-1","version":3,"revision":7}') == [(b"etag", b'"7"')]


def test_only_what_is_outdated_has_an_etag_now() -> None:
    assert etags.of_refusal(Refusal(Code.CHANGE_OUTDATED, "the rule is another by now")) == []
    assert etags.of_refusal(Refusal(Code.ORDER_FINAL, "over", {"revision": "3"})) == []
