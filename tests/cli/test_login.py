"""A person logs in from the command line, acts, and logs out; a stolen profile is of no use."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ordergate.security.hashing import matches
from ordergate.security.people.password_change import CHANGED
from ordergate.security.persons import Person
from ordergate.security.postgres import PostgresStore
from ordergate.telemetry.secret import Secret
from ordergate.wiring import databases
from ordergate.wiring.registry import on_store
from tests.cli.asking import Desk, Said, ended, ordergate, process, resting, wait_until
from tests.cli.browser import PASSWORD, Browser
from tests.cli.test_users import added

_PAGE = re.compile(r"log in within a minute at (\S+)")


@pytest.fixture(scope="module")
def person(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Somebody of the house, and the program that people log in with."""
    folder, name = str(desk.home.data_dir), f"ann-{secrets.token_hex(4)}"
    password = tmp_path_factory.mktemp("person") / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    where = ("--account", "P-DEMO", "--data-dir", folder)
    added = ordergate("clients", "add", "cli", "--cli", *where)
    assert added.code == 0 or "there is a client" in added.err, added.err
    made = ordergate("users", "add", name, "--no-second-factor", "--password-file", str(password), *where)
    assert made.code == 0, made.err
    await_news(desk, password.parent)
    return name


def await_news(desk: Desk, folder: Path) -> None:
    """A gateway that has heard of a program has heard of everybody who was added before it."""
    program = f"cli-{secrets.token_hex(4)}"
    where = ("--account", "P-DEMO", "--data-dir", str(desk.home.data_dir))
    assert ordergate("clients", "add", program, "--cli", *where).code == 0
    running, _ = begun(desk, "--client", program, "--profile", str(folder / "news.json"))
    running.terminate()
    ended(running)


@pytest.fixture
def profile(desk: Desk, person: str, tmp_path: Path) -> Path:
    """The profile of that person, logged in."""
    file = tmp_path / "mine" / "client.json"
    said = log_in(desk, person, file)
    assert said.code == 0, said.err
    return file


def log_in(desk: Desk, name: str, file: Path, *words: str, decision: str = "allow") -> Said:
    """As a person does: the command, the browser, and back."""
    running, page = begun(desk, "--profile", str(file), *words)
    Browser(name, decision=decision).visit(page)
    return ended(running)


