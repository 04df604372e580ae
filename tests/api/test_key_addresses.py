"""A key that is bounded to networks is refused from elsewhere, known before or not."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from ordergate.core.access import KeyBounds
from tests.api.asking import a_key, an_order
from tests.api.people import TRADER, Directory


@pytest.fixture
def bounded(identity: Directory) -> None:
    bounds = KeyBounds(networks=(ip_network("10.0.0.0/8"),))
    trader = msgspec.structs.replace(identity.principals[TRADER], bounds=bounds)
    identity.principals[TRADER] = trader


def asking(app: FastAPI, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4_711))
    return httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"authorization": f"Bearer {TRADER}"}
    )


@pytest.mark.usefixtures("bounded")
async def test_only_from_where_the_key_is_for(app: FastAPI) -> None:
    async with asking(app, "10.1.2.3") as inside, asking(app, "192.0.2.1") as outside:
        for _ in range(2):
            assert (await inside.get("/v1/accounts")).status_code == 200
            told = await outside.get("/v1/accounts", headers={"x-forwarded-for": "10.1.2.3"})
            assert (told.status_code, told.json()["code"]) == (403, "key-network")
        told = await outside.post("/v1/orders", json=an_order(), headers=a_key())
        assert told.json()["code"] == "key-network"
