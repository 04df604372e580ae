"""Fields behind a body are no headers (RFC 9110, 6.5.1), and there is a bound on them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ordergate.api.deps import Bounds
from ordergate.api.protocols import HEAD_BYTES_MAX, BoundedHttp
from ordergate.api.quotas import Rate
from tests.api.books import Books
from tests.api.people import TRADER, deps_of
from tests.api.served import Served, serving
from tests.api.test_protocols import Application, application, line, until
from tests.api.test_whole_answers import BODY

__all__ = ["application", "line"]

KEY = b"Idempotency-Key: behind-a-body-001"
CHUNKED = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(*headers: bytes, behind: bytes = b"") -> bytes:
    """An order in one chunk, with a field behind it."""
    fixed = (
        b"POST /v1/orders HTTP/1.1",
        b"Host: localhost",
        b"Authorization: Bearer " + TRADER.encode(),
        b"Content-Type: application/json",
        b"Transfer-Encoding: chunked",
    )
    body = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    return b"\r\n".join((*fixed, *headers)) + b"\r\n\r\n" + body + behind + b"\r\n"


async def test_what_a_request_lacks_in_its_head_it_does_not_get_behind_its_body(served: Served) -> None:
    answer = await served.raw(chunked(behind=KEY + b"\r\n"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"idempotency-key-missing" in answer


async def test_what_stands_in_a_head_is_not_given_again_behind_the_body(served: Served) -> None:
    answer = await served.raw(chunked(KEY, behind=b"Idempotency-Key: another-key-00001\r\n"))
    assert answer.startswith(b"HTTP/1.1 201")


async def test_nobody_says_behind_a_body_from_where_it_comes(books: Books) -> None:
    bounds = Bounds(requests_of_peer=Rate(per_s=0.001, burst=1), proxies=(ip_network("127.0.0.0/8"),))
    statuses = []
    async with serving(deps_of(books, bounds=bounds)) as served:
        for number in (1, 2):
            key = b"Idempotency-Key: behind-a-proxy-%03d" % number
            claimed = b"X-Forwarded-For: 203.0.113.%d\r\n" % number
            answer = await served.raw(chunked(key, b"X-Forwarded-For: 192.0.2.1", behind=claimed))
            statuses.append(answer.split()[1])
    assert statuses == [b"201", b"429"]


@pytest.mark.parametrize("field", [b"X-Many: 1\r\n" * 100, b"X-Endless: " + b"a" * 1_000])
async def test_what_never_ends_behind_a_body_ends_the_connection(
    line: BoundedHttp, application: Application, field: bytes
) -> None:
    line.data_received(CHUNKED + b"2\r\n{}\r\n0\r\n")
    await until(lambda: line.cycle.response_complete)
    sent = 0
    while not line.transport.is_closing() and sent <= 2 * HEAD_BYTES_MAX:
        line.data_received(field)
        field = field if field.endswith(b"\n") else b"a" * 1_000
        sent += len(field)
    assert line.transport.is_closing()
    assert len(line.headers) == 2


async def test_a_body_in_many_chunks_is_no_head(line: BoundedHttp, application: Application) -> None:
    line.data_received(CHUNKED)
    for _ in range(100):
        line.data_received(b"400\r\n" + b" " * 1_024 + b"\r\n")
    line.data_received(b"0\r\n\r\n")
    await until(lambda: line.cycle.response_complete)
    assert not line.transport.is_closing()
