"""An answer in one write says what it says the long way, and the long way is still taken where it must."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.api.asking import an_order
from tests.api.people import TRADER
from tests.api.served import PATIENCE_S, Served

BODY = json.dumps(an_order()).encode()


def place(key: str, *lines: bytes, body: bytes = BODY) -> bytes:
    fixed = (
        b"POST /v1/orders HTTP/1.1",
        b"Host: localhost",
        b"Authorization: Bearer " + TRADER.encode(),
        b"Idempotency-Key: " + key.encode(),
        b"X-Correlation-Id: told-by-the-client",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
    )
    return b"\r\n".join((*fixed, *lines)) + b"\r\n\r\n"


def parts(answer: bytes) -> tuple[bytes, set[bytes], bytes]:
    """Status line, header lines, body; without the second's date, and what says that the connection ends."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    kept = {b"date: now" if line.startswith(b"date: ") else line for line in lines}
    return status, kept - {b"connection: close"}, body


async def test_both_ways_give_the_same_status_headers_and_body(served: Served) -> None:
    """A connection that is to be closed is answered the long way; the second answer is a replay."""
    await served.raw(place("the-same-key-0001") + BODY)
    short = parts(await served.raw(place("the-same-key-0001") + BODY))
    long = parts(await served.raw(place("the-same-key-0001", b"Connection: close") + BODY))
    assert short == long
    assert short[0] == b"HTTP/1.1 201 Created"
    assert {b"idempotent-replayed: true", b"date: now"} <= short[1]


async def test_refusals_too(served: Served) -> None:
    body = b'{"symbol":"ESM4"}'
    short = parts(await served.raw(place("the-same-key-0002", body=body) + body))
    long = parts(await served.raw(place("the-same-key-0002", b"Connection: close", body=body) + body))
    assert short == long
    assert short[0].startswith(b"HTTP/1.1 400")


async def test_a_head_request_is_answered_without_a_body(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(b"HEAD /v1/orders HTTP/1.1\r\nHost: localhost\r\nHost: again\r\n\r\n")
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            first, _, second = (await reader.read()).partition(b"\r\n\r\n")
            assert first.startswith(b"HTTP/1.1 400")
            assert second.startswith(b"HTTP/1.1 200")
    finally:
        writer.close()


@pytest.mark.parametrize("cut", [0, 1, len(BODY) // 2, len(BODY) - 1])
async def test_a_body_in_two_pieces_is_read_whole(served: Served, cut: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(place(f"two-pieces-{cut:06d}") + BODY[:cut])
            await writer.drain()
            await asyncio.sleep(0)  # the head is on its way alone
            writer.write(BODY[cut:])
            assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    finally:
        writer.close()


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(place("a-hundred-continue", b"Expect: 100-continue"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(BODY)
            assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    finally:
        writer.close()


async def test_requests_sent_at_once_are_answered_one_after_the_other(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            keys = [f"pipelined-key-{number:04d}" for number in range(5)]
            bodies = [json.dumps(an_order(client_order_id=key)).encode() for key in keys]
            writer.write(
                b"".join(place(key, body=body) + body for key, body in zip(keys, bodies, strict=True))
            )
            labels = []
            for _ in keys:
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 201")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                labels.append(json.loads(await reader.readexactly(length))["client_order_id"])
            assert labels == keys
    finally:
        writer.close()
