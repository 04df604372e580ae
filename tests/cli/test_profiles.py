"""Where the client commands find their gateway, and how they end when they do not reach it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer.main

from ordergate.cli.exits import ExitCode
from ordergate.cli.main import app
from tests.architecture.page import REPOSITORY
from tests.cli.asking import Desk, ordergate, profile_of


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a home without any profile."""
    monkeypatch.delenv("ORDERGATE_PROFILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_profile_the_sentence_says_how_to_get_one(elsewhere: Path) -> None:
    said = ordergate("orders", "list")
    assert said.code == 3
    assert "ordergate run" in said.err
    assert ordergate("orders", "list", "--json").json["code"] == "unreachable"


def test_a_profile_is_found_in_the_folder_at_home_and_in_the_environment(
    elsewhere: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(desk.home.profile).read_text(encoding="utf-8")
    at_home = elsewhere / "home" / ".ordergate" / "client.json"
    here = elsewhere / ".ordergate" / "client.json"
    for place in (at_home, here):
        place.parent.mkdir(parents=True)
        place.write_text(text, encoding="utf-8")
        assert ordergate("accounts").code == 0
    at_home.unlink()
    here.unlink()
    assert ordergate("accounts").code == 3
    monkeypatch.setenv("ORDERGATE_PROFILE", str(desk.home.profile))
    assert ordergate("accounts").code == 0


def test_a_gateway_that_is_not_there_ends_with_three(elsewhere: Path, desk: Desk) -> None:
    profile = profile_of(desk.home)
    away = {**profile, "base_url": "http://127.0.0.1:9", "token_url": "http://127.0.0.1:9/oauth/token"}
    (elsewhere / "away.json").write_text(json.dumps(away), encoding="utf-8")
    said = ordergate("accounts", "--profile", "away.json")
    assert said.code == 3
    assert "cannot be reached" in said.err
    assert said.err.count("\n") == 1


def test_who_cannot_reach_a_gateway_to_stop_it_is_told_another_way(elsewhere: Path, desk: Desk) -> None:
    away = {**profile_of(desk.home), "base_url": "http://127.0.0.1:9", "token_url": "http://127.0.0.1:9/t"}
    (elsewhere / "away.json").write_text(json.dumps(away), encoding="utf-8")
    said = ordergate("kill", "engage", "--reason", "it runs away", "--profile", "away.json")
    assert said.code == 3
    assert "ordergate kill engage --local" in said.err


def test_a_stream_that_is_not_there_ends_with_three(elsewhere: Path, desk: Desk) -> None:
    away = {**profile_of(desk.home), "stream_url": "ws://127.0.0.1:9/v1/stream"}
    (elsewhere / "away.json").write_text(json.dumps(away), encoding="utf-8")
    said = ordergate("orders", "watch", "--profile", "away.json")
    assert said.code == 3
    assert "cannot be reached" in said.err


def test_a_wrong_secret_ends_with_three_and_is_not_repeated(elsewhere: Path, desk: Desk) -> None:
    wrong = {**profile_of(desk.home), "client_secret": "not-the-secret-at-all"}
    (elsewhere / "wrong.json").write_text(json.dumps(wrong), encoding="utf-8")
    said = ordergate("accounts", "--profile", "wrong.json")
    assert said.code == 3
    assert "no token for client 'demo'" in said.err
    assert "not-the-secret" not in said.err


def test_the_secret_is_never_sent_in_the_clear_to_another_machine(elsewhere: Path, desk: Desk) -> None:
    clear = {**profile_of(desk.home), "token_url": "http://gateway.example/oauth/token"}
    (elsewhere / "clear.json").write_text(json.dumps(clear), encoding="utf-8")
    said = ordergate("accounts", "--profile", "clear.json")
    assert said.code == 2
    assert "use https" in said.err


def test_what_is_no_profile_is_said_to_be_none(elsewhere: Path) -> None:
    (elsewhere / "strange.json").write_text('{"base_url": 1}', encoding="utf-8")
    assert "is not a profile" in ordergate("accounts", "--profile", "strange.json").err
    assert "cannot read" in ordergate("accounts", "--profile", "absent.json").err


def test_help_and_documentation_tell_the_exit_codes() -> None:

    told = " ".join(ordergate("--help").out.split())
    written = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in told
        assert f"| {code.value} | {code.meaning} |" in written


def test_every_command_is_in_the_documentation() -> None:

    written = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, command in typer.main.get_group(app).commands.items():
        for inner in getattr(command, "commands", {"": None}):
            assert f"`{name} {inner}".rstrip() in written


@pytest.mark.parametrize(
    "words",
    [
        ("orders", "place", "AAPL", "hold", "5", "--json"),
        ("orders", "place", "AAPL", "buy", "5", "--lmiit", "1", "--json"),
        ("orders", "fly", "--json"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_json_for_programs(words: Sequence[str]) -> None:
    said = ordergate(*words)
    assert said.code == ExitCode.USAGE
    told = json.loads(said.out)
    assert told["code"] == "usage"
    assert told["detail"]


@pytest.mark.parametrize("words", [("--json", "version"), ("version", "--json")], ids=["before", "behind"])
def test_programs_may_say_so_before_the_command_or_behind_it(words: tuple[str, ...]) -> None:
    assert "build" in ordergate(*words).json


def test_an_unknown_command_ends_with_two() -> None:
    assert ordergate("orders", "plaice").code == 2
    told = ordergate("version", "--json").json
    assert told["build"].startswith(f"{told['version']}+")
