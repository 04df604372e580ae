"""Every way an exchange can fail, against a real socket: what it proves, and what it does not."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from yarl import URL

from ordergate.brokers._shared.http import Answer, HttpClient, Reply
from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers._shared.rate import Allowance, Need
from ordergate.ports.broker import Unknown, Unsent
from tests.brokers.sockets import (
    Act,
    ByteServer,
    Exchange,
    byte_server,
    free_port,
    hangs,
    raw,
    resets,
    says,
    then_cuts,
)
from tests.brokers.world import WAIT_S, HandClock

LIMITS = HttpLimits(connect_s=2.0, total_s=5.0, body_bytes_max=2_000)
# Only the tests that wait for a timeout want a short one.
SHORT = HttpLimits(connect_s=1.0, total_s=1.0, body_bytes_max=2_000)
OK = {"id": "1"}


def client_of(
    url: str,
    clock: HandClock,
    limits: HttpLimits = LIMITS,
    per_minute: int = 600,
    closed: Callable[[], str | None] = lambda: None,
) -> HttpClient:
    return HttpClient(
        URL(url),
        headers={"X-Key": "value"},
        allowance=Allowance(per_minute=per_minute, clock=clock),
        limits=limits,
        closed=closed,
    )


@pytest.fixture
async def client(server: ByteServer, clock: HandClock) -> AsyncIterator[HttpClient]:
    http = client_of(server.url, clock)
    yield http
    await http.close()


async def ask(client: HttpClient, method: str = "POST") -> Reply:
    return await client.ask(method, "/v2/orders", body=b"{}" if method == "POST" else None)


async def test_a_complete_answer_is_definite(server: ByteServer, client: HttpClient) -> None:
    server.play(says(200, OK, X_Request_ID="abc"))
    assert await ask(client) == Answer(200, b'{"id": "1"}', "abc")
    assert server.seen[0].headers["x-key"] == "value"
    assert server.seen[0].body == b"{}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_documented_no_is_definite(server: ByteServer, client: HttpClient, status: int) -> None:
    server.play(says(status, {"message": "no"}))
    reply = await ask(client)
    assert isinstance(reply, Answer)
    assert reply.status == status


async def test_no_content_needs_no_content(server: ByteServer, client: HttpClient) -> None:
    server.play(raw(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert await ask(client, "DELETE") == Answer(204, b"")


UNCLEAR: dict[str, Act] = {
    "cut without an answer": resets,
    "status 500": says(500, {"message": "internal"}),
    "status 502": says(502, b"<html>", Content_Type="text/html"),
    "status 503": says(503, {"message": "x"}),
    "status 504": says(504, {"message": "x"}),
    "status 408": says(408, {"message": "x"}),
    "status 418": says(418, {"message": "x"}),
    "a redirect": says(307, {"message": "x"}, Location="http://127.0.0.1:1/"),
    "an empty yes": says(200),
    "an empty no": says(422),
    "HTML": says(200, b"<html></html>", Content_Type="text/html"),
    "HTML that claims to be a no": says(403, b"<html></html>", Content_Type="text/html"),
    "a foreign content type": says(200, b'{"id":"1"}', Content_Type="text/plain"),
    "no content type": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + b'{"id":"1"}'),
    "malformed JSON": says(200, b'{"id":'),
    "duplicate keys": says(200, b'{"id":"1","id":"2"}'),
    "an encoding nobody asked for": says(200, b'{"id":"1"}', Content_Encoding="gzip"),
    "too long, as announced": says(200, b'"' + b"x" * 3_000 + b'"'),
    "too long, in chunks": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"400\r\n" + b"x" * 0x400 + b"\r\n") * 3
        + b"0\r\n\r\n"
    ),
    "truncated": then_cuts(
        raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id":"1"}')
    ),
    "truncated in a chunk": then_cuts(
        raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'ff\r\n{"id":"1"}'
        )
    ),
    "cut in the headers": then_cuts(raw(b"HTTP/1.1 200 OK\r\nContent-Ty")),
    "not HTTP at all": then_cuts(raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    "two lengths": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n"
        b'Content-Length: 2\r\n\r\n{"id":"1"}'
    ),
    "a switch of protocols": raw(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"
    ),
    "two content types": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Type: text/html\r\n"
        b'Content-Length: 10\r\n\r\n{"id":"1"}'
    ),
    "a length and chunks": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n"
        b'Transfer-Encoding: chunked\r\n\r\na\r\n{"id":"1"}\r\n0\r\n\r\n'
    ),
    "a body that ends with the line": then_cuts(
        raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"id":"1"}')
    ),
    "an endless header": then_cuts(raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 300_000 + b"\r\n\r\n")),
}


@pytest.mark.parametrize("name", UNCLEAR)
async def test_anything_unclear_is_unknown(server: ByteServer, client: HttpClient, name: str) -> None:
    server.play(UNCLEAR[name])
    assert isinstance(await ask(client), Unknown)


async def test_a_redirect_is_not_followed(server: ByteServer, client: HttpClient) -> None:
    server.play(says(307, OK, Location=f"{server.url}/elsewhere"), says(200, OK))
    assert isinstance(await ask(client), Unknown)
    assert server.paths() == ["POST /v2/orders"]


async def test_silence_is_unknown(server: ByteServer, clock: HandClock) -> None:
    server.play(hangs)
    http = client_of(server.url, clock, SHORT)
    assert isinstance(await ask(http), Unknown)
    assert len(server.seen) == 1
    await http.close()


async def test_an_answer_that_never_ends_is_unknown(server: ByteServer, clock: HandClock) -> None:
    server.play(raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"))
    http = client_of(server.url, clock, SHORT)
    assert isinstance(await ask(http), Unknown)
    await http.close()


async def test_a_line_cut_between_two_requests_never_sends_the_second_twice(
    server: ByteServer, client: HttpClient
) -> None:
    server.play(then_cuts(says(200, OK)), says(200, OK))
    await ask(client)
    reply = await ask(client)
    assert isinstance(reply, Answer | Unknown)
    assert len(server.seen) <= 2


async def test_a_request_that_was_cut_is_not_repeated(server: ByteServer, client: HttpClient) -> None:
    """The line is warm, so a client that repeats by itself would do it here."""
    server.play(says(200, OK), resets, says(200, OK))
    await ask(client)
    assert isinstance(await ask(client), Unknown)
    assert len(server.seen) == 2


async def test_a_refused_connection_sent_nothing(clock: HandClock) -> None:
    http = client_of(f"http://127.0.0.1:{free_port()}", clock)
    assert isinstance(await ask(http), Unsent)
    await http.close()


async def test_a_name_that_does_not_resolve_sent_nothing(clock: HandClock) -> None:
    http = client_of("http://no-such-host.invalid", clock)
    assert isinstance(await ask(http), Unsent)
    await http.close()


async def test_a_failed_handshake_sent_nothing(server: ByteServer, clock: HandClock) -> None:
    """The server speaks no TLS: the request never got as far as a byte of its own."""
    http = client_of(f"https://127.0.0.1:{server.port}", clock, SHORT)
    assert isinstance(await ask(http), Unsent)
    assert server.seen == []
    await http.close()


async def test_an_interim_response_is_not_the_answer(server: ByteServer, client: HttpClient) -> None:
    whole = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"1"}'
    server.play(raw(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole))
    assert await ask(client) == Answer(200, b'{"id":"1"}')


async def test_a_second_answer_never_answers_the_next_question(
    server: ByteServer, client: HttpClient
) -> None:
    """Two responses to one request: the line is out of step and is thrown away."""
    one = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"%d"}'
    server.play(raw(one % 1 + one % 2), raw(one % 3))
    assert await ask(client) == Answer(200, b'{"id":"1"}')
    assert await ask(client) == Answer(200, b'{"id":"3"}')
    assert server.connections == 2


async def test_a_line_is_kept_for_the_next_request(server: ByteServer, client: HttpClient) -> None:
    server.play(says(200, OK))
    for _ in range(5):
        await ask(client)
    assert server.connections == 1


async def test_a_line_that_the_server_wants_closed_is_not_used_again(
    server: ByteServer, client: HttpClient
) -> None:
    server.play(says(200, OK, Connection="close"), says(200, OK))
    replies = [await ask(client) for _ in range(2)]
    assert all(isinstance(reply, Answer) for reply in replies)
    assert server.connections == 2


async def test_a_line_that_was_idle_for_too_long_is_not_trusted(server: ByteServer, clock: HandClock) -> None:
    server.play(says(200, OK))
    http = client_of(server.url, clock, HttpLimits(idle_s=1e-9))
    for _ in range(3):
        assert isinstance(await ask(http), Answer)
    await http.close()
    assert server.connections == 3


async def test_giving_up_a_request_gives_up_its_line(server: ByteServer, clock: HandClock) -> None:
    """Its answer may still come, and must not be taken for another's."""
    server.play(hangs, says(200, OK))
    http = client_of(server.url, clock, HttpLimits(connections_max=1))
    task = asyncio.create_task(ask(http))
    async with asyncio.timeout(WAIT_S):
        await server.reached(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert isinstance(await ask(http), Answer)
    await http.close()
    assert server.connections == 2


def test_it_works_on_the_loop_that_serves() -> None:
    """The gateway runs on uvloop, whose transports are not asyncio's own."""

    async def exchange() -> Reply:
        async with byte_server(says(200, OK)) as server:
            http = client_of(server.url, HandClock())
            try:
                return await ask(http)
            finally:
                await http.close()

    assert uvloop.run(exchange()) == Answer(200, b'{"id": "1"}')


async def test_no_free_connection_sent_nothing(server: ByteServer, clock: HandClock) -> None:
    server.play(hangs)
    limits = HttpLimits(connect_s=1.0, total_s=1.0, connections_max=1)
    http = client_of(server.url, clock, limits)
    replies = await asyncio.gather(ask(http), ask(http))
    assert [type(reply) for reply in replies] == [Unknown, Unsent]
    assert len(server.seen) == 1
    await http.close()


async def test_a_cancel_has_a_connection_when_orders_hang_on_all_of_theirs(
    server: ByteServer, clock: HandClock
) -> None:
    async def hangs_on_orders(exchange: Exchange) -> None:
        await (hangs if exchange.method == "POST" else says(200, OK))(exchange)

    server.play(hangs_on_orders)
    http = client_of(server.url, clock, HttpLimits(connect_s=WAIT_S, connections_max=8))
    orders = [asyncio.create_task(ask(http)) for _ in range(20)]
    async with asyncio.timeout(WAIT_S):
        await server.reached(7)
        assert isinstance(await http.ask("DELETE", "/v2/orders/1", need=Need.CANCEL), Answer)
    for order in orders:
        order.cancel()
    await asyncio.gather(*orders, return_exceptions=True)
    await http.close()
    assert server.paths().count("POST /v2/orders") == 7


async def test_what_waited_for_a_connection_is_asked_about_again(
    server: ByteServer, clock: HandClock
) -> None:
    stopped: list[str] = []

    async def stops_the_next(exchange: Exchange) -> None:
        stopped.append("kill-switch")
        await says(200, OK)(exchange)

    def veto() -> str | None:
        return stopped[0] if stopped else None

    server.play(stops_the_next)
    http = client_of(server.url, clock, HttpLimits(connections_max=1))
    replies = await asyncio.gather(*(http.ask("POST", "/v2/orders", body=b"{}", veto=veto) for _ in "ab"))
    assert [type(reply) for reply in replies] == [Answer, Unsent]
    stopped.clear()
    assert isinstance(await ask(http), Answer)
    assert (len(server.seen), server.connections) == (2, 1), "and the connection is kept"
    await http.close()


async def test_what_was_closed_while_it_waited_for_a_connection_is_not_sent(
    server: ByteServer, clock: HandClock
) -> None:
    closed: list[str] = []

    async def closes(exchange: Exchange) -> None:
        closed.append("the lease ended")
        await says(200, OK)(exchange)

    server.play(closes)
    http = client_of(
        server.url, clock, HttpLimits(connections_max=1), closed=lambda: closed[0] if closed else None
    )
    replies = await asyncio.gather(ask(http), http.ask("DELETE", "/v2/orders/1", need=Need.CANCEL))
    assert replies[1] == Unsent("the lease ended")
    assert len(server.seen) == 1
    await http.close()


async def test_our_own_limit_sends_nothing_and_lets_a_cancel_through(
    server: ByteServer, clock: HandClock
) -> None:
    server.play(says(200, OK))
    http = client_of(server.url, clock, per_minute=10)
    replies = [await ask(http) for _ in range(9)]
    assert isinstance(replies[7], Answer)
    refused = replies[8]
    assert isinstance(refused, Unsent)
    assert refused.retry_after_s > 0
    cancel = await http.ask("DELETE", "/v2/orders/1", need=Need.CANCEL)
    assert isinstance(cancel, Answer)
    assert len(server.seen) == 9
    await http.close()


@pytest.mark.parametrize(
    ("headers", "waits"),
    [({"Retry_After": "7"}, 7.0), ({}, 1.0), ({"Retry_After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 1.0)],
)
async def test_too_many_requests_means_not_taken(
    server: ByteServer, client: HttpClient, headers: dict[str, str], waits: float
) -> None:
    server.play(says(429, {"message": "rate limit exceeded"}, **headers), says(200, OK))
    assert await ask(client) == Unsent("the broker's rate limit", waits)
    held = await ask(client)
    assert isinstance(held, Unsent)
    assert len(server.seen) == 1


async def test_too_many_requests_says_when_by_its_reset(
    server: ByteServer, client: HttpClient, clock: HandClock
) -> None:
    server.play(says(429, b"slow down", X_RateLimit_Reset=str(int(clock.now().timestamp()) + 9)))
    assert await ask(client) == Unsent("the broker's rate limit", 9.0)


async def test_the_brokers_own_count_slows_us_down(server: ByteServer, client: HttpClient) -> None:
    server.play(says(200, OK, X_RateLimit_Remaining="121"))
    replies = [await ask(client) for _ in range(3)]
    assert [type(reply) for reply in replies] == [Answer, Answer, Unsent]


@pytest.mark.parametrize("name", ["connect_s", "total_s", "idle_s", "connections_max", "body_bytes_max"])
def test_a_bound_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        HttpLimits(**{name: 0})


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "", " a", "é"])
def test_a_header_that_would_begin_another_is_refused(clock: HandClock, value: str) -> None:
    with pytest.raises(ValueError, match="X-Key"):
        HttpClient(
            URL("http://127.0.0.1:1"),
            headers={"X-Key": value},
            allowance=Allowance(per_minute=1, clock=clock),
            limits=LIMITS,
        )


@pytest.mark.parametrize("target", ["//evil.example/\r\nX: y", "/a b", "http://evil.example/", "", "/é"])
async def test_a_target_that_is_no_path_is_refused(client: HttpClient, target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        await client.ask("GET", target)
