"""Which addresses count as one, wherever something is bounded by address."""

from __future__ import annotations

import pytest

from ordergate.core.networks import network_of, site_of


@pytest.mark.parametrize(
    ("address", "network", "site"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("unknown", "unknown", "unknown"),
        ("a:b", "a:b", "a:b"),
    ],
)
def test_of_ipv6_what_belongs_together_is_one(address: str, network: str, site: str) -> None:
    assert (network_of(address), site_of(address)) == (network, site)
