"""The short way of an order through REST: what it takes, what it leaves alone, and that both say the same."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.api.asking import an_order
from tests.api.books import Books
from tests.api.people import READER, TRADER, Directory
from tests.api.served import PATIENCE_S, Served
from tests.api.test_whole_answers import BODY, parts, place


@pytest.fixture
def quick(served: Served, books: Books, identity: Directory) -> Books:
    """Books that decide at once, and a trader whose token is known."""
    books.decides_at_once = True
    identity.seen.update({TRADER, READER})
    return books


async def test_a_whole_order_of_a_known_client_is_decided_at_once(served: Served, quick: Books) -> None:
    answer = await served.raw(place("an-express-key-01") + BODY)
    assert answer.startswith(b"HTTP/1.1 201 Created")
    assert quick.decided_at_once == 1


async def test_both_ways_give_the_same_status_headers_and_body(served: Served, quick: Books) -> None:
    """Two orders that differ in nothing but their ids and keys."""
    short = parts(await served.raw(place("an-express-key-02") + BODY))
    quick.decides_at_once = False
    long = parts(await served.raw(place("an-express-key-03") + BODY))
    assert quick.decided_at_once == 1
    assert short[0] == long[0]
    assert {line.partition(b":")[0] for line in short[1]} == {line.partition(b":")[0] for line in long[1]}
    assert json.loads(short[2]).keys() == json.loads(long[2]).keys()


async def test_a_denial_is_the_same_problem_on_both_ways(served: Served, quick: Books) -> None:
    body = json.dumps(an_order(quantity="1000000")).encode()
    short = parts(await served.raw(place("an-express-key-04", body=body) + body))
    long = parts(await served.raw(place("an-express-key-04", body=body) + body))  # a replay of it
    assert quick.decided_at_once == 1
    assert short[0] == long[0]
    assert short[0].startswith(b"HTTP/1.1 422")
    assert json.loads(short[2])["code"] == json.loads(long[2])["code"] == "risk-denied"


@pytest.mark.parametrize(
    "line",
    [b"Prefer: wait=1", b"Connection: close", b"X-Twice: 1\r\nX-Twice: 2", b"Expect: 100-continue"],
)
async def test_what_is_not_usual_goes_the_long_way(served: Served, quick: Books, line: bytes) -> None:
    answer = await served.raw(place("an-express-key-05", line) + BODY)
    assert b"HTTP/1.1 201 Created" in answer or b"HTTP/1.1 100" in answer
    assert quick.decided_at_once == 0


async def test_an_unknown_token_is_checked_on_the_long_way(
    served: Served, quick: Books, identity: Directory
) -> None:
    identity.seen.clear()
    assert (await served.raw(place("an-express-key-06") + BODY)).startswith(b"HTTP/1.1 201")
    assert quick.decided_at_once == 0
    assert identity.checks == 1


async def test_a_failed_commit_is_asked_for_again_with_the_same_key(served: Served, quick: Books) -> None:
    quick.next_commit_fails = True
    assert (await served.raw(place("an-express-key-07") + BODY)).startswith(b"HTTP/1.1 201")
    assert [key for _, _, key in quick.receipts] == ["an-express-key-07"]


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [("database_is_down", b"503", "unavailable"), ("breaks_down", b"500", "internal")],
)
async def test_whoever_cannot_be_asked_again_is_answered_all_the_same(
    served: Served, quick: Books, trouble: str, status: bytes, code: str
) -> None:
    quick.next_commit_fails = True
    setattr(quick, trouble, True)
    answer = parts(await served.raw(place("an-express-key-14") + BODY))
    assert answer[0].split()[1] == status
    assert json.loads(answer[2])["code"] == code


async def test_pipelined_orders_are_answered_in_their_order(served: Served, quick: Books) -> None:
    """The second is held back until the first is answered, whichever way it goes."""
    quick.kept = asyncio.Queue()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(place("an-express-key-08") + BODY + place("an-express-key-09") + BODY)
            answer_the_first = await quick.kept.get()
            assert len(quick.receipts) == 1
            quick.kept = None
            answer_the_first()
            first = await reader.readuntil(b"\r\n\r\n")
            assert first.startswith(b"HTTP/1.1 201")
            length = int(first.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    finally:
        writer.close()
    assert [key for _, _, key in quick.receipts] == ["an-express-key-08", "an-express-key-09"]


async def test_a_client_that_went_away_costs_nothing(served: Served, quick: Books) -> None:
    quick.kept = asyncio.Queue()
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(place("an-express-key-10") + BODY)
    async with asyncio.timeout(PATIENCE_S):
        answer = await quick.kept.get()
        writer.close()
        await writer.wait_closed()
    answer()
    assert (await served.raw(place("an-express-key-10") + BODY)).startswith(b"HTTP/1.1 201")
    assert len(quick.receipts) == 1


async def test_a_token_without_the_scope_is_refused_on_the_short_way_too(
    served: Served, quick: Books
) -> None:
    request = place("an-express-key-11").replace(TRADER.encode(), READER.encode())
    assert (await served.raw(request + BODY)).startswith(b"HTTP/1.1 403")


async def test_the_short_way_is_counted_and_timed_like_the_long_one(served: Served, quick: Books) -> None:
    await served.raw(place("an-express-key-12") + BODY)
    shown = served.deps.metrics.exposition().decode()
    assert 'ordergate_http_requests_total{method="POST",route="/v1/orders",status="201"} 1.0' in shown


async def test_a_body_that_does_not_arrive_whole_is_left_to_the_long_way(
    served: Served, quick: Books
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(place("an-express-key-13") + BODY[:5])
            await writer.drain()
            await asyncio.sleep(0.05)  # the first piece is read alone
            writer.write(BODY[5:])
            assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    finally:
        writer.close()
    assert quick.decided_at_once == 0
