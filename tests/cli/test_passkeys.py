"""`users passkeys`: seen, taken away, and gone with the password they stood beside."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from ordergate.security.passkeys import Passkey
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.postgres import PostgresStore
from ordergate.wiring import databases
from ordergate.wiring.registry import on_store
from tests.cli.asking import Desk, Said, ordergate
from tests.cli.test_users import added, with_a_login

MADE_AT = 1_750_000_000


@pytest.fixture
def name(desk: Desk, tmp_path: Path) -> str:
    """Somebody with two passkeys."""
    name = f"anna-{secrets.token_hex(4)}"
    assert added(desk, name, "a password that is long", tmp_path).code == 0
    settings = databases.settings_of(None, desk.home.data_dir)

    async def put(store: PostgresStore) -> None:
        people = PostgresPeople(settings.environment, store.pool)
        for label in ("laptop", "old phone"):
            made = Passkey(
                credential_id=secrets.token_urlsafe(16),
                user_id=name,
                label=label,
                user_handle=b"handle",
                public_key=b"key",
                sign_count=0,
                backed_up=label != "laptop",
                made_at=MADE_AT,
            )
            assert await people.put_passkey(made)

    on_store(settings, put)
    return name


def passkeys(desk: Desk, *words: str) -> Said:
    return ordergate("users", "passkeys", *words, "--data-dir", str(desk.home.data_dir), "--json")


def test_passkeys_are_listed(desk: Desk, name: str) -> None:
    said = passkeys(desk, "list", name)
    assert said.code == 0, said.err
    assert [one["label"] for one in said.json["passkeys"]] == ["laptop", "old phone"]
    first = said.json["passkeys"][0]
    assert first["made_at"] == "2025-06-15T15:06:40+00:00"
    assert (first["used_at"], first["synced"], first["state"]) == (None, False, "good")
    shown = ordergate("users", "passkeys", "list", name, "--data-dir", str(desk.home.data_dir))
    assert "old phone" in shown.out
    assert "never" in shown.out


def test_a_passkey_is_taken_away_once(desk: Desk, name: str) -> None:
    assert passkeys(desk, "remove", name, "old phone").json["removed"]
    assert [one["label"] for one in passkeys(desk, "list", name).json["passkeys"]] == ["laptop"]
    again = passkeys(desk, "remove", name, "old phone")
    assert again.code == 1
    assert "has no passkey 'old phone'" in again.err


def test_with_a_passkey_its_owner_s_logins_end_unless_it_is_said_otherwise(desk: Desk, name: str) -> None:
    stands = with_a_login(desk, name)

    assert passkeys(desk, "remove", name, "laptop", "--keep-logins").code == 0
    assert stands()
    assert passkeys(desk, "remove", name, "old phone").code == 0
    assert not stands()


def test_nobody_has_no_passkeys(desk: Desk) -> None:
    said = passkeys(desk, "list", "nobody-of-that-name")
    assert said.code == 1
    assert "there is no person nobody-of-that-name" in said.err


def test_a_new_password_leaves_no_passkey(desk: Desk, name: str, tmp_path: Path) -> None:
    assert added(desk, name, "another password that is long", tmp_path, "--replace").code == 0
    assert passkeys(desk, "list", name).json["passkeys"] == []
