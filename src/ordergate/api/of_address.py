"""How often an address may ask, told apart by what it asks for, before anybody knows who it is.

What takes something back or stops it has a bucket of its own, and so has asking for a token to do it with:
whatever else an address does, it spends neither. Decides by method and path alone; who may do it is the
door's to say.
"""

from __future__ import annotations

from typing import Final

from ordergate.api.quotas import Buckets, Rate
from ordergate.core.networks import network_of

_STOPS: Final = frozenset(
    {
        ("PUT", "/v1/dead-man"),
        ("POST", "/v1/kill-switch"),
        ("POST", "/v1/kill-switch/release"),
        ("POST", "/v1/kill-switch/flatten"),
    }
)
_CANCELED: Final = frozenset({"/v1/orders", "/v1/order-groups", "/v1/dead-man"})


def takes_back(method: str, path: str) -> bool:
    """Whether a request is one of those that the door counts as cancels."""
    if method == "DELETE":
        return path == "/v1/orders" or path.rpartition("/")[0] in _CANCELED
    if (method, path) in _STOPS:
        return True
    return method == "POST" and path.startswith("/v1/accounts/") and path.endswith("/flatten")


class OfAddress:
    """Three buckets of one rate for each address."""

    def __init__(self, rate: Rate) -> None:
        self._requests = Buckets(rate)
        self._cancels = Buckets(rate)
        self._logins = Buckets(rate)

    def take(self, peer: str, method: str, path: str, now: float) -> float:
        """0.0, or the seconds until there is room again. What is not asked of the API is not counted."""
        if path.startswith("/v1/"):
            buckets = self._cancels if takes_back(method, path) else self._requests
        elif path.startswith("/oauth/"):
            buckets = self._logins
        else:
            return 0.0
        return buckets.take(network_of(peer), now)

    def is_spent(self, peer: str, now: float) -> bool:
        """True when an order from there would be turned away; counts nothing."""
        return self._requests.is_empty(network_of(peer), now)

    def passed(self, peer: str, now: float) -> None:
        """Count an order that was not asked about."""
        self._requests.take(network_of(peer), now)
