"""`clients`: registered straight in the database, noticed by a running gateway, disabled again."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey

from ordergate.security.postgres import PostgresStore
from ordergate.wiring import databases
from ordergate.wiring.registry import on_store
from tests.cli.asking import COMMAND_S_MAX, Desk, Said, ordergate, wait_until
from tests.fixtures.house import house


@pytest.fixture
def name() -> str:
    return f"desk-{secrets.token_hex(4)}"


def clients(desk: Desk, *words: str) -> Said:
    return ordergate("clients", *words, "--data-dir", str(desk.home.data_dir))


def test_a_new_client_can_use_the_gateway_until_it_is_disabled(desk: Desk, name: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    added = clients(desk, "add", name, "--account", "P-DEMO", "--write-profile", str(profile), "--json")
    assert added.code == 0, added.err
    assert "client_secret" not in added.json
    assert profile.stat().st_mode & 0o077 == 0
    _served_at(desk, profile)

    def works() -> bool:
        return ordergate("accounts", "--profile", str(profile)).code == 0

    wait_until(works, "the gateway to notice the client")
    listed = clients(desk, "list", "--json").json["clients"]
    assert [one["enabled"] for one in listed if one["client_id"] == name] == [True]

    assert clients(desk, "disable", name).code == 0
    wait_until(lambda: not works(), "the gateway to notice that it is disabled")
    assert ordergate("accounts", "--profile", str(profile)).code == 3


def _served_at(desk: Desk, profile: Path) -> None:
    """This house was given a port of chance, which its settings do not tell."""
    told = json.loads(profile.read_text(encoding="utf-8"))
    told |= {name: desk.home.running[name] for name in ("base_url", "stream_url", "token_url")}
    profile.write_text(json.dumps(told), encoding="utf-8")


def test_a_program_trades_and_does_nothing_else_unless_it_is_said(desk: Desk, name: str) -> None:
    back = ("--public", "--redirect-uri", "https://app.example/back")
    for which, words in (("", ()), ("-risk", ("--scope", "risk:write")), ("-app", back)):
        said = clients(desk, "add", name + which, "--account", "P-DEMO", *words)
        assert said.code == 0, said.err
    listed = clients(desk, "list", "--json").json["clients"]
    scopes = {one["client_id"]: set(one["scopes"]) for one in listed}
    assert scopes[name] == {
        "orders:read", "orders:write", "accounts:read", "market-data:read", "risk:read",
    }  # fmt: skip
    assert scopes[f"{name}-risk"] == {"risk:write"}
    assert {"risk:write", "operations:write"} <= scopes[f"{name}-app"]
    assert not any(scope.startswith("access:") for scope in scopes[f"{name}-app"])


def test_the_secret_is_shown_once_and_a_client_is_not_replaced_by_mistake(desk: Desk, name: str) -> None:
    added = clients(desk, "add", name, "--account", "P-DEMO", "--scope", "orders:read", "--json")
    assert len(added.json["client_secret"]) >= 40
    again = clients(desk, "add", name, "--account", "P-DEMO")
    assert again.code == 1
    assert "--replace" in again.err
    replaced = clients(desk, "add", name, "--account", "P-DEMO", "--replace", "--json")
    assert replaced.json["client_secret"] != added.json["client_secret"]
    said = clients(desk, "list")
    assert name in said.out
    assert replaced.json["client_secret"] not in said.out


def test_a_replaced_secret_serves_as_long_as_is_said(desk: Desk, name: str) -> None:
    def secret(*words: str) -> str:
        said = clients(desk, "add", name, "--account", "P-DEMO", *words, "--json")
        assert said.code == 0, said.err
        return str(said.json["client_secret"])

    def is_let_in(told: str) -> bool:
        asked = {"grant_type": "client_credentials"}
        url = desk.home.running["token_url"]
        answer = httpx.post(url, data=asked, auth=(name, told), timeout=COMMAND_S_MAX)
        return answer.status_code == 200

    first = secret()
    second = secret("--replace", "--overlap", "3600")
    wait_until(lambda: is_let_in(second), "the gateway to notice the second secret")
    assert is_let_in(first)
    third = secret("--replace")
    wait_until(lambda: is_let_in(third), "the gateway to notice the third secret")
    assert not is_let_in(second)
    assert not is_let_in(first)
    assert clients(desk, "add", name, "--account", "P-DEMO", "--replace", "--overlap", "86401").code == 2


def test_a_profile_that_cannot_be_written_leaves_the_client_the_secret_it_has(
    desk: Desk, name: str, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.json"
    assert clients(desk, "add", name, "--account", "P-DEMO", "--write-profile", str(profile)).code == 0
    before = profile.read_bytes()
    registered = kept(desk, name)
    again = ("add", name, "--account", "P-DEMO", "--replace", "--write-profile")
    (tmp_path / "taken").mkdir()
    for place in (tmp_path / "no" / "folder.json", tmp_path / "taken"):
        said = clients(desk, *again, str(place))
        assert said.code == 5
        assert f"cannot write {place}" in said.err
        assert kept(desk, name) == registered
    assert clients(desk, "add", name, "--account", "P-DEMO", "--write-profile", str(profile)).code == 1
    assert clients(desk, "add", name, "--account", "P-NO", *again[4:], str(profile)).code == 1
    assert profile.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [profile, tmp_path / "taken"], "no draft is left"


def kept(desk: Desk, name: str) -> str | None:
    """The hash of the client's secret."""

    async def ask(store: PostgresStore) -> str | None:
        found = {client.client_id: client.secret_hash for client in (await store.load(0)).clients}
        return found[name]

    return on_store(databases.settings_of(None, desk.home.data_dir), ask)


