"""Administration at its own listener of a running gateway: a program is made, replaced, bounded, ended."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from tests.cli.asking import COMMAND_S_MAX, ordergate, wait_until
from tests.fixtures.house import House

BOUNDS = {"scopes": ["orders:read", "accounts:read"], "accounts": ["P-DEMO"], "reason": "an end-to-end test"}


class Desk:
    def __init__(self, home: House) -> None:
        self.told = home.running

    def token(self, client_id: str, secret: str) -> str | None:
        asked = {"grant_type": "client_credentials"}
        url, login = self.told["token_url"], (client_id, secret)
        answer = httpx.post(url, data=asked, auth=login, timeout=COMMAND_S_MAX)
        return str(answer.json()["access_token"]) if answer.status_code == 200 else None

    def administer(
        self, method: str, path: str, body: Any = None, place: str = "admin_url"
    ) -> httpx.Response:
        token = self.token(self.told["client_id"], self.told["client_secret"])
        headers = {"authorization": f"Bearer {token}"}
        url = self.told[place] + path
        return httpx.request(method, url, json=body, headers=headers, timeout=COMMAND_S_MAX)

    def sees(self, token: str | None, path: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        url = self.told["base_url"] + path
        return httpx.get(url, headers=headers, timeout=COMMAND_S_MAX).status_code


@pytest.fixture
def desk(shared_house: House) -> Desk:
    return Desk(shared_house)


def test_a_program_is_made_replaced_narrowed_and_ended(desk: Desk) -> None:
    name = f"bot-{secrets.token_hex(4)}"
    made = desk.administer("POST", "/v1/clients", {"client_id": name, **BOUNDS})
    assert made.status_code == 201, made.text
    first = made.json()["client_secret"]
    token = desk.token(name, first)
    assert desk.sees(token, "/v1/accounts") == 200

    rotated = desk.administer("POST", f"/v1/clients/{name}/rotate", {"overlap_s": 600, "reason": "old"})
    assert rotated.status_code == 200, rotated.text
    second = rotated.json()["client_secret"]
    assert desk.token(name, first) is not None
    assert desk.token(name, second) is not None
    assert desk.sees(token, "/v1/accounts") == 200

    narrowed = desk.administer("PUT", f"/v1/clients/{name}", {**BOUNDS, "scopes": ["orders:read"]})
    assert narrowed.status_code == 200, narrowed.text
    assert desk.sees(token, "/v1/accounts") == 403  # what was given out before allows no more than the key
    assert desk.sees(token, "/v1/orders") == 200

    ended = desk.administer("POST", f"/v1/clients/{name}/disable", {"reason": "gone"})
    assert ended.json()["enabled"] is False
    assert desk.token(name, second) is None
    shown = desk.administer("GET", f"/v1/clients/{name}")
    assert first not in shown.text
    assert second not in shown.text


def test_nothing_of_it_is_at_the_other_door(desk: Desk) -> None:
    for path in ("/v1/clients", "/v1/strategies", "/v1/access/tenant", "/v1/credentials"):
        assert desk.administer("GET", path, place="base_url").status_code == 404
        assert desk.administer("GET", path).status_code == 200
    for path in ("/v1/accounts", "/v1/kill-switch", "/livez", "/docs", "/oauth/token"):
        assert desk.administer("GET", path).status_code == 404
    assert desk.administer("GET", "/metrics").text.startswith("# HELP ordergate_")


def test_one_person_on_one_machine_sees_the_metrics_where_everything_else_is(desk: Desk) -> None:
    for path in ("/docs", "/metrics"):
        assert desk.administer("GET", path, place="base_url").status_code == 200


def test_a_program_made_elsewhere_is_noticed(desk: Desk, shared_house: House) -> None:
    name = f"bot-{secrets.token_hex(4)}"
    words = ("clients", "add", name, "--account", "P-DEMO", "--data-dir", str(shared_house.data_dir))
    assert ordergate(*words).code == 0
    wait_until(lambda: desk.administer("GET", f"/v1/clients/{name}").status_code == 200, "the new program")
