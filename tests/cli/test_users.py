"""`users`: registered straight in the database, with a password that is long enough."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

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
