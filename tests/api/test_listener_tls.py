"""TLS that ends in the gateway, over real sockets: what it speaks, whom it believes, and nothing in clear."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from ordergate.api.certificates import server_context
from tests.api.books import Books
from tests.api.people import TRADER, deps_of
from tests.api.served import PATIENCE_S, Served, serving
from tests.api.test_bound_tokens import Authority

FORWARD_SECRET = ("ECDHE-", "TLS_")  # every suite of TLS 1.3 has it


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    certificate, key, _ = authority.signed("server")
    return server_context(certificate, key, str(authority.root))


@pytest.fixture
async def served(books: Books, context: ssl.SSLContext) -> AsyncIterator[Served]:
    async with serving(deps_of(books), ssl_context_factory=lambda *_: context) as here:
        yield here


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.root))


async def asked(served: Served, how: ssl.SSLContext | None) -> tuple[str | None, bytes]:
    """The version that was agreed on, and the status line of an answer."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=how)
        try:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
            spoken = writer.get_extra_info("ssl_object")
            return None if spoken is None else spoken.version(), (await reader.read()).partition(b"\r\n")[0]
        finally:
            writer.close()


async def test_the_newest_version_is_preferred_and_the_one_before_it_spoken(
    served: Served, authority: Authority
) -> None:
    assert await asked(served, trusting(authority)) == ("TLSv1.3", b"HTTP/1.1 200 OK")
    older = trusting(authority)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await asked(served, older) == ("TLSv1.2", b"HTTP/1.1 200 OK")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_are_not_spoken(served: Served, authority: Authority) -> None:
    old = trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asked(served, old)


def test_every_cipher_suite_is_authenticated_and_has_forward_secrecy(context: ssl.SSLContext) -> None:
    suites = context.get_ciphers()
    assert suites
    for suite in suites:
        assert suite["name"].startswith(FORWARD_SECRET), suite["name"]
        assert "Mac=AEAD" in suite["description"], suite["name"]
        assert suite["strength_bits"] >= 128, suite["name"]
        assert suite["protocol"] == "TLSv1.3" or "AESGCM" in suite["description"], suite["name"]


async def test_a_weak_cipher_suite_is_not_agreed_on(served: Served, authority: Authority) -> None:
    weak = trusting(authority)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE+AES+SHA256:@SECLEVEL=0")  # not authenticated as a whole
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asked(served, weak)


async def test_a_certificate_of_an_authority_that_is_not_ours_ends_the_connection(
    served: Served, authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    stranger = Authority(folder)
    file, key, _ = stranger.signed("stranger")
    posing = trusting(authority)
    posing.load_cert_chain(file, key)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version, line = await asked(served, posing)
        assert line == b"", f"{version} {line!r}"
        raise ConnectionResetError


async def test_nothing_is_answered_in_clear(served: Served) -> None:
    try:
        _, line = await asked(served, None)
    except ConnectionError:
        return
    assert line == b""


async def test_a_stream_is_opened_over_tls_and_not_in_clear(served: Served, authority: Authority) -> None:
    headers = {"authorization": f"Bearer {TRADER}"}
    over_tls = served.stream_url.replace("ws:", "wss:")
    async with connect(over_tls, ssl=trusting(authority), additional_headers=headers) as socket:
        async with asyncio.timeout(PATIENCE_S):
            assert json.loads(await socket.recv())["authenticated"] is True
    with pytest.raises((InvalidMessage, OSError)):
        await connect(served.stream_url, additional_headers=headers)
