"""Decides whether a URL may be spoken to at all.

A client is built for one origin and can never leave it: paths are appended, redirects are not
followed, proxies of the environment are not used. A host that is not on the list is a fault at
construction, before any credential is near a socket.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from yarl import URL

_TLS: Final = frozenset({"https", "wss"})
_PLAIN: Final = frozenset({"http", "ws"})


class ForeignHost(ValueError):
    """The URL leads somewhere this process must not speak to."""


def is_loopback(host: str) -> bool:
    """True for this machine itself, by number or by its one well-known name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str, *, hosts: frozenset[str], plain: bool = False) -> URL:
    """`url` as an origin (scheme, host, port), when its host is one of `hosts`.

    Unencrypted schemes pass only where the caller says so, which is never for a real brokerage.
    """
    parsed = URL(url)
    if parsed.scheme not in (_TLS | _PLAIN if plain else _TLS):
        raise ForeignHost(f"scheme {parsed.scheme!r} is not allowed here")
    if parsed.user is not None or parsed.password is not None:
        raise ForeignHost("a URL with credentials in it is not allowed")
    if parsed.host is None or parsed.host not in hosts:
        raise ForeignHost(f"host {parsed.host!r} is not on the list {sorted(hosts)}")
    if parsed.path not in ("", "/") or parsed.query_string or parsed.fragment:
        raise ForeignHost("give scheme, host and port only")
    return parsed.origin()
