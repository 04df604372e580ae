"""Bad input of every kind over a real socket: a clear refusal, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import Asked, AuthorizationEndpoint, Told
from tests.api.asking import a_key, an_order
from tests.api.people import TRADER
from tests.api.served import PATIENCE_S, Served, serving

BODY = json.dumps(an_order()).encode()


def request(*lines: bytes, body: bytes = b"") -> bytes:
    """A raw request with a valid token, and these header lines."""
    fixed = (b"POST /v1/orders HTTP/1.1", b"Host: localhost", b"Authorization: Bearer " + TRADER.encode())
    return b"\r\n".join((*fixed, *lines)) + b"\r\n\r\n" + body


def head(body: bytes = BODY) -> tuple[bytes, ...]:
    return (
        b"Idempotency-Key: raw-key-000000001",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
    )


@pytest.fixture
async def web(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client() as client:
        yield client


async def test_a_right_raw_request_passes_so_that_the_wrong_ones_mean_something(served: Served) -> None:
    answer = await served.raw(request(*head(), body=BODY))
    assert answer.startswith(b"HTTP/1.1 201")


async def test_every_answer_names_the_environment_a_correlation_id_and_loads_nothing(
    web: httpx.AsyncClient,
) -> None:
    for method, path in (("GET", "/livez"), ("GET", "/nope"), ("PUT", "/v1/orders"), ("GET", "/v1/orders")):
        answer = await web.request(method, path)
        assert answer.headers["x-ordergate-env"] == "paper"
        assert len(answer.headers["x-correlation-id"]) >= 8
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


async def test_every_route_says_once_whether_its_answer_may_be_kept(deps: ApiDeps) -> None:
    """The answer's own word, where it has one, or that nobody may."""
    kept = "public, max-age=300"

    async def document(_: Asked) -> Told:
        return Told(status=200, body=b"{}", headers={"cache-control": kept})

    path = "/.well-known/jwks.json"
    more = AuthorizationEndpoint(path=path, methods=("GET",), summary="Keys", call=document)
    deps = msgspec.structs.replace(deps, authorization=(*deps.authorization, more))
    asked = 0
    async with serving(deps) as served, served.client() as web:
        paths: dict[str, dict[str, Any]] = create_app(deps).openapi()["paths"]
        for template, operations in paths.items():
            for method, operation in operations.items():
                url = (served.admin_url if "servers" in operation else "") + template
                answer = await web.request(method, url.replace("{", "").replace("}", ""))
                wanted = kept if template == path else "no-store"
                assert answer.headers.get_list("cache-control") == [wanted], (method, template)
                asked += 1
    assert asked > 50


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("my-request.0001", True),
        ("short", False),
        ("x" * 65, False),
        ("has space", False),
        ("ünïcödé1", False),
    ],
)
async def test_a_well_formed_correlation_id_is_kept_and_any_other_replaced(
    web: httpx.AsyncClient, given: str, kept: bool
) -> None:
    answer = await web.get("/livez", headers=[(b"x-correlation-id", given.encode("latin-1"))])
    assert (answer.headers["x-correlation-id"] == given) is kept


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "", "application/json; charset=latin-1", "application/jsonx", "json"],
)
async def test_only_json_is_taken(web: httpx.AsyncClient, kind: str) -> None:
    answer = await web.post("/v1/orders", content=BODY, headers={**a_key(), "content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


async def test_utf_8_may_be_said(web: httpx.AsyncClient) -> None:
    headers = {**a_key(), "content-type": "Application/JSON; charset=UTF-8"}
    assert (await web.post("/v1/orders", content=BODY, headers=headers)).status_code == 201


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_64_kib_is_too_large_however_it_comes(
    web: httpx.AsyncClient, chunked: bool
) -> None:
    body = BODY[:-1] + b" " * 70_000 + b"}"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 5_000):
            yield body[start : start + 5_000]

    headers = {**a_key(), "content-type": "application/json"}
    answer = await web.post("/v1/orders", content=pieces() if chunked else body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_a_body_in_small_pieces_is_the_same_body(web: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 7):
            yield BODY[start : start + 7]
            await asyncio.sleep(0)

    headers = {**a_key(), "content-type": "application/json"}
    assert (await web.post("/v1/orders", content=pieces(), headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (BODY[:-1] + b',"quantity":"4"}', "malformed"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "malformed"),
        (b"[" * 30_000, "malformed"),
        (BODY[:-1] + b',"env":"live"}', "unknown-field"),
        (BODY.replace(b'"3"', b"3"), "invalid"),
        (BODY.replace(b'"3"', b"3.0000000001"), "invalid"),
        (BODY.replace(b'"3"', b"NaN"), "malformed"),
        (BODY.replace(b'"3"', b'"3\\u0000"'), "invalid"),
        (BODY[:-5], "malformed"),
        (b"", "malformed"),
        (BODY.decode().encode("utf-16"), "malformed"),
    ],
)
async def test_a_wrong_body_is_a_400_with_its_code(web: httpx.AsyncClient, body: bytes, code: str) -> None:
    answer = await web.post(
        "/v1/orders", content=body, headers={**a_key(), "content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        request(*head(), b"X-Evil: a\rb", body=BODY),
        request(*head(), b"X-Evil: a\x00b", body=BODY),
        request(*head(), b"X Evil: a", body=BODY),
        request(*head(), b"Content-Length: 5", body=BODY),
        request(*head(), b"Transfer-Encoding: chunked", body=BODY),
        request(*head(), b" folded: onto the line before", body=BODY),
        request(b"Content-Length: -1", body=BODY),
        request(b"Content-Length: 1e3", body=BODY),
        request(b"Transfer-Encoding: chunked", body=b"zz\r\n\r\n"),
    ],
)
async def test_what_is_not_well_formed_http_is_a_400_and_the_end_of_the_connection(
    served: Served, raw: bytes
) -> None:
    answer = await served.raw(raw)
    assert answer.startswith(b"HTTP/1.1 400")
    async with served.client() as client:
        assert (await client.get("/v1/orders")).json()["orders"] == []


HANDSHAKE = (b"GET /v1/stream HTTP/1.1", b"Host: localhost", b"Connection: Upgrade", b"Upgrade: websocket")


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + b"a" * 40_000,
        b"\r\n".join((*HANDSHAKE, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: short")) + b"\r\n\r\n",
        b"\r\n".join((*HANDSHAKE, b"Sec-WebSocket-Version: 99")) + b"\r\n\r\n",
    ],
    ids=["no request", "an endless head", "a handshake with a bad key", "a handshake of another version"],
)
async def test_an_answer_to_what_no_route_ever_sees_is_marked_as_every_other(
    served: Served, raw: bytes
) -> None:
    answer = await served.raw(raw)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status.startswith("HTTP/1.1 400 ")
    headers = dict(line.split(": ", 1) for line in lines)
    async with served.client() as client:
        usual = (await client.get("/nope")).headers
    marks = set(usual) - {"date", "content-length", "x-correlation-id"}
    assert {name: headers.get(name) for name in marks} == {name: usual[name] for name in marks}
    assert headers["x-ordergate-env"] == "paper"
    assert headers["x-content-type-options"] == "nosniff"
    assert len(headers["x-correlation-id"]) >= 8
    assert json.loads(body)["correlation_id"] == headers["x-correlation-id"]


async def test_garbage_after_a_pipelined_request_does_not_change_its_answer(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request(*head(), body=BODY) + b"\x00\x01garbage\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        everything = await reader.read()
    writer.close()
    statuses = [line for line in everything.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b"HTTP/1.1 201 Created"]
    async with served.client() as client:
        assert len((await client.get("/v1/orders")).json()["orders"]) == 1


@pytest.mark.parametrize("name", [b"Authorization", b"Idempotency-Key", b"Content-Type", b"Host"])
async def test_a_header_that_must_be_single_and_is_not_is_refused(served: Served, name: bytes) -> None:
    answer = await served.raw(request(*head(), name + b": another-value-0001", body=BODY))
    if name == b"Authorization":
        answer = await served.raw(request(*head(), b"Authorization: Bearer " + TRADER.encode(), body=BODY))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"is given twice" in answer


async def test_a_request_that_names_no_host_is_refused(served: Served) -> None:
    """RFC 9112, 3.2."""
    nameless = re.sub(rb"(?im)^host: [^\r]*\r\n", b"", request(*head(), body=BODY))
    answer = await served.raw(nameless)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Host" in answer
    async with served.client() as client:
        assert (await client.get("/v1/orders")).json()["orders"] == []


@pytest.mark.parametrize(("coding", "status"), [(b"gzip", 415), (b"br", 415), (b"identity", 201)])
async def test_a_body_that_is_said_to_be_encoded_is_not_read(
    served: Served, coding: bytes, status: int
) -> None:
    """Somebody before us may have read another body than we would."""
    answer = await served.raw(request(*head(), b"Content-Encoding: " + coding, body=BODY))
    assert answer.startswith(b"HTTP/1.1 %d" % status)


async def test_headers_over_their_bound_are_refused_also_when_they_never_end(served: Served) -> None:
    large = await served.raw(request(*head(), b"X-Large: " + b"a" * 20_000, body=BODY))
    assert large.startswith(b"HTTP/1.1 413")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Endless: ")
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not reader.at_eof():
                writer.write(b"a" * 16_384)
                await writer.drain()
                if b"400" in await asyncio.wait_for(reader.read(4_096), 0.05):
                    break
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    async with served.client() as client:
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/orders/../../etc/passwd", "//evil", "/v1/orders/%2e%2e", "/%00", "/v1"]
)
async def test_a_strange_path_is_a_404_problem(served: Served, path: str) -> None:
    raw = b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + TRADER.encode()
    answer = await served.raw(raw + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("method", "path", "has"),
    [
        ("PUT", "/v1/orders", "DELETE, GET, POST"),
        ("POST", "/v1/orders/P-000000000000000000", "DELETE, GET, PATCH"),
        # Not an order called preview:
        ("GET", "/v1/orders/preview", "POST"),
        ("PATCH", "/v1/orders/preview", "POST"),
        ("OPTIONS", "/v1/orders/preview", "POST"),
        ("TRACE", "/livez", "GET, HEAD"),
        ("OPTIONS", "/v1/accounts", "GET"),
        ("GET", "/oauth/token", "POST"),
    ],
)
async def test_a_method_that_a_path_lacks_is_a_405_that_names_those_it_has(
    web: httpx.AsyncClient, method: str, path: str, has: str
) -> None:
    answer = await web.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"] == has


async def test_a_forwarding_header_does_not_change_who_is_asking(web: httpx.AsyncClient) -> None:
    """Each guess claims another address; they are slowed down together all the same."""
    statuses = set()
    for number in range(60):
        headers = {"authorization": f"Bearer guess-{number}", "x-forwarded-for": f"10.0.0.{number}"}
        statuses.add((await web.get("/v1/orders", headers=headers)).status_code)
    assert statuses == {401, 429}


async def test_whoever_sent_too_many_wrong_tokens_is_told_when_to_come_back(web: httpx.AsyncClient) -> None:
    guesses = [{"authorization": f"Bearer guess-{number}"} for number in range(60)]
    answer = [await web.get("/v1/orders", headers=guess) for guess in guesses][-1]
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["retry_after_s"] == 1


async def test_an_authorization_endpoint_gets_the_request_and_gives_the_answer(
    web: httpx.AsyncClient,
) -> None:
    answer = await web.post("/oauth/token", data={"grant_type": "client_credentials"})
    assert answer.json() == {"method": "POST", "body": "grant_type=client_credentials"}
    assert answer.headers["content-type"] == "application/json"
