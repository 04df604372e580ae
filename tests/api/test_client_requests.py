"""A request that is read from the buffer is the one that a parser of all of HTTP reads there."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ordergate.api.client_requests import client_request

USUAL = (
    b"POST /v1/orders HTTP/1.1",
    b"Host: localhost",
    b"Content-Type: application/json",
    b"Content-Length: 2",
)
BODY = b"{}"


def request(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n" + BODY


class Parsed:
    """What httptools makes of the bytes."""

    def __init__(self, data: bytes) -> None:
        self.url = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


NAMES = st.sampled_from(
    [b"X-One", b"Connection", b"Transfer-Encoding", b"Upgrade", b"Expect", b"Host", b"x y", b""]
)
COLONS = st.sampled_from([b": ", b":", b" : "])
VALUES = st.sampled_from(
    [b"keep-alive", b"close", b"chunked", b"websocket", b"100-continue", b"", b" x ", b"a:b"]
)
LINES = st.builds(lambda name, colon, value: name + colon + value, NAMES, COLONS, VALUES)
ODD = st.binary(max_size=12) | LINES | st.sampled_from([b"Content-Length: 2", b"content-length: 02", b" a"])


@given(st.lists(ODD, max_size=4), st.permutations(USUAL[1:]), st.sampled_from([b"", b"POST", b"\r\n"]))
@example([b"Transfer-Encoding: chunked"], list(USUAL[1:]), b"")
@example([b"Content-Length: 1"], list(USUAL[1:]), b"")
@example([b"Connection: keep-alive"], list(USUAL[1:]), b"")
def test_what_is_taken_is_what_a_parser_reads(odd: list[bytes], usual: list[bytes], behind: bytes) -> None:
    data = request(USUAL[0], *usual, *odd)
    found = client_request(data + behind)
    if found is None:
        return
    parsed = Parsed(data[: found.ends])
    assert parsed.complete == 1
    assert (parsed.url, parsed.parser.get_method()) == (b"/v1/orders", b"POST")
    assert parsed.headers == list(found.headers.items())
    assert parsed.body == found.body
    assert parsed.parser.should_keep_alive()
    assert not parsed.parser.should_upgrade()


def test_the_usual_request_is_taken_and_ends_where_the_next_begins() -> None:
    found = client_request(request(*USUAL, b"connection: Keep-Alive") + b"POST ")
    assert found is not None
    assert found.body == BODY
    assert found.ends == len(request(*USUAL, b"connection: Keep-Alive"))
    assert found.headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request(*USUAL)[:-1],
        request(*USUAL).partition(b"\r\n\r\n")[0],
        request(b"POST /v1/orders?a=b HTTP/1.1", *USUAL[1:]),
        request(b"POST /v1/orders HTTP/1.0", *USUAL[1:]),
        request(b"PUT /v1/orders HTTP/1.1", *USUAL[1:]),
        request(*USUAL[:3]),
        request(*USUAL, b"Content-Length: 2"),
        request(*USUAL[:3], b"Content-Length: +2"),
        request(*USUAL[:3], b"Content-Length: 99999999"),
        *(
            request(*USUAL, line)
            for line in (
                b"Transfer-Encoding: chunked",
                b"Connection: close",
                b"Connection: upgrade",
                b"Expect: 100-continue",
                b"Host: localhost",
                b"X-Folded: a\r\n b",
                b"X-Bare: a\nb",
                b"X-Bare: a\rb",
                b"X-Latin: \xe9",
                b"X-Tab: a\tb",
                b"X Y: a",
                b"X-Y : a",
                b": a",
                b"X-Y:a",
                b"X-Y: a ",
                b"no colon",
            )
        ),
    ],
)
def test_everything_else_is_left_alone(data: bytes) -> None:
    assert client_request(data) is None
