"""A machine with IPv6 has no end of addresses; what is bounded by address counts them as one."""

from __future__ import annotations

from typing import Any, Final

import httpx
import msgspec

from ordergate.api.app import ApiDeps, create_app
from ordergate.api.deps import Bounds
from ordergate.api.of_address import OfAddress
from ordergate.api.quotas import Rate
from tests.api.people import TRADER

AT_MOST: Final = Rate(per_s=0.001, burst=2)
MACHINE: Final = tuple(f"2001:db8::{number}" for number in range(1, 4))
ANOTHER: Final = "2001:db8:0:1::1"


async def asked(app: Any, address: str, method: str, path: str, token: str) -> int:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4_711))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        headers = {"authorization": f"Bearer {token}"}
        return (await client.request(method, path, headers=headers, json={})).status_code


async def test_of_tokens_that_are_not_valid(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(failed_logins_of_peer=AT_MOST)))
    told = [
        await asked(app, address, "GET", "/v1/accounts", f"guess-{address}")
        for address in (*MACHINE, ANOTHER)
    ]
    assert told == [401, 401, 429, 401]


async def test_of_requests(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(requests_of_peer=AT_MOST)))
    told = [await asked(app, address, "GET", "/v1/access/me", TRADER) for address in (*MACHINE, ANOTHER)]
    assert told == [200, 200, 429, 200]


async def test_of_refused_alerts(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, bounds=Bounds(refused_alerts_of_peer=AT_MOST)))
    told = [await asked(app, address, "POST", "/v1/hooks/none", "") for address in (*MACHINE, ANOTHER)]
    assert told == [401, 401, 429, 401]


def test_of_orders_that_come_the_short_way() -> None:
    buckets = OfAddress(AT_MOST)
    for address in MACHINE[:2]:
        buckets.passed(address, 0.0)

    assert [buckets.is_spent(address, 0.0) for address in (MACHINE[2], ANOTHER)] == [True, False]
