"""`tenants`, `desks`, `roles`: a demotion holds for a token that was given out before it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import httpx

from tests.cli.asking import COMMAND_S_MAX, Desk, Said, ordergate, resting, wait_until
from tests.fixtures.house import house

RESTING = {
    "account_id": "P-DEMO",
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "quantity": "1",
    "time_in_force": "gtc",
}


def asked(desk: Desk, *words: str) -> Said:
    return ordergate(*words, "--data-dir", str(desk.home.data_dir), "--json")


def test_whoever_is_demoted_places_no_more_orders_with_the_token_it_has(desk: Desk, tmp_path: Path) -> None:
    name, profile = f"desk-{secrets.token_hex(4)}", tmp_path / "profile.json"
    asked(desk, "clients", "add", name, "--account", "P-DEMO", "--write-profile", str(profile))
    told = json.loads(profile.read_text(encoding="utf-8"))
    told |= {each: desk.home.running[each] for each in ("base_url", "stream_url", "token_url")}
    profile.write_text(json.dumps(told), encoding="utf-8")

    def code_of(*words: str) -> int:
        return ordergate(*words, "--profile", str(profile)).code

    wait_until(lambda: code_of("accounts") == 0, "the gateway to notice the client")
    given = asked(desk, "roles", "give", name, "viewer", "--account", "P-DEMO")
    assert given.json["version"] == 2, given.err
    wait_until(lambda: code_of("orders", "cancel-all") != 0, "the demotion")
    assert code_of("accounts") == 0
    assert "viewer of account P-DEMO" in ordergate("whoami", "--profile", str(profile)).out

    assert asked(desk, "roles", "take", name, "viewer", "--account", "P-DEMO").json["version"] == 3
    wait_until(lambda: not ordergate("accounts", "--profile", str(profile)).out.count("P-DEMO"), "no role")
    listed = asked(desk, "roles", "list").json
    assert [one["version"] for one in listed["subjects"] if one["name"] == name] == [3]
    assert name not in {one["subject"] for one in listed["roles"]}


def test_roles_name_what_there_is(desk: Desk) -> None:
    assert "orders:write" not in ordergate("roles", "show", "--json").json["roles"]["risk_manager"]
    assert asked(desk, "roles", "give", "ann", "trader", "--account", "P-NONE").code == 1
    assert asked(desk, "roles", "give", "ann", "trader", "--desk", "nowhere").code == 1
    assert asked(desk, "roles", "take", "ann", "trader").code == 1
    assert asked(desk, "roles", "give", "ann", "trader", "--desk", "a", "--account", "P-DEMO").code == 2
    assert asked(desk, "roles", "let-in", "nobody").code == 1

    tenant = asked(desk, "tenants", "list").json["tenants"][0]
    assert tenant["accounts"] == ["P-DEMO"]
    assert asked(desk, "desks", "add", "rates").json == {"tenant": tenant["tenant"], "desk": "rates"}
    assert asked(desk, "desks", "add", "rates", "--tenant", "nowhere").code == 1
    assert asked(desk, "tenants", "add", "two words").code == 1
    assert asked(desk, "roles", "give", "ann", "trader", "--desk", "rates").json["version"] == 2
    assert asked(desk, "roles", "keep-out", "ann").json["enabled"] is False
    assert asked(desk, "roles", "let-in", "ann").json["enabled"] is True


def test_strategies_are_registered_listed_and_disabled(desk: Desk, tmp_path: Path) -> None:
    tenant = f"firm-{secrets.token_hex(4)}"  # one of its own: the other tests' orders name what they like
    assert asked(desk, "tenants", "add", tenant).code == 0
    words = ("mean", "--version", "2", "--tenant", tenant)
    assert asked(desk, "strategies", "disable", *words).code == 1
    added = asked(desk, "strategies", "add", *words, "--owner", "user:ann")
    assert added.json["enabled"] is True, added.err
    assert asked(desk, "strategies", "add", "a b", "--owner", "user:ann", "--tenant", tenant).code == 1
    assert asked(desk, "strategies", "add", "mean", "--owner", "ann", "--tenant", "nowhere").code == 1
    assert asked(desk, "strategies", "disable", *words).json["enabled"] is False

    listed = [one for one in asked(desk, "strategies", "list").json["strategies"] if one["tenant"] == tenant]
    assert listed == [
        {"tenant": tenant, "name": "mean", "version": "2", "owner": "user:ann", "enabled": False}
    ]


def test_a_running_gateway_refuses_the_orders_of_others(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        desk = Desk(home)
        token = ordergate("token", "--profile", str(home.profile)).out.strip()

        def place(strategy: str | None) -> str:
            named = {} if strategy is None else {"strategy": strategy}
            order = {**RESTING, "limit_price": resting()[-1], **named}
            headers = {"authorization": f"Bearer {token}", "idempotency-key": secrets.token_hex(16)}
            url = home.running["base_url"] + "/v1/orders"
            answer = httpx.post(url, json=order, headers=headers, timeout=COMMAND_S_MAX)
            return "placed" if answer.status_code == 201 else str(answer.json()["code"])

        assert place("anything") == "placed"
        assert asked(desk, "strategies", "add", "mean", "--owner", "user:ann").code == 0
        wait_until(lambda: place("anything") == "strategy-unknown", "the gateway to notice")
        assert [place("mean"), place(None)] == ["placed", "placed"]
        assert asked(desk, "strategies", "disable", "mean").code == 0
        wait_until(lambda: place("mean") == "strategy-disabled", "the gateway to notice")
