"""Whose address a request came from, behind proxies and without them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ordergate.api.deps import Bounds
from ordergate.api.forwarded import Proxies
from ordergate.api.quotas import Rate
from tests.api.asking import a_key, an_order
from tests.api.books import Books
from tests.api.people import deps_of
from tests.api.served import serving

OURS = Proxies([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (PROXY, b"192.0.2.7", "192.0.2.7"),
        (PROXY, b"192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("2001:db8::5", b"2001:db9::1", "2001:db9::1"),
        (PROXY, b"10.0.0.3", "10.0.0.3"),
    ],
)
def test_what_our_own_proxy_says_is_behind_it_asks(peer: str, forwarded: bytes, client: str) -> None:
    assert OURS.client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", b"127.0.0.1", "192.0.2.7"),  # it is no proxy of ours
        (PROXY, b"127.0.0.1, 192.0.2.7", "192.0.2.7"),  # the client wrote the first part itself
        (PROXY, b"127.0.0.1, unknown", PROXY),
        (PROXY, b"", PROXY),
        (PROXY, b"\xff", PROXY),
        (PROXY, b", ".join([b"10.0.0.9"] * 1_000), "10.0.0.9"),
        ("unknown", b"127.0.0.1", "unknown"),
    ],
)
def test_what_a_client_says_of_itself_is_not_believed(peer: str, forwarded: bytes, client: str) -> None:
    assert OURS.client(peer, forwarded) == client


def test_without_a_proxy_of_ours_the_header_is_nobodys_proof() -> None:
    assert Proxies(()).client("127.0.0.1", b"192.0.2.7") == "127.0.0.1"


async def test_clients_behind_a_proxy_have_quotas_of_their_own(books: Books) -> None:
    """By the short way of an order as well as by the long one."""
    bounds = Bounds(requests_of_peer=Rate(per_s=0.001, burst=1), proxies=(ip_network("127.0.0.0/8"),))
    statuses = []
    async with serving(deps_of(books, bounds=bounds)) as served, served.client() as client:
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            headers = {**a_key(), "x-forwarded-for": address}
            statuses.append((await client.post("/v1/orders", json=an_order(), headers=headers)).status_code)
    assert statuses == [201, 201, 429]