def begun(desk: Desk, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A login, and the page it names: again while the gateway has not heard of the program yet."""
    found: list[tuple[subprocess.Popen[str], str]] = []

    def begins() -> bool:
        running = process("login", "--url", desk.home.running["base_url"], "--no-browser", "--json", *words)
        page = page_of(running)
        if page is None:
            said = ended(running)
            assert said.code == 3, said.err
        else:
            found.append((running, page))
        return page is not None

    wait_until(begins, "a login to begin")
    return found[0]


def page_of(running: subprocess.Popen[str]) -> str | None:
    """None when it ended without one."""
    assert running.stderr is not None
    matches = map(_PAGE.search, running.stderr)
    return next((found[1] for found in matches if found is not None), None)


def login_file(profile: Path) -> Path:
    return profile.with_name("client.json.private") / "login.json"


def change(file: Path, **values: Any) -> dict[str, Any]:
    told: dict[str, Any] = {**json.loads(file.read_bytes()), **values}
    file.write_text(json.dumps(told), encoding="utf-8")
    return told


def test_a_person_logs_in_places_an_order_and_logs_out(desk: Desk, person: str, profile: Path) -> None:
    private = profile.with_name("client.json.private")
    modes = {place.name: place.stat().st_mode & 0o777 for place in (private, *private.iterdir())}
    assert modes.pop(private.name) == 0o700
    assert set(modes.values()) == {0o600}
    assert profile.stat().st_mode & 0o077 == 0
    assert "refresh" not in profile.read_text(encoding="utf-8")

    me = ordergate("whoami", "--profile", str(profile), "--json").json
    placed = ordergate("orders", "place", *resting(), "--profile", str(profile), "--json")
    token = ordergate("token", "--profile", str(profile))
    kept = json.loads(login_file(profile).read_bytes())
    out = ordergate("logout", "--profile", str(profile))

    assert (me["env"], me["subject"], me["client_id"]) == ("paper", person, f"cli:{person}")
    assert [one["account_id"] for one in me["accounts"]] == ["P-DEMO"]
    assert me["roles"] == []
    assert me["token_expires_at"] > me["logged_in_at"]
    assert placed.code == 0, placed.err
    assert (token.code, token.out) == (1, "")
    assert out.code == 0, out.err
    assert [one.name for one in private.iterdir()] == ["lock"]
    after = ordergate("accounts", "--profile", str(profile), "--json")
    assert (after.code, after.json["code"]) == (3, "login-over")
    assert "ordergate login --profile" in after.err
    login_file(profile).write_text(json.dumps(kept), encoding="utf-8")
    login_file(profile).chmod(0o600)
    again = ordergate("accounts", "--profile", str(profile), "--json")
    assert again.code == 3, "what was revoked is of no use to whoever had copied it"
    ordergate("orders", "cancel", placed.json["id"], "--profile", str(desk.home.profile))


def test_a_person_who_says_no_is_logged_in_nowhere(desk: Desk, person: str, tmp_path: Path) -> None:
    said = log_in(desk, person, tmp_path / "client.json", decision="deny")

    assert (said.code, said.json["code"]) == (1, "access-denied")
    assert not (tmp_path / "client.json").exists()


def test_a_login_by_a_password_is_not_taken_for_one_by_two_factors(
    desk: Desk, person: str, tmp_path: Path
) -> None:
    said = log_in(desk, person, tmp_path / "client.json", "--two-factors")

    assert said.code == 1
    assert "two factors" in said.err


def test_a_login_for_less_allows_no_more(desk: Desk, person: str, tmp_path: Path) -> None:
    file = tmp_path / "client.json"
    assert log_in(desk, person, file, "--scope", "orders:read", "--scope", "accounts:read").code == 0

    assert ordergate("accounts", "--profile", str(file)).code == 0
    refused = ordergate("orders", "place", *resting(), "--profile", str(file), "--json")
    assert (refused.code, refused.json["code"]) == (1, "forbidden")


def test_a_programs_profile_is_not_written_over(desk: Desk) -> None:
    before = Path(desk.home.profile).read_bytes()

    for words in ((), ("--url", desk.home.running["base_url"])):
        said = desk.ask("login", *words)
        assert said.code == 2
        assert "is a program's" in said.err
    assert desk.ask("logout").code == 2
    assert Path(desk.home.profile).read_bytes() == before


def test_commands_at_once_renew_the_token_once(profile: Path) -> None:
    """The second use of a refresh token would end the login of them all."""
    before = change(login_file(profile), renew_at=0)

    commands = [process("accounts", "--profile", str(profile), "--json") for _ in range(3)]
    said = [ended(running) for running in commands]

    assert [one.code for one in said] == [0, 0, 0], [one.err for one in said]
    after = json.loads(login_file(profile).read_bytes())
    assert after["refresh_token"] != before["refresh_token"]
    assert after["since"] == before["since"]
    change(login_file(profile), renew_at=0)
    assert ordergate("accounts", "--profile", str(profile)).code == 0, "the login is still good"


def test_a_token_that_is_refused_is_renewed_once(profile: Path) -> None:
    before = change(login_file(profile), access_token="no.such.token")

    assert ordergate("accounts", "--profile", str(profile)).code == 0
    assert json.loads(login_file(profile).read_bytes())["refresh_token"] != before["refresh_token"]


def test_a_stolen_profile_is_of_no_use_without_its_key(profile: Path, tmp_path: Path) -> None:
    stolen = tmp_path / "stolen" / "client.json"
    login_file(stolen).parent.mkdir(parents=True, mode=0o700)
    shutil.copy(profile, stolen)
    shutil.copy(login_file(profile), login_file(stolen))

    with_the_token = ordergate("accounts", "--profile", str(stolen), "--json")
    change(login_file(stolen), renew_at=0)
    with_the_login = ordergate("accounts", "--profile", str(stolen), "--json")

    assert (with_the_token.code, with_the_token.json["code"]) == (3, "invalid-dpop-proof")
    assert (with_the_login.code, with_the_login.json["code"]) == (3, "login-over")
    assert ordergate("accounts", "--profile", str(profile)).code == 0, "and does not end the true one"


def test_a_login_is_shown_to_no_other_gateway(profile: Path) -> None:
    change(profile, token_url="https://gateway.example/oauth/token")

    said = ordergate("accounts", "--profile", str(profile), "--json")

    assert (said.code, said.json["code"]) == (3, "login-over")


def test_what_others_may_read_is_not_used(profile: Path) -> None:
    private = profile.with_name("client.json.private")
    for place in (private, private / "sender.jwk", private / "login.json"):
        mode = place.stat().st_mode
        place.chmod(mode | 0o040)
        said = ordergate("accounts", "--profile", str(profile))
        place.chmod(mode)
        assert said.code == 2
        assert "is open to others" in said.err


@pytest.mark.parametrize("url", ["http://gateway.example", "ftp://127.0.0.1", "gateway.example", ""])
def test_nobody_logs_in_where_others_can_read_along(tmp_path: Path, url: str) -> None:
    nowhere = tmp_path / "client.json"
    said = ordergate("login", "--url", url, "--profile", str(nowhere))

    assert said.code == 2
    assert not nowhere.exists()


def test_who_has_lost_their_password_chooses_another_by_a_reset(desk: Desk, tmp_path: Path) -> None:
    name, client = (f"{what}-{secrets.token_hex(4)}" for what in ("ann", "cli"))
    told = added(desk, name, "a password that is long", tmp_path)
    where = ("--data-dir", str(desk.home.data_dir), "--json")
    # The person, and then the program, so that a gateway that knows of it knows of both.
    assert ordergate("clients", "add", client, "--cli", "--account", "P-DEMO", *where).code == 0
    code = ordergate("users", "reset", name, *where).json["code"]
    running, page = begun(desk, "--client", client, "--profile", str(tmp_path / "client.json"))

    answer = Browser(name, told.json["second_factor"]).change_password(page, code, "one of her own choosing")

    running.terminate()
    ended(running)
    assert (answer.status_code, CHANGED in answer.text) == (200, True), answer.text
    (person,) = on_store(databases.settings_of(None, desk.home.data_dir), partial(_people, name))
    assert matches(person.password_hash, Secret("one of her own choosing"))


async def _people(name: str, store: PostgresStore) -> list[Person]:
    return [person for person in (await store.load(0)).people if person.user_id == name]
