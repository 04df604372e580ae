"""The settings of a gateway whose audit is read from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from ordergate.wiring.settings import Settings, parse
from tests.audit.logs import ORIGIN


@pytest.fixture
def settings(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AUDIT_TEST_DATABASE", database)
    plain = {
        "environment": "paper",
        "data_dir": str(tmp_path / "data"),
        "database_url": {"environment": "AUDIT_TEST_DATABASE"},
        "instruments": [],
        "brokers": {},
        "accounts": {},
        "audit": {"origin": ORIGIN},
    }
    return parse(plain, "test")
