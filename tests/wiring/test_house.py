"""What `run` keeps in its folder says where this start is, whoever reads it."""

from __future__ import annotations

from pathlib import Path

from ordergate.wiring import house
from ordergate.wiring.databases import settings_of


def test_the_settings_have_the_addresses_of_the_latest_start(tmp_path: Path) -> None:
    """A profile that `clients add` writes, and a login that `credentials` tries, go by them."""
    house._settings(tmp_path, 8700, 8702, "http://127.0.0.1:8701")
    house._settings(tmp_path, 9000, 9002, "http://127.0.0.1:9001")
    found = settings_of(None, tmp_path)
    assert (found.base_url, found.brokers["venue"].url) == ("http://127.0.0.1:9000", "http://127.0.0.1:9001")


def test_what_somebody_wrote_into_the_settings_stays(tmp_path: Path) -> None:
    house._settings(tmp_path, 8700, 8702, "http://127.0.0.1:8701")
    file = tmp_path / "gateway.yaml"
    written = "# mine\n" + file.read_text(encoding="utf-8") + "log_level: debug  # for a while\n"
    file.write_text(written, encoding="utf-8")
    house._settings(tmp_path, 9000, 9002, "http://127.0.0.1:9001")
    assert file.read_text(encoding="utf-8") == written.replace(":8701", ":9001").replace(": 8700", ": 9000")