def test_a_profile_is_for_a_secret_and_none_is_asked_for_without_one(
    desk: Desk, name: str, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.json"
    for words in (("--cli",), ("--public", "--redirect-uri", "https://desk.example/back")):
        said = clients(desk, "add", name, "--account", "P-DEMO", *words, "--write-profile", str(profile))
        assert said.code == 2
        assert "--write-profile is for a client with a secret" in said.err
    assert not profile.exists()
    assert name not in clients(desk, "list").out


def test_the_house_goes_on_with_another_secret_of_its_own_client(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        home.stop()
        words = ("--account", "P-DEMO", "--replace", "--write-profile", str(home.profile))
        replaced = clients(Desk(home), "add", "demo", *words)
        assert replaced.code == 0, replaced.err
        secret = json.loads(home.profile.read_text(encoding="utf-8"))["client_secret"]
        home.restart()
        assert home.running["client_secret"] == secret
        assert Desk(home).ask("accounts").code == 0


def test_what_cannot_be_registered_is_refused(desk: Desk, name: str) -> None:
    for words, sentence in (
        (("add", name, "--account", "P-OTHER"), "has no account P-OTHER"),
        (("add", "no such name", "--account", "P-DEMO"), "a client id is"),
        (("disable", name), "there is no client"),
    ):
        said = clients(desk, *words)
        assert said.code == 1
        assert sentence in said.err
    assert clients(desk, "add", name).code == 2
    assert clients(desk, "add", name, "--account", "P-DEMO", "--scope", "all").code == 2


def test_a_client_of_keys_or_of_people_has_no_secret(desk: Desk, name: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    jwk = {**ECKey.generate_key("P-256", private=True).as_dict(private=False), "kid": "k1"}
    keys.write_text(json.dumps({"keys": [jwk]}), encoding="utf-8")
    account = ("--account", "P-DEMO", "--json")

    of_keys = clients(desk, "add", name, *account, "--public-keys", str(keys), "--sender", "dpop")
    of_people = clients(
        desk, "add", f"{name}-app", *account, "--public", "--redirect-uri", "https://desk.example/back"
    )
    of_nothing = clients(desk, "add", f"{name}-no", *account, "--public")

    for said in (of_keys, of_people):
        assert said.code == 0, said.err
        assert "client_secret" not in said.json
    assert of_nothing.code == 1


def test_a_person_is_registered_once_and_disabled(desk: Desk, name: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse battery staple\n", encoding="utf-8")
    short = tmp_path / "short"
    short.write_text("horse", encoding="utf-8")

    def users(*words: str) -> Said:
        return ordergate("users", *words, "--data-dir", str(desk.home.data_dir))

    added = users("add", name, "--account", "P-DEMO", "--password-file", str(password), "--json")
    assert added.code == 0, added.err
    assert added.json["second_factor"].startswith("otpauth://totp/")
    assert "--replace" in users("add", name, "--account", "P-DEMO", "--password-file", str(password)).err
    assert users("add", f"{name}-b", "--account", "P-DEMO", "--password-file", str(short)).code == 1
    assert users("disable", name).code == 0
    (found,) = (one for one in users("list", "--json").json["users"] if one["user_id"] == name)
    assert (found["enabled"], found["second_factor"]) == (False, True)


def test_keys_are_rotated_beside_a_running_gateway(desk: Desk) -> None:
    jwks = desk.home.running["base_url"] + "/.well-known/jwks.json"

    def published() -> set[str]:
        answer = httpx.get(jwks, trust_env=False, timeout=COMMAND_S_MAX)
        return {key["kid"] for key in answer.json()["keys"]}

    before = published()
    planned = ordergate("keys", "rotate", "tokens", "--json", "--data-dir", str(desk.home.data_dir))
    assert planned.code == 0, planned.err
    wait_until(lambda: planned.json["kid"] in published(), "the new key to be published")
    assert before <= published(), "what the old key signed is still good"

    data_dir = str(desk.home.data_dir)
    emergency = ordergate("keys", "rotate", "tokens", "--emergency", "--json", "--data-dir", data_dir)
    assert emergency.code == 0, emergency.err
    wait_until(lambda: published() == {emergency.json["kid"]}, "the old keys to be gone")


@pytest.mark.parametrize("amount", ["abc", "nan", "1e9"])
def test_a_bound_that_is_no_amount_is_a_sentence(amount: str) -> None:
    said = ordergate("clients", "add", "algo", "--account", "P-DEMO", "--max-notional", amount)
    assert (said.code, said.out) == (2, "")
    assert "--max-notional must be a decimal number" in said.err
