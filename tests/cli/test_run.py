"""`ordergate run`: what is in the way is one sentence, state is found again, and nothing is left behind."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ordergate.wiring.serving import kept_port
from ordergate.wiring.settings import CannotStart, parse
from tests.cli.asking import COMMAND_S_MAX, Desk, Said, ended, process, resting, wait_until
from tests.fixtures.house import STOP_S_MAX, House, house

NO_RECORDINGS = Path(__file__).parent
# A session's first process that takes its terminal for its own, as a terminal's window starts one.
OF_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);os.execv(sys.argv[1], sys.argv[1:])"
)
READY_FIELDS = {
    "base_url",
    "stream_url",
    "venue_url",
    "venue_key",
    "venue_secret",
    "token_url",
    "client_id",
    "client_secret",
    "account_id",
    "symbols",
}


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def run(folder: Path, *options: str) -> Said:
    """A start that is expected to fail."""
    return ended(process("run", "--data-dir", str(folder), "--recorded", str(NO_RECORDINGS), *options))


def is_one_sentence(said: Said) -> bool:
    return said.code == 5 and said.err.count("\n") == 1 and said.err.startswith("ordergate: ")


def test_a_taken_port_is_a_sentence_that_names_the_option(tmp_path: Path, taken_port: int) -> None:
    for option in ("--port", "--venue-port"):
        others = ("--venue-port", "0") if option == "--port" else ("--port", "0")
        said = run(tmp_path / "data", option, str(taken_port), *others)
        assert is_one_sentence(said), said
        assert f"127.0.0.1:{taken_port}" in said.err
        assert f"another port with {option}, or stop" in said.err


def test_a_ready_file_that_cannot_be_written_is_a_sentence_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for ready in (tmp_path / "file" / "ready.json", tmp_path / "no" / "folder" / "ready.json"):
        said = run(tmp_path / "data", "--port", "0", "--ready-file", str(ready))
        assert is_one_sentence(said), said
        assert f"cannot write {ready}" in said.err
    assert not (tmp_path / "data" / "secrets").exists()


def test_two_houses_run_beside_each_other_when_each_has_a_port_of_its_own(tmp_path: Path) -> None:
    with ExitStack() as street:
        homes = [House(tmp_path / name, {}) for name in ("one", "other")]
        for home in homes:
            home.folder.mkdir()
            home.options = {"port": str(street.enter_context(kept_port())), "recorded": str(home.folder)}
            street.callback(home.clean_up)
            home.start()
        urls = [str(home.running[each]) for home in homes for each in ("base_url", "venue_url", "admin_url")]
        assert len(set(urls)) == 6


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = run(tmp_path / "file" / "data", "--port", "0", "--venue-port", "0")
    assert is_one_sentence(said), said
    assert "choose another folder with --data-dir" in said.err


def test_settings_that_make_no_sense_are_a_sentence(tmp_path: Path) -> None:
    for text in ("environment: moon", "[1, 2", "{}"):
        (tmp_path / "gateway.yaml").write_text(text, encoding="utf-8")
        said = run(tmp_path, "--port", "0", "--venue-port", "0")
        assert is_one_sentence(said), said
        assert "gateway.yaml" in said.err
        served = ended(process("serve", "--config", str(tmp_path / "gateway.yaml")))
        assert is_one_sentence(served), served


def test_a_folder_of_recordings_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "recordigns"
    (tmp_path / "file").touch()
    for named in (missing, tmp_path / "file"):
        starting = process("run", "--data-dir", str(tmp_path / "data"), "--recorded", str(named))
        said = ended(starting)
        assert is_one_sentence(said), said
        assert f"{named} is not a folder" in said.err
        assert "--recorded" in said.err
    assert not (tmp_path / "data").exists()


def test_a_shared_folder_that_is_not_there_is_a_sentence_too(tmp_path: Path) -> None:
    shared = {**os.environ, "ORDERGATE_SHARED": str(tmp_path / "shraed")}
    said = ended(process("run", "--data-dir", str(tmp_path / "data"), env=shared))
    assert is_one_sentence(said), said
    assert str(tmp_path / "shraed" / "data") in said.err
    assert "ORDERGATE_SHARED" in said.err


@pytest.mark.parametrize("inside", ["limits", "instruments"])
def test_a_misspelt_limit_is_a_sentence_with_its_account_and_the_word(tmp_path: Path, inside: str) -> None:
    limits: dict[str, Any] = {
        "version": 1,
        "max_open_orders": 1,
        "max_open_notional": "1",
        "message_windows": [[1, 1]],
        "instruments": {
            "AAPL": {
                "max_order_quantity": "1",
                "max_order_notional": "1",
                "max_long": "1",
                "max_short": "1",
                "collar_ticks": 4,
            }
        },
    }
    wrong = limits if inside == "limits" else limits["instruments"]["AAPL"]
    wrong.pop("max_open_orders" if inside == "limits" else "max_long")
    wrong["max_lnog"] = "1"
    broker = {"key": {"environment": "KEY"}, "secret": {"environment": "SECRET"}}
    settings = {
        "environment": "paper",
        "data_dir": "data",
        "instruments": [],
        "brokers": {"house": broker},
        "accounts": {"P-FIRST": {"broker": "house"}, "P-SECOND": {"broker": "house", "limits": limits}},
    }
    with pytest.raises(CannotStart) as cannot:
        parse(settings, "gateway.yaml")
    sentence = str(cannot.value)
    assert "gateway.yaml" in sentence
    assert "P-SECOND" in sentence
    assert "max_lnog" in sentence
    assert "P-FIRST" not in sentence


def test_a_second_start_on_the_same_folder_is_refused_and_disturbs_nothing(shared_house: House) -> None:
    settings = (shared_house.data_dir / "venue.yaml").read_bytes()
    said = run(shared_house.data_dir, "--port", "0", "--venue-port", "0")
    assert is_one_sentence(said), said
    assert "another gateway runs in" in said.err
    assert (shared_house.data_dir / "venue.yaml").read_bytes() == settings
    assert Desk(shared_house).ask("accounts").code == 0


def test_the_ready_file_says_where_everything_is_and_nobody_else_may_read_it(shared_house: House) -> None:
    assert shared_house.running.keys() >= READY_FIELDS
    for file in (shared_house.ready_file, shared_house.profile, *shared_house.data_dir.glob("secrets/*")):
        assert file.stat().st_mode & 0o077 == 0, file


def test_the_panel_shows_an_order_to_paste_and_no_secret(shared_house: House) -> None:
    said = shared_house.output.read_text(encoding="utf-8")
    running = shared_house.running
    lines = [line for line in said.splitlines() if " orders place " in line]
    assert len(lines) == 1
    words = lines[0].split(" orders place ")[1].split()
    assert words[:4] == ["ESH4", "sell", "5", "--limit"]
    assert str(shared_house.profile) in lines[0]
    for place in (
        running["base_url"],
        running["base_url"] + "/docs",
        running["stream_url"],
        running["venue_url"],
    ):
        assert place in said
    assert running["client_secret"] not in said
    assert running["venue_secret"] not in said


def test_public_documents_say_once_for_how_long_they_may_be_kept(shared_house: House) -> None:
    for name in ("jwks.json", "oauth-authorization-server"):
        url = f"{shared_house.running['base_url']}/.well-known/{name}"
        answer = httpx.get(url, trust_env=False, timeout=COMMAND_S_MAX)
        assert answer.headers.get_list("cache-control") == ["public, max-age=300"]


def test_everything_is_found_again_after_a_restart_and_after_a_kill(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        desk = Desk(home)
        filled, waiting = desk.filled("AAPL", "buy", "2"), desk.place(*resting(), "--wait", "10")
        token_of = home.running["client_secret"]
        before = _state(desk, filled["id"], waiting["id"])
        for stop in (home.stop, home.kill):
            stop()
            home.restart()
            assert home.running["client_secret"] == token_of
            assert _state(desk, filled["id"], waiting["id"]) == before
        assert desk.get("orders", "cancel", waiting["id"], "--wait", "10")["status"] == "canceled"


def test_a_house_whose_settings_no_longer_name_the_first_symbol_starts_with_the_next(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        home.stop()
        file = home.data_dir / "gateway.yaml"
        file.write_text(_without(file.read_text(encoding="utf-8"), "ESH4"), encoding="utf-8")
        home.restart()
        assert home.running["symbols"][0] == home.running["sample_symbol"] == "AAPL"
        pasted = f"orders place AAPL sell 5 --limit {home.running['sample_price']}"
        wait_until(lambda: pasted in home.said(), "the panel to show an order of what is left")


def _without(settings: str, symbol: str) -> str:
    plain = yaml.safe_load(settings)
    plain["instruments"] = [one for one in plain["instruments"] if one["symbol"] != symbol]
    plain["brokers"]["venue"]["prices"][0]["symbols"].remove(symbol)
    del plain["accounts"]["P-DEMO"]["limits"]["instruments"][symbol]
    return str(yaml.safe_dump(plain, sort_keys=False))


def test_an_order_is_taken_directly_after_a_kill_and_a_start_on_other_ports(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        home.kill()
        home.restart(port="0", venue_port="0", admin_port="0")
        assert Desk(home).place(*resting(), "--wait", "10")["status"] == "working"
        assert "config-mismatch" not in home.said(), "the killed one was counted"


def _state(desk: Desk, *orders: str) -> list[object]:
    shown = [desk.get("orders", "show", order) for order in orders]
    return [shown, desk.get("positions"), desk.get("accounts"), desk.get("executions")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        assert home.process is not None
        assert len(home.leftovers()) >= 3
        home.process.send_signal(number)
        assert home.process.wait(STOP_S_MAX) == 0
        assert home.leftovers() == []
        assert not home.ready_file.exists(), "it would be taken for the next start's"
        assert "Traceback" not in home.said()


def test_a_terminal_that_is_closed_leaves_no_process(tmp_path: Path) -> None:
    home = House(tmp_path, {})
    ours, its = pty.openpty()
    home.process = subprocess.Popen(
        [sys.executable, "-c", OF_A_TERMINAL, *home.command()],
        stdin=its, stdout=its, stderr=its, start_new_session=True,
        env={**os.environ, "TERM": "dumb"},  # nobody reads what a spinner would say
    )  # fmt: skip
    os.close(its)
    try:
        wait_until(home.ready_file.exists, "the house to answer")
        assert len(home.leftovers()) >= 3
        os.close(ours)
        home.process.wait(STOP_S_MAX)
        assert home.leftovers() == []
        assert not home.ready_file.exists()
    finally:
        home.clean_up()


def test_a_signal_to_a_gateway_that_is_still_starting_leaves_no_process(tmp_path: Path) -> None:
    home = House(tmp_path, {})
    with home.output.open("ab") as output:
        home.process = subprocess.Popen(home.command(), stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until((home.data_dir / "postgres" / "lock").exists, "the database to be started")
        home.process.send_signal(signal.SIGINT)
        home.process.wait(STOP_S_MAX)
        assert home.leftovers() == []
        assert "Traceback" not in home.said()
    finally:
        home.clean_up()


def test_ctrl_c_with_a_stream_open_says_goodbye_to_it(tmp_path: Path) -> None:
    with house(tmp_path, recorded=str(tmp_path)) as home:
        desk = Desk(home)
        order = desk.place(*resting(), "--wait", "10")
        watching = process("orders", "watch", order["id"], "--json", "--profile", str(home.profile))
        assert watching.stdout is not None
        watching.stdout.readline()
        try:
            assert home.stop() == 0
            assert home.leftovers() == []
        finally:
            watching.send_signal(signal.SIGINT)
            said = ended(watching)
        assert said.code == 0
        assert "come back and resume" in said.err
