"""Nobody has us post to a place inside, however it is written."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from ordergate.audit.outbound import Failed, Poster, PublicResolver, Refused, check_address, check_url

INSIDE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b::101:101",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2002:c0a8:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fec0::1",
]
OUTSIDE = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"]
URLS = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https://",
    "https:///path",
    "//example.com/",
    "example.com",
    "",
    "https://user:secret@example.com/",
    "https://user@example.com/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:10.0.0.1]/",
    "https://10.0.0.1:8443/",
    "javascript:alert(1)",
    "https://0.0.0.0/",
]
NAMES = ["localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "0", "0x7f.1"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address: str) -> None:
    with pytest.raises(Refused):
        check_address(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_public_address_is_not(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_leads_inside_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, inside=False)


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_looked_at_when_it_is_resolved(name: str) -> None:
    with pytest.raises((Refused, OSError)):
        await PublicResolver(inside=False).resolve(name, 443, socket.AF_UNSPEC)
    poster = Poster(inside=False)
    with pytest.raises(Failed):
        await poster.post(f"https://{name}/hook", b"{}", {})
    await poster.close()


async def test_a_name_with_one_address_inside_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rebinding server answers: one address for the look, another for the visit."""

    async def answers(*_: object, **__: object) -> list[Any]:
        stream = socket.SOCK_STREAM
        return [
            (socket.AF_INET, stream, 6, "", ("93.184.216.34", 443)),
            (socket.AF_INET, stream, 6, "", ("127.0.0.1", 443)),
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)
    poster = Poster(inside=False)
    with pytest.raises(Failed, match="not a public address"):
        await poster.post("https://rebinding.example/hook", b"{}", {})
    await poster.close()


Handler = Callable[[web.Request], Awaitable[web.Response]]


@pytest.fixture
async def listening() -> AsyncIterator[tuple[str, list[web.Request], dict[str, Handler]]]:
    """A server on this machine: its address, what it was asked, and how it answers."""
    asked: list[web.Request] = []
    answers: dict[str, Handler] = {}

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return await answers[request.path](request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}", asked, answers
    await runner.cleanup()


async def test_redirects_are_failures_and_are_not_followed(
    listening: tuple[str, list[web.Request], dict[str, Handler]],
) -> None:
    base, asked, answers = listening

    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": f"{base}/inside"})

    async def gone(_: web.Request) -> web.Response:
        return web.Response(status=410)

    async def taken(_: web.Request) -> web.Response:
        return web.Response(status=204)

    answers |= {"/moved": elsewhere, "/gone": gone, "/taken": taken}
    poster = Poster(inside=True)
    await poster.post(f"{base}/taken", b"{}", {})
    with pytest.raises(Failed, match="302"):
        await poster.post(f"{base}/moved", b"{}", {})
    with pytest.raises(Failed) as caught:
        await poster.post(f"{base}/gone", b"{}", {})
    assert caught.value.gone
    assert [request.path for request in asked] == ["/taken", "/moved", "/gone"]
    await poster.close()


async def test_an_endpoint_that_hangs_is_a_failure(
    listening: tuple[str, list[web.Request], dict[str, Handler]],
) -> None:
    base, _, answers = listening
    ended = asyncio.Event()

    async def hangs(_: web.Request) -> web.Response:
        await ended.wait()
        return web.Response()

    answers["/hangs"] = hangs
    poster = Poster(inside=True, timeout_s=0.1)
    with pytest.raises(Failed):
        await poster.post(f"{base}/hangs", b"{}", {})
    ended.set()
    await poster.close()
