"""`serve`, `venue` and `migrate`: each part by itself, from settings in files, as containers run them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.cli.asking import COMMAND_S_MAX, Said, ended, ordergate, process, wait_until
from tests.fixtures.house import house


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the settings of a venue and of a gateway that has never run."""
    folder = tmp_path_factory.mktemp("settings")
    with house(folder, recorded=str(folder)) as home:
        gateway = _read(home.data_dir / "gateway.yaml")
        venue = _read(home.data_dir / "venue.yaml")
        _write(folder / "venue.yaml", venue)
        changed = {"data_dir": str(folder / "fresh"), "admin_port": 8702}
        _write(folder / "gateway.yaml", {**gateway, **changed})
    return folder


@contextmanager
def served(*words: str, ready_file: Path) -> Iterator[list[Said]]:
    """A server that runs inside the block; how it ended is in the list afterwards."""
    end: list[Said] = []
    running = process(*words, "--ready-file", str(ready_file))
    try:
        wait_until(
            lambda: ready_file.exists() or running.poll() is not None,
            f"{words[0]} to be ready",
        )
        yield end
    finally:
        running.send_signal(signal.SIGTERM)
        end.append(ended(running))


def test_the_parts_run_by_themselves_and_stop_at_sigterm(settings: Path) -> None:
    gateway = str(settings / "gateway.yaml")
    migrated = ordergate("migrate", "--config", gateway, "--json")
    assert migrated.code == 0, migrated.err
    assert "0001_journal" in migrated.json["applied"]
    assert ordergate("migrate", "--config", gateway, "--json").json == {"applied": []}

    venue_words = ("venue", "--config", str(settings / "venue.yaml"), "--data-dir", str(settings / "kept"))
    gateway_words = ("serve", "--config", gateway, "--port", "0")
    with served(*venue_words, ready_file=settings / "venue.ready") as venue_end:
        with served(*gateway_words, ready_file=settings / "gateway.ready") as gateway_end:
            url = _read(settings / "gateway.ready")["base_url"]

            def ready() -> bool:
                return ordergate("doctor", "--ready", "--config", gateway, "--url", url).code == 0

            wait_until(ready, "the gateway to accept orders")
            admin_url = _read(settings / "gateway.ready")["admin_url"]
            for base, statuses in ((url, [200, 404]), (admin_url, [404, 401])):
                with httpx.Client(base_url=base, timeout=COMMAND_S_MAX) as http:
                    found = [http.get(path).status_code for path in ("/livez", "/v1/access/tenant")]
                    assert found == statuses
        assert (settings / "kept" / "decisions.jsonl").exists()
    assert (gateway_end[0].code, venue_end[0].code) == (0, 0)
    assert "Traceback" not in gateway_end[0].err + venue_end[0].err


def test_a_venue_ends_with_its_input_when_asked(settings: Path) -> None:
    words = (
        "venue",
        "--config",
        str(settings / "venue.yaml"),
        "--port",
        "0",
        "--data-dir",
        str(settings / "x"),
    )
    assert ended(process(*words, "--end-with-input")).code in (0, -signal.SIGTERM)


def test_a_gateway_that_clients_could_not_name_does_not_start(settings: Path) -> None:
    said = ended(
        process("serve", "--config", str(settings / "gateway.yaml"), "--host", "0.0.0.0", "--port", "0")
    )
    assert said.code == 5
    assert "set `public_url`" in said.err.splitlines()[-1]
    assert "Traceback" not in said.err


def test_migrate_wants_to_know_which_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDERGATE_DATABASE_URL", raising=False)
    assert ordergate("migrate").code == 2
    said = ordergate("migrate", "--database-url", "postgresql://nobody@127.0.0.1:9/none")
    assert said.code == 5
    assert said.err.count("\n") == 1


def test_settings_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    for command in ("serve", "venue"):
        said = ordergate(command, "--config", str(tmp_path / "absent.yaml"))
        assert (said.code, said.err.count("\n")) == (5, 1)
        assert "cannot read" in said.err


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _write(file: Path, plain: Any) -> None:
    file.write_text(yaml.safe_dump(plain), encoding="utf-8")
