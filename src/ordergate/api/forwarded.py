"""Whose address a request came from, when it came through a proxy of ours.

Only a proxy that is named is believed, and only about whoever spoke to it: the list that proxies keep is
read from its end, where our own proxy wrote, up to the first address that is none of ours. What stands
before that a client may have written itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

HEADER: Final = b"x-forwarded-for"
REMEMBERED_MAX: Final = 4_096
ADDRESSES_MAX: Final = 16

Network = IPv4Network | IPv6Network


class Proxies:
    """The networks of our own proxies; none where clients connect by themselves."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._is_ours = lru_cache(maxsize=REMEMBERED_MAX)(self._looked_up)

    def client(self, peer: str, forwarded: bytes | None) -> str:
        """The address that asked; `peer` is who the connection is with."""
        if not self._networks or forwarded is None or not self._is_ours(peer):
            return peer
        for said in reversed(forwarded.decode("latin-1").split(",")[-ADDRESSES_MAX:]):
            address = said.strip()
            if not _is_address(address):
                return peer  # not what a proxy writes: the last address that is certain
            peer = address
            if not self._is_ours(peer):
                return peer
        return peer

    def _looked_up(self, address: str) -> bool:
        if not _is_address(address):
            return False
        return any(ip_address(address) in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
