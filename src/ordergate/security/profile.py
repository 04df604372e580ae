"""Which authorization server this is: its issuer, its audience and its environment.

Issuer and audience differ between environments, so that a token of one is a stranger in the
other even before anything else is looked at. URLs are https, or http on the loopback interface
of this machine; nothing else is accepted as the name of somebody to be trusted.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from ordergate.core.ids import Env

SKEW_S: Final = 10
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

FOREIGN_S_MAX: Final = 10 * 60
"""How long another issuer's tokens may live in live, and live elsewhere unless the settings say longer."""

_LIFETIME_S: Final = {Env.PAPER: 15 * 60, Env.LIVE: 5 * 60}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Make one with `profile`, which checks it."""

    env: Env
    issuer: str
    audience: str

    @property
    def lifetime_s(self) -> int:
        return _LIFETIME_S[self.env]

    @property
    def resource_path(self) -> str:
        """Where this server says what it is as a protected resource (RFC 9728, 3.1)."""
        return f"/.well-known/oauth-protected-resource/{self.env.value}"

    def url(self, path: str) -> str:
        return self.issuer + path


def profile(env: Env, base_url: str, audience: str | None = None) -> Profile:
    """The profile of a server reached at `base_url`; ValueError says what is wrong with it."""
    issuer = base_url.rstrip("/")
    check_url(issuer)
    return Profile(env=env, issuer=issuer, audience=audience or f"{issuer}/{env.value}")


def check_url(url: str) -> None:
    """ValueError unless the URL may name an issuer or one of its documents."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url!r} has no host")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query or a fragment")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or a password in it names nobody")
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise ValueError(f"{url!r} must use https, or http on the loopback interface")


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK
