"""The kill switch at the command line: levels, and the way that needs neither the API nor a token."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ordergate.core.risk.trading_state import Grade, Level
from ordergate.ports.kill_flags import Flag
from ordergate.wiring import demo, kill_files, local_kill
from ordergate.wiring.clock_offset import MachineOffset, kernel_offset_ms, offset_in
from ordergate.wiring.kill_files import FlagFolderLost, KillFiles
from tests.cli.asking import Desk, Said, ordergate, resting, wait_until

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)
TRACKING = "A29FC801,ntp1,2,1767625200.1,{slow},0.0,0.0,1.2,0.0,0.1,0.02,0.001,64.2,{leap}\n"


def a_flag(reason: str = "½") -> Flag:
    return kill_files.flag_of(Level.STRATEGY, "trend", Grade.CANCEL_ALL, reason, AT)


async def test_a_flag_in_a_file_is_raised_until_it_is_lowered_and_is_kept(tmp_path: Path) -> None:
    flags = KillFiles(tmp_path)
    assert await flags.raised() == []
    flag = a_flag()
    kill_files.put(tmp_path, flag)
    assert await flags.raised() == [flag]
    await flags.lower(flag)
    await flags.lower(flag)
    assert await flags.raised() == []
    assert [one.name for one in (tmp_path / "kill" / "taken").iterdir()] == [flag.id]


@pytest.mark.parametrize("content", [b"", b"please stop", b'{"level": "galaxy"}', b"\xff" * 100_000])
async def test_any_file_there_stops_everything(tmp_path: Path, content: bytes) -> None:
    flags = KillFiles(tmp_path)
    (tmp_path / "kill" / "now").write_bytes(content)
    (flag,) = await flags.raised()
    assert (flag.level, flag.grade, flag.id) == (Level.GLOBAL, Grade.BLOCK_NEW, "now")
    assert await flags.raised() == [flag]


async def test_a_file_that_cannot_even_be_looked_at_is_one_flag_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be raised anew at each of them, also when a person has released what it stopped."""
    flags = KillFiles(tmp_path)
    (tmp_path / "kill" / "now").symlink_to(tmp_path / "nothing")
    first = await flags.raised()
    assert len(first) == 1
    assert await flags.raised() == first

    def refused(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    for look in ("open", "stat", "lstat"):  # as in a folder that may be listed and not searched
        monkeypatch.setattr(Path, look, refused)
    unseen = await flags.raised()
    assert len(unseen) == 1
    assert await flags.raised() == unseen


async def test_a_file_that_is_not_whole_yet_is_not_seen(tmp_path: Path) -> None:
    flags = KillFiles(tmp_path)
    (tmp_path / "kill" / ".half.json").write_bytes(b"{")
    assert await flags.raised() == []


async def test_a_folder_that_is_gone_is_a_fault_and_not_calm(tmp_path: Path) -> None:
    flags = KillFiles(tmp_path)
    (tmp_path / "kill").rename(tmp_path / "elsewhere")
    with pytest.raises(FlagFolderLost):
        await flags.raised()


def test_local_needs_no_gateway_no_database_and_no_login(tmp_path: Path) -> None:
    KillFiles(tmp_path)  # a gateway has run there
    said = ordergate(
        "kill", "engage", "--local", "--data-dir", str(tmp_path), "--reason", "all is down", "--json"
    )
    assert (said.code, said.json["row"]) == (0, False)
    assert Path(said.json["file"]).parent == tmp_path / "kill"


def test_local_beside_no_gateways_folder_stops_nothing_and_says_so(tmp_path: Path) -> None:
    """Typed in another directory than the gateway's it would be a file that nobody reads."""
    words = ("kill", "engage", "--local", "--data-dir", str(tmp_path), "--reason", "all is down")
    said = ordergate(*words)
    assert (said.code, said.out) == (5, "")
    for word in ("nothing is stopped", "no gateway has run on", "--config"):
        assert word in " ".join(said.err.split())
    assert ordergate(*words, "--json").code == 5
    assert list(tmp_path.iterdir()) == []


def test_local_is_a_row_where_there_can_be_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def written(*_: object) -> str | None:
        return None

    monkeypatch.setattr(local_kill, "raise_row", written)
    said = ordergate("kill", "engage", "--local", "--data-dir", str(tmp_path), "--reason", "r", "--json")
    assert (said.code, said.json["row"], said.json["file"]) == (0, True, None)
    assert "no gateway has run on" in said.json["file_trouble"]


def test_a_level_wants_a_target_and_global_none(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path), "--reason", "x")
    for words in (("--level", "account"), ("--target", "P-DEMO")):
        assert ordergate("kill", "engage", "--local", *words, *folder).code == 2
    assert not (tmp_path / "kill").exists()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    KillFiles(tmp_path)  # a gateway has run there
    plain = demo.gateway_plain(tmp_path, port=8700, venue_url="http://127.0.0.1:1")
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return file


def engaged_locally(config: Path, level: str, target: str) -> Said:
    place = ("--level", level, "--target", target, "--config", str(config))
    return ordergate("kill", "engage", "--local", *place, "--reason", "r")


