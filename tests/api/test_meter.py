"""One quota for a client, whichever way it asks; and what one client spends is no other's."""

from __future__ import annotations

import asyncio

import msgspec

from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.meter import Meter
from ordergate.api.quotas import Kind, Quotas, Rate
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.ledger import OTHER_ACCOUNT
from tests.api.people import EVERYTHING, READER, STRANGER, TRADER, Directory, deps_of, principal
from tests.api.served import PATIENCE_S, Served, Talk, serving

TWO = Rate(per_s=0.001, burst=2)
MANY = Rate(per_s=0.001, burst=5)


def quotas(**changed: Rate) -> Quotas:
    return msgspec.structs.replace(GENEROUS, **changed)


async def by_rest(served: Served, token: str = TRADER) -> int:
    async with served.client(token) as client:
        return (await client.post("/v1/orders", json=an_order(), headers=a_key())).status_code


async def by_stream(talk: Talk, number: int) -> int:
    key = a_key()["idempotency-key"]
    await talk.send(type="place", id=str(number), idempotency_key=key, order=an_order())
    return int((await talk.until("answer", id=str(number)))["status"])


async def test_rest_the_short_way_and_the_stream_spend_one_quota(books: Books) -> None:
    identity = Directory()
    identity.seen.add(TRADER)
    bounds = Bounds(of_client=quotas(orders=TWO, cancels=TWO))
    async with serving(deps_of(books, identity=identity, bounds=bounds)) as served, served.stream() as talk:
        books.decides_at_once = True
        assert await by_rest(served) == 201
        assert books.decided_at_once == 1
        books.decides_at_once = False
        assert await by_stream(talk, 1) == 201
        assert await by_stream(talk, 2) == 429
        assert await by_rest(served) == 429
        order = next(iter(books.orders_by_id))
        key = a_key()["idempotency-key"]
        await talk.send(type="cancel", id="c", idempotency_key=key, order_id=order)
        assert (await talk.until("answer", id="c"))["status"] == 202


async def test_two_streams_of_a_client_spend_one_quota(books: Books) -> None:
    bounds = Bounds(of_client=quotas(orders=TWO))
    async with (
        serving(deps_of(books, bounds=bounds)) as served,
        served.stream() as one,
        served.stream() as other,
    ):
        answers = [await by_stream(talk, number) for number, talk in enumerate((one, other, one, other))]
    assert answers == [201, 201, 429, 429]


async def test_a_tenants_quota_is_shared_over_the_stream(books: Books) -> None:
    bounds = Bounds(of_tenant=quotas(reads=TWO))
    async with serving(deps_of(books, bounds=bounds)) as served, served.stream(READER) as talk:
        for number in range(2):
            await talk.send(type="subscribe", id=str(number), account_id="P-DEMO", channels=["orders"])
            await talk.until("subscribed", id=str(number))
        async with served.client() as client:
            assert (await client.get("/v1/orders")).status_code == 429


def test_a_client_over_its_quota_takes_nothing_from_its_tenant() -> None:
    meter = Meter(quotas(orders=TWO), quotas(orders=MANY))
    one, other = principal("one", EVERYTHING), principal("other", EVERYTHING)
    assert [meter.take(one, Kind.ORDERS, 0.0) == 0.0 for _ in range(50)].count(True) == 2
    assert not meter.is_spent(other, Kind.ORDERS, 0.0)
    assert [meter.take(other, Kind.ORDERS, 0.0) == 0.0 for _ in range(3)] == [True, True, False]
    assert meter.take(one, Kind.CANCELS, 0.0) == 0.0


async def test_tm20_a_clients_storm_is_decided_by_nobody_and_the_next_clients_order_at_once(
    books: Books,
) -> None:
    """Its quota is spent and as much is unanswered as may be; not one of its answers is there yet."""
    books.decides_at_once = True
    books.kept = asyncio.Queue()
    bounds = Bounds(of_client=quotas(orders=MANY), stream_commands_in_flight_max=3)
    async with (
        serving(deps_of(books, bounds=bounds)) as served,
        served.stream() as storm,
        served.stream(STRANGER) as quiet,
    ):
        for number in range(50):
            key = a_key()["idempotency-key"]
            await storm.send(type="place", id=str(number), idempotency_key=key, order=an_order())
        refused = [await storm.until("answer") for _ in range(47)]
        assert {one["status"] for one in refused} == {429}
        assert books.decided_at_once == 3

        key = a_key()["idempotency-key"]
        await quiet.send(type="place", id="q", idempotency_key=key, order=an_order(account_id=OTHER_ACCOUNT))
        async with asyncio.timeout(PATIENCE_S):
            answers = [await books.kept.get() for _ in range(4)]
        answers[3]()
        assert (await quiet.until("answer", id="q"))["status"] == 201
        for answer in answers[:3]:
            answer()
        assert (await storm.until("answer"))["status"] == 201
