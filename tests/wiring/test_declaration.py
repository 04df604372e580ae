"""Barrier 2: the environment is said by a signed file, and by no variable; live does not start without."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ordergate.wiring import declaration
from ordergate.wiring.settings import CannotStart, Settings, parse
from tests.cli.asking import ordergate


def plain(folder: Path, environment: str, **more: Any) -> dict[str, Any]:
    return {
        "environment": environment,
        "data_dir": str(folder),
        "instruments": [],
        "brokers": {},
        "accounts": {},
        **more,
    }


def settings(folder: Path, environment: str, **more: Any) -> Settings:
    return parse(plain(folder, environment, **more), "test")


def declared(folder: Path, environment: str, *, by: str = "operator.key", **more: Any) -> dict[str, Any]:
    """What the settings say of a file that is signed for this environment."""
    file = folder / f"declaration-{environment}"
    key = declaration.declare(settings(folder, environment, **more), folder / by, file)
    return {"file": str(file), "key": key}


def test_live_starts_with_a_file_that_is_signed_for_it(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="ordergate declare"):
        declaration.check(settings(tmp_path, "live"), {})
    declaration.check(settings(tmp_path, "live", declaration=declared(tmp_path, "live")), {})
    declaration.check(settings(tmp_path, "paper"), {})
    assert (tmp_path / "operator.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("environment", ["paper", "live"])
def test_a_variable_that_says_an_environment_stops_the_start(tmp_path: Path, environment: str) -> None:
    for said in ("paper", "live", ""):
        with pytest.raises(CannotStart, match=f"unset {declaration.VARIABLE}"):
            declaration.check(settings(tmp_path, environment), {declaration.VARIABLE: said})


@pytest.mark.parametrize(("said", "meant"), [("paper", "live"), ("live", "paper")])
def test_a_file_for_the_other_environment_stops_the_start(tmp_path: Path, said: str, meant: str) -> None:
    with pytest.raises(CannotStart, match="is not for"):
        declaration.check(settings(tmp_path, meant, declaration=declared(tmp_path, said)), {})


def test_a_file_of_another_gateway_or_another_signer_stops_the_start(tmp_path: Path) -> None:
    elsewhere = declared(tmp_path, "live", audit={"origin": "another.gateway"})
    with pytest.raises(CannotStart, match="is not for"):
        declaration.check(settings(tmp_path, "live", declaration=elsewhere), {})
    first = declared(tmp_path, "live")
    other = declared(tmp_path, "live", by="stranger.key")
    with pytest.raises(CannotStart, match="not signed by"):
        declaration.check(settings(tmp_path, "live", declaration={**other, "key": first["key"]}), {})


@pytest.mark.parametrize("change", ["one-word", "cut", "gone", "not-text"])
def test_a_file_that_was_touched_stops_the_start(tmp_path: Path, change: str) -> None:
    said = declared(tmp_path, "paper")
    file = Path(said["file"])
    match change:
        case "one-word":
            file.write_text(file.read_text(encoding="utf-8").replace("paper", "live"), encoding="utf-8")
        case "cut":
            file.write_text(file.read_text(encoding="utf-8")[:30], encoding="utf-8")
        case "gone":
            file.unlink()
        case _:
            file.write_bytes(b"\xff\xfe")
    with pytest.raises(CannotStart, match="declaration"):
        declaration.check(settings(tmp_path, "live", declaration=said), {})


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    declared(tmp_path, "live")
    (tmp_path / "operator.key").chmod(0o644)
    with pytest.raises(CannotStart, match="chmod 600"):
        declared(tmp_path, "live")


def test_the_command_signs_and_tells_what_the_settings_need(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(yaml.safe_dump(plain(tmp_path, "live")), encoding="utf-8")
    words = ["--key", str(tmp_path / "k"), "--to", str(tmp_path / "said"), "--config", str(config)]
    told = ordergate("declare", *words, "--json")
    assert told.code == 0, told.err
    declaration.check(settings(tmp_path, "live", declaration=told.json), {})
