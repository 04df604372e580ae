"""Posts to addresses that others chose, and to no place inside: connected to exactly as looked at.

Private, local and otherwise special networks are refused, in every way of writing them; redirects are
not followed and are failures; proxies of the environment are not used; an answer's body is not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

TIMEOUT_S: Final = 15.0
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """The address is one that nobody outside may have us speak to."""


class Failed(Exception):
    """The message was not taken. `gone` says that the endpoint wants no more."""

    def __init__(self, why: str, *, gone: bool = False) -> None:
        super().__init__(why)
        self.gone = gone


def check_url(text: str, *, inside: bool) -> URL:
    """The URL, if it may be posted to. `inside` lets this machine and plain http through, for paper."""
    try:
        url = URL(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no URL") from error
    if url.scheme != "https" and not (inside and url.scheme == "http"):
        raise Refused("a webhook is posted over https")
    if url.user is not None or url.password is not None or not url.host:
        raise Refused("a webhook's URL has a host and no login")
    if not inside:
        with suppress(ValueError):  # a name: looked at when it is resolved
            check_address(url.host)
    return url


def check_address(text: str) -> None:
    """Raises Refused for an address that is not public, ValueError for what is no address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if within is not None:
            check_address(str(within))
        if address in _NAT64 or address.is_site_local:
            raise Refused(f"{address} leads into another network")
    if not address.is_global or address.is_multicast or address.is_reserved:
        raise Refused(f"{address} is not a public address")


class PublicResolver(AbstractResolver):
    """Resolves a name once, and gives out only addresses that were looked at."""

    def __init__(self, *, inside: bool) -> None:
        self._inside = inside

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, where in found:
            address = str(where[0])
            if not self._inside:
                check_address(address)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""


class Poster:
    """Posts with a limit on time; one for each gateway."""

    def __init__(self, *, inside: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._inside = inside
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Returns when it was taken. Raises Failed."""
        try:
            target = check_url(url, inside=self._inside)
            async with self._opened().post(
                target, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except Refused as refused:
            raise Failed(str(refused)) from refused
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, Refused):
                cause = cause.__cause__ or getattr(cause, "os_error", None)
            raise Failed(str(cause or error) or type(error).__name__) from error
        if not 200 <= status < 300:
            raise Failed(f"the endpoint answered {status}", gone=status == 410)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = PublicResolver(inside=self._inside)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, resolver=resolver, use_dns_cache=False),
                timeout=self._timeout,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": "ordergate"},
            )
        return self._session
