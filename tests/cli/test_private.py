"""What a profile keeps to itself is its owner's alone, and one command's at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ordergate.cli import private
from ordergate.cli.exits import Stopped
from ordergate.cli.private import CLIENT, SENDER, Login, Private, read_key

LOGIN = Login(
    token_url="https://gateway.example/oauth/token",
    client_id="cli",
    since=1.0,
    refresh_token="r",
    access_token="a",
    answer={},
    got_at=1.0,
    renew_at=2.0,
    expires_at=3.0,
)


def test_a_key_is_made_once_and_another_name_is_another_key(tmp_path: Path) -> None:
    mine = Private(tmp_path / "client.json")

    assert mine.key(SENDER).thumbprint() == mine.key(SENDER).thumbprint()
    assert mine.key(SENDER).thumbprint() != mine.key(CLIENT).thumbprint()
    assert mine.folder.stat().st_mode & 0o777 == 0o700
    assert (mine.folder / SENDER).stat().st_mode & 0o777 == 0o600


def test_what_is_published_has_no_private_half(tmp_path: Path) -> None:
    mine = Private(tmp_path / "client.json")

    shown = mine.publish().read_text(encoding="utf-8")

    assert mine.key(CLIENT).thumbprint() in shown
    assert '"d"' not in shown


def test_a_login_is_kept_and_forgotten_with_the_key_it_is_bound_to(tmp_path: Path) -> None:
    mine = Private(tmp_path / "client.json")
    bound_to = mine.key(SENDER).thumbprint()
    mine.begin(LOGIN)
    assert mine.login() == LOGIN

    mine.forget(SENDER)

    assert mine.login() is None
    assert mine.key(SENDER).thumbprint() != bound_to


@pytest.mark.parametrize("text", ["", "{}", '{"kty": "oct", "k": "AAAA"}', "[]", "\xff", '{"kty": "EC"}'])
def test_what_is_no_private_key_is_not_used(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key.jwk"
    file.write_bytes(text.encode("latin-1"))
    file.chmod(0o600)

    with pytest.raises(Stopped, match="is not a private key"):
        read_key(file)


def test_whoever_waits_for_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "LOCK_S_MAX", 0.0)
    mine, other = (Private(tmp_path / "client.json") for _ in range(2))

    with mine.locked(), pytest.raises(Stopped, match="another command"), other.locked():
        raise AssertionError("two have the lock")
    with other.locked():
        assert other.login() is None


def test_half_a_login_is_none(tmp_path: Path) -> None:
    mine = Private(tmp_path / "client.json")
    mine.begin(LOGIN)
    file = mine.folder / "login.json"
    file.write_bytes(file.read_bytes()[:40])

    assert mine.login() is None
