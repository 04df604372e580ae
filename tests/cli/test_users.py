"""`users`: registered straight in the database, with a password that is long enough, and a reset of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ordergate.security.code_grants import secret_hash
from ordergate.security.passkeys import Passkey
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.persons import CODE_S, Grant, Person
from ordergate.security.postgres import PostgresStore
from ordergate.security.resets import RESET_S, Reset
from ordergate.wiring import databases
from ordergate.wiring.registry import on_store
from tests.cli.asking import Desk, Said, ordergate


@pytest.fixture
def name() -> str:
    return f"anna-{secrets.token_hex(4)}"


def added(desk: Desk, name: str, password: str, folder: Path, *words: str) -> Said:
    file = folder / "password"
    file.write_text(password, encoding="utf-8")
    return ordergate(
        "users", "add", name, "--account", "P-DEMO", "--password-file", str(file), *words,
        "--data-dir", str(desk.home.data_dir), "--json",
    )  # fmt: skip


def test_a_person_gets_a_second_factor_this_once(desk: Desk, name: str, tmp_path: Path) -> None:
    said = added(desk, name, "a password that is long", tmp_path)
    assert said.code == 0, said.err
    assert said.json["second_factor"].startswith("otpauth://totp/")
    listed = ordergate("users", "list", "--data-dir", str(desk.home.data_dir), "--json")
    (person,) = (one for one in listed.json["users"] if one["user_id"] == name)
    assert (person["second_factor"], person["enabled"]) == (True, True)
    assert "password" not in listed.out.replace("second_factor", "")


def test_a_password_that_is_short_is_a_sentence(desk: Desk, name: str, tmp_path: Path) -> None:
    said = added(desk, name, "short", tmp_path)
    assert said.code == 1
    assert "12 to" in said.err


def reset(desk: Desk, name: str, *words: str) -> Said:
    return ordergate("users", "reset", name, "--data-dir", str(desk.home.data_dir), *words)


def kept(desk: Desk, name: str) -> Reset | None:
    settings = databases.settings_of(None, desk.home.data_dir)

    async def ask(store: PostgresStore) -> Reset | None:
        return await PostgresPeople(settings.environment, store.pool).reset_of(name)

    return on_store(settings, ask)


def test_a_reset_is_a_code_for_half_an_hour_and_only_its_hash_is_kept(
    desk: Desk, name: str, tmp_path: Path
) -> None:
    assert added(desk, name, "a password that is long", tmp_path).code == 0
    before = time.time()

    said = reset(desk, name, "--json")

    assert said.code == 0, said.err
    found = kept(desk, name)
    assert found is not None
    assert found.code_hash == secret_hash(said.json["code"])
    assert len(said.json["code"]) * 6 >= 256
    assert int(before) + RESET_S <= found.expires_at <= time.time() + said.json["expires_in_s"]
    again = reset(desk, name)
    assert "Change the password" in again.out
    assert said.json["code"] not in again.out, "it is not shown again, and serves no more"
    assert kept(desk, name) != found


def test_there_is_no_reset_for_who_could_not_show_who_they_are(desk: Desk, name: str, tmp_path: Path) -> None:
    assert "there is no person" in reset(desk, name).err
    assert added(desk, name, "a password that is long", tmp_path, "--no-second-factor").code == 0
    said = reset(desk, name)
    assert (said.code, kept(desk, name)) == (1, None)
    assert "has no second factor" in said.err


def a_passkey(name: str) -> Passkey:
    credential_id = secrets.token_urlsafe(16)
    made: dict[str, Any] = {"credential_id": credential_id, "sign_count": 0, "backed_up": True, "made_at": 0}
    return Passkey(user_id=name, label="laptop", user_handle=b"handle", public_key=b"public", **made)


def with_a_login(desk: Desk, name: str) -> Any:
    """Something that asks whether it stands. The person has a passkey as well."""
    settings = databases.settings_of(None, desk.home.data_dir)
    grant_id, now = secrets.token_hex(8), int(time.time())

    async def put(store: PostgresStore) -> None:
        people = PostgresPeople(settings.environment, store.pool)
        described: dict[str, Any] = {"client_id": "app", "scopes": frozenset(), "challenge": "", "acr": ""}
        times = {"auth_time": now, "used_at": now, "code_expires_at": now + CODE_S}
        described |= {"redirect_uri": "https://desk.example/back", "code_hash": grant_id, **times}
        await people.put_grant(Grant(grant_id=grant_id, user_id=name, **described))
        await people.put_passkey(a_passkey(name))

    async def stands(store: PostgresStore) -> bool:
        found = await PostgresPeople(settings.environment, store.pool).grant(grant_id)
        revoked = (await store.load(now)).revoked
        assert found is not None
        assert found.revoked is (grant_id in revoked)
        return not found.revoked

    on_store(settings, put)
    return lambda: on_store(settings, stands)


def test_a_replacement_that_fails_half_way_leaves_every_way_in_that_there_was(
    desk: Desk, name: str, tmp_path: Path
) -> None:
    assert added(desk, name, "a password that is long", tmp_path).code == 0
    stands = with_a_login(desk, name)
    before = ways_in(desk, name)
    assert before[1] == ["laptop"]

    with logins_that_cannot_be_ended(desk, name):
        said = added(desk, name, "a second one that is long", tmp_path, "--replace")

    assert said.code == 5
    assert "second_factor" not in said.out
    assert (ways_in(desk, name), stands()) == (before, True)
    again = added(desk, name, "a second one that is long", tmp_path, "--replace")
    assert again.code == 0, again.err
    after = ways_in(desk, name)
    assert (after[0] != before[0], after[1], stands()) == (True, [], False)


def ways_in(desk: Desk, name: str) -> tuple[Person, list[str]]:
    """The person, and the labels of their passkeys."""
    settings = databases.settings_of(None, desk.home.data_dir)

    async def ask(store: PostgresStore) -> tuple[Person, list[str]]:
        people = PostgresPeople(settings.environment, store.pool)
        (person,) = (one for one in (await store.load(0)).people if one.user_id == name)
        return person, [one.label for one in await people.passkeys_of(name)]

    return on_store(settings, ask)


@contextmanager
def logins_that_cannot_be_ended(desk: Desk, name: str) -> Iterator[None]:
    """The database refuses this one person's, as it may any statement on any day."""
    settings = databases.settings_of(None, desk.home.data_dir)
    its = f"unwilling_{secrets.token_hex(4)}"

    def execute(*statements: str) -> None:
        async def ask(store: PostgresStore) -> None:
            for statement in statements:
                await store.pool.execute(statement)

        on_store(settings, ask)

    execute(
        f"create function {its}() returns trigger language plpgsql as $$ begin raise 'not now'; end $$",
        f"create trigger {its} before update on oauth_grant for each row when (old.user_id = '{name}') "
        f"execute function {its}()",
    )
    try:
        yield
    finally:
        execute(f"drop trigger {its} on oauth_grant", f"drop function {its}()")


def test_another_password_and_factor_end_the_logins_there_were_unless_it_is_said_otherwise(
    desk: Desk, name: str, tmp_path: Path
) -> None:
    assert added(desk, name, "a password that is long", tmp_path).code == 0
    stands = with_a_login(desk, name)

    assert added(desk, name, "a second one that is long", tmp_path, "--replace", "--keep-logins").code == 0
    assert stands()
    assert added(desk, name, "a third one that is long", tmp_path, "--replace").code == 0
    assert not stands()
