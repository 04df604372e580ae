"""What is privileged takes a login of a moment ago; what makes things safer never does."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from ordergate.core.access import LOGIN_S_MAX, PASSWORD_ONLY, TWO_FACTORS
from tests.api.asking import a_key
from tests.api.people import EVERYTHING, Directory, principal

WHY = {"reason": "drill"}
RULE = {"level": "account", "target": "P-DEMO", "limits": {"order_quantity_max": "10"}, **WHY}
ORDER = "P-000000000000000001"

PRIVILEGED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "release a stop": ("POST", "/v1/kill-switch/release", WHY),
    "close what is held": ("POST", "/v1/kill-switch/flatten", WHY),
    "resolve an order": ("POST", f"/v1/orders/{ORDER}/resolve", {"as": "canceled", **WHY}),
    "approve a change": ("POST", "/v1/risk/changes/chg-1/approve", WHY),
    "propose what loosens": ("DELETE", "/v1/risk/limits/desk", WHY),
}
SAFER: dict[str, tuple[str, str, dict[str, Any]]] = {
    "engage a stop": ("POST", "/v1/kill-switch", {"grade": "block_new", **WHY}),
    "reject a change": ("POST", "/v1/risk/changes/chg-1/reject", WHY),
    "cancel an order": ("DELETE", f"/v1/orders/{ORDER}", {}),
    "cancel every order": ("DELETE", "/v1/orders?account_id=P-DEMO", {}),
}


async def ask(client: httpx.AsyncClient, what: tuple[str, str, dict[str, Any]]) -> httpx.Response:
    method, path, body = what
    headers = {**a_key(), "if-match": '"1"'}
    return await client.request(method, path, json=body or None, headers=headers)


@pytest.mark.parametrize("what", PRIVILEGED)
async def test_an_old_login_may_not(client: httpx.AsyncClient, identity: Directory, what: str) -> None:
    identity.logged_in_long_ago.add("token-of-trader")

    answer = await ask(client, PRIVILEGED[what])

    assert (answer.status_code, answer.json()["code"]) == (401, "step-up-required")
    assert f"max_age={LOGIN_S_MAX}" in answer.headers["www-authenticate"]
    identity.logged_in_long_ago.clear()
    assert (await ask(client, PRIVILEGED[what])).status_code != 401


@pytest.mark.parametrize("what", SAFER)
async def test_an_old_login_may(client: httpx.AsyncClient, identity: Directory, what: str) -> None:
    identity.logged_in_long_ago.add("token-of-trader")

    assert (await ask(client, SAFER[what])).status_code != 401


@pytest.mark.parametrize(
    ("ago_s", "acr", "is_enough"),
    [
        (0, None, True),
        (LOGIN_S_MAX, TWO_FACTORS, True),
        (LOGIN_S_MAX + 1, TWO_FACTORS, False),
        (-10, None, True),
        (-11, None, False),
        (0, PASSWORD_ONLY, False),
        (None, TWO_FACTORS, False),
    ],
)
def test_a_login_counts_when_it_is_young_and_by_more_than_a_password(
    ago_s: int | None, acr: str | None, is_enough: bool
) -> None:
    auth_time = None if ago_s is None else 1_000 - ago_s
    who = msgspec.structs.replace(principal("anna", EVERYTHING), auth_time=auth_time, acr=acr)

    assert who.logged_in_lately(1_000.0) is is_enough
