"""Whether an address is where it should be."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def is_within(peer: str, networks: Iterable[Network]) -> bool:
    """Also where one of IPv4 is written as one of IPv6. What is no address is in none."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
