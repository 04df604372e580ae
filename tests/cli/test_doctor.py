"""`doctor`: what it says of a house that stands, of one that does not, and of strangers on its port."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ordergate.wiring import demo
from ordergate.wiring.serving import free_port
from tests.architecture.page import REPOSITORY
from tests.cli.asking import Desk, Said, ordergate

PARTS = {"python", "packages", "data folder", "disk", "database", "clock", "gateway"}


def verdicts(said: Said) -> dict[str, str]:
    found: list[dict[str, Any]] = said.json["findings"]
    return {one["part"]: one["verdict"] for one in found}


def test_everything_is_good_where_a_gateway_runs(desk: Desk) -> None:
    data_dir = str(desk.home.data_dir)
    said = ordergate("doctor", "--data-dir", data_dir, "--json")
    found = verdicts(said)
    assert found.keys() >= PARTS
    assert "bad" not in found.values(), said.out
    assert found["gateway"] == "good"
    assert said.code == 0
    shown = ordergate("doctor", "--data-dir", data_dir)
    assert "alive and ready" in " ".join(shown.out.split())
    assert ordergate("doctor", "--ready", "--data-dir", data_dir) == Said(0, "", "")


def test_where_no_gateway_runs_it_says_how_to_start_one(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    said = ordergate("doctor", "--data-dir", str(tmp_path / "data"), "--url", url, "--json")
    found = verdicts(said)
    assert (said.code, found["gateway"], found["database"]) == (0, "doubtful", "good")
    assert ordergate("doctor", "--ready", "--url", url, "--data-dir", str(tmp_path)) == Said(1, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_stranger_on_the_port_is_found_out(tmp_path: Path) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name for it
            return

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        said = ordergate("doctor", "--data-dir", str(tmp_path), "--url", url, "--json")
        found = verdicts(said)
        server.shutdown()
    assert said.code == 1
    assert (found["gateway"], found[f"port {server.server_port}"]) == ("bad", "bad")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = ordergate("doctor", "--data-dir", str(tmp_path / "file" / "data"), "--json")
    assert verdicts(said)["data folder"] == "bad"
    assert said.code == 1


@pytest.mark.parametrize("words", [(), ("--ready",)])
def test_settings_that_cannot_be_read_are_something_wrong_and_a_sentence(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "gateway.yaml").write_text("environment: moon", encoding="utf-8")
    for place in (("--data-dir", str(tmp_path)), ("--config", str(tmp_path / "absent.yaml"))):
        said = ordergate("doctor", *words, *place)
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
        assert str(tmp_path) in said.err


def test_a_database_whose_address_cannot_be_read_is_something_wrong(tmp_path: Path) -> None:
    plain = demo.gateway_plain(tmp_path, port=free_port(), venue_url="http://127.0.0.1:9")
    plain["database_url"] = {"file": str(tmp_path / "absent")}
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    for words in (("--ready",), ()):
        assert ordergate("doctor", *words, "--data-dir", str(tmp_path)).code == 1


def test_readiness_at_an_address_asks_no_settings(desk: Desk, tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.yaml")
    asked = ("--ready", "--config", absent, "--url", desk.home.running["base_url"])
    assert ordergate("doctor", *asked) == Said(0, "", "")


def test_the_doctor_tells_in_words_how_it_ends() -> None:
    (row,) = (
        line
        for line in (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `doctor` |")
    )
    assert "It exits 1 where something is bad or the settings cannot be read" in row
    assert "with `--ready` 0 when orders are accepted, and 1 in every other case" in row