@pytest.mark.parametrize(
    ("level", "target"),
    [
        ("account", "P-DEM0"),
        ("instrument", "ESH"),
        ("broker", "alpaca"),
        ("tenant", "acme"),
        ("environment", "live"),
        ("order", "D257P78VJ60VAF4FYS"),
        ("strategy", ""),
    ],
)
def test_a_local_stop_of_nothing_is_none_and_says_so(config: Path, level: str, target: str) -> None:
    """Typed in haste: it would look as if it were stopped, and go on trading."""
    said = engaged_locally(config, level, target)
    assert (said.code, said.out) == (2, "")
    assert "nothing is stopped" in said.err
    assert [one.name for one in (config.parent / "kill").iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("level", "target"),
    [
        ("account", demo.ACCOUNT),
        ("instrument", "ESH4"),
        ("broker", "venue"),
        ("tenant", "default"),
        ("environment", "paper"),
        ("order", "P-D257P78VJ60VAF4FYS"),
        ("strategy", "trend"),
        ("user", "ann"),
    ],
)
def test_a_local_stop_is_of_what_the_settings_name(config: Path, level: str, target: str) -> None:
    assert engaged_locally(config, level, target).code == 0
    assert len(list((config.parent / "kill").glob("*.json"))) == 1


def test_where_gateways_stop_together_another_may_have_what_this_one_has_not(config: Path) -> None:
    plain = yaml.safe_load(config.read_text(encoding="utf-8"))
    plain["kill_switch"] = {"shared_database_url": {"environment": "SHARED"}}
    config.write_text(yaml.safe_dump(plain), encoding="utf-8")
    assert engaged_locally(config, "broker", "theirs").code == 0


def test_local_stops_the_gateway_of_settings_that_somebody_has_just_spoilt(config: Path) -> None:
    """It runs on what they were at its start: where its folder is they still say."""
    config.write_text(config.read_text(encoding="utf-8") + "a_slip: 1\n", encoding="utf-8")
    said = ordergate("kill", "engage", "--local", "--config", str(config), "--reason", "r", "--json")
    assert said.code == 0, said.err
    assert Path(said.json["file"]).parent == config.parent / "kill"
    assert "a_slip" in said.json["row_trouble"]


@pytest.mark.parametrize("text", ["- no mapping", "data_dir: 5", "environment: paper", "a: [1"])
def test_local_beside_settings_that_name_no_folder_stops_nothing_and_says_so(text: str, config: Path) -> None:
    config.write_text(text, encoding="utf-8")
    said = ordergate("kill", "engage", "--local", "--config", str(config), "--reason", "r")
    assert (said.code, said.out) == (5, "")
    assert str(config) in said.err
    assert [each.name for each in (config.parent / "kill").iterdir()] == ["taken"]


def test_a_running_gateway_takes_what_was_raised_locally_and_folds_it_into_the_journal(desk: Desk) -> None:
    waiting = desk.place(*resting(), "--wait", "10")
    folder = desk.home.data_dir
    raised = ordergate(
        "kill",
        "engage",
        "--local",
        "--grade",
        "cancel_all",
        "--data-dir",
        str(folder),
        "--reason",
        "a drill",
        "--json",
    )
    try:
        assert raised.json["row"] is True, raised.json
        wait_until(lambda: desk.get("kill", "show")["engaged"], "the stop")
        (stop,) = desk.get("kill", "show")["stops"]
        assert (stop["grade"], stop["reason"], stop["actor"][:6]) == ("cancel_all", "a drill", "local:")
        wait_until((folder / "kill" / "taken" / raised.json["flag"]).exists, "the flag to be taken")
        wait_until(lambda: desk.get("orders", "show", waiting["id"])["status"] == "canceled", "the cancel")
    finally:
        released = desk.get("kill", "release", "--reason", "the drill is over")
    assert not released["engaged"]
    assert [one.name for one in (folder / "kill").iterdir()] == ["taken"]


def test_a_stop_of_one_strategy_is_shown_and_released(desk: Desk) -> None:
    place = ("--level", "strategy", "--target", "trend")
    engaged = desk.get("kill", "engage", "--grade", "reduce_only", *place, "--reason", "a drill")
    try:
        assert (engaged["level"], engaged["target"]) == ("strategy", "trend")
        assert "trend" in desk.ask("kill", "show").out
        assert desk.place(*resting())["status"] in ("accepted", "working")
    finally:
        released = desk.get("kill", "release", *place, "--reason", "over")
    assert not released["engaged"]


@pytest.mark.parametrize(
    ("slow", "leap", "offset"),
    [
        ("0.0123", "Normal", -12.3),
        ("-0.050", "Normal", 50.0),
        ("0.1", "Not synchronised", None),
        ("x", "Normal", None),
    ],
)
def test_what_chrony_says_is_the_offset(slow: str, leap: str, offset: float | None) -> None:
    found = offset_in(TRACKING.format(slow=slow, leap=leap))
    assert found == (None if offset is None else pytest.approx(offset))


async def test_the_machine_is_asked_and_may_not_know() -> None:
    for found in (kernel_offset_ms(), await MachineOffset().offset_ms(), offset_in("")):
        assert found is None or abs(found) < 1e9
