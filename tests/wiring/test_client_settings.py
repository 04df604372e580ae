"""What a settings file says of clients becomes the bounds of the public face."""

from __future__ import annotations

from typing import Any

import pytest

from ordergate.api.deps import GENEROUS, Bounds
from ordergate.api.places import Room
from ordergate.api.quotas import Rate
from ordergate.wiring.client_settings import bounds_of
from ordergate.wiring.settings import CannotStart, Settings, parse


def settings(**changes: Any) -> Settings:
    plain = {"environment": "paper", "data_dir": "data", "instruments": [], "brokers": {}, "accounts": {}}
    return parse({**plain, **changes}, "test")


def bounds(**changes: Any) -> Bounds:
    given = settings(**changes)
    return bounds_of(given.quotas, given.streams, origins=given.origins, proxies=given.trusted_proxies)


def test_what_is_not_said_is_as_usual() -> None:
    assert bounds() == Bounds()


def test_quotas_and_streams_are_taken_over() -> None:
    rate = {"per_s": 5, "burst": 7}
    found = bounds(
        quotas={
            "client": {"orders": rate, "cancels": rate, "reads": rate, "changes": rate},
            "address": {"per_s": 9, "burst": 9},
        },
        streams={
            "messages": {"per_s": 100, "burst": 100},
            "client": 2,
            "tenant": 3,
            "address": 4,
            "all": 5,
            "strangers": 6,
            "strangers_of_address": 1,
        },
        origins=["https://desk.example"],
        trusted_proxies=["10.0.0.0/8"],
    )
    five = Rate(per_s=5, burst=7)
    assert (found.of_client.orders, found.of_client.changes) == (five, five)
    assert found.of_tenant is None
    assert found.requests_of_peer == Rate(per_s=9, burst=9)
    assert found.stream_messages == Rate(per_s=100, burst=100)
    assert found.streams == Room(
        of_client=2, of_tenant=3, of_address=4, in_all=5, strangers=6, strangers_of_address=1
    )
    assert found.origins == {"https://desk.example"}
    assert [str(network) for network in found.proxies] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    "wrong",
    [{"client": 0}, {"clients": 1}, {"messages": {"per_s": 0, "burst": 1}}, {"messages": 100}],
)
def test_impossible_streams_stop_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(CannotStart):
        settings(streams=wrong)


def test_the_usual_quota_of_a_client_is_generous() -> None:
    assert bounds().of_client == GENEROUS


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({}, {"documentation", "metrics"}),
        ({"admin_port": 8702}, {"documentation"}),
        ({"environment": "live"}, {"metrics"}),
        ({"environment": "live", "admin_port": 8702}, set()),
        ({"environment": "live", "admin_port": 8702, "shown": ["documentation"]}, {"documentation"}),
        ({"admin_port": 8702, "shown": ["metrics"]}, {"metrics"}),
        ({"shown": []}, set()),
    ],
)
def test_what_anybody_sees_at_the_gateways_own_address(said: dict[str, Any], shown: set[str]) -> None:
    assert settings(**said).pages == shown


def test_a_page_that_there_is_not_stops_the_start() -> None:
    with pytest.raises(CannotStart, match="shown"):
        settings(shown=["secrets"])
