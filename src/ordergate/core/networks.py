"""Whether an address is where it should be, and which addresses count as one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network

NETWORK_BITS: Final = 64
"""Of an IPv6 address: whoever has one has all others with the same beginning."""
SITE_BITS: Final = 48
"""Of an IPv6 address: the most that one subscriber is usually given."""


def is_within(peer: str, networks: Iterable[Network]) -> bool:
    """Also where one of IPv4 is written as one of IPv6. What is no address is in none."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)


def network_of(address: str) -> str:
    """What counts as one address where something is bounded by it: of IPv6 what a single machine is given."""
    return _of_ipv6(address, NETWORK_BITS) if ":" in address else address


def site_of(address: str) -> str:
    """What belongs to one subscriber: of IPv6 all that one is given, of IPv4 the address."""
    return _of_ipv6(address, SITE_BITS) if ":" in address else address


@lru_cache(maxsize=4_096)
def _of_ipv6(address: str, bits: int) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found.packed, bits), strict=False))
