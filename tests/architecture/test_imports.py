"""The import contracts of pyproject.toml hold: who may know whom is a test, not a habit."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from tests.architecture.page import REPOSITORY

LINTER: Final = Path(sys.executable).with_name("lint-imports")
CONTRACTS: Final = {
    "inward",
    "adapters-are-wired",
    "engine-order",
    "core-order",
    "core-is-pure",
    "engine-has-no-vendor",
    "frameworks-at-the-edge",
    "brokers-are-strangers",
    "broker-rooms",
    "translation-is-pure",
    "session-has-no-socket",
    "no-cycles",
}


def test_every_import_contract_is_kept() -> None:
    run = subprocess.run(
        [LINTER, "--no-cache", "--no-logo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_import_contract_was_taken_away() -> None:
    description = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert {contract["id"] for contract in description["tool"]["importlinter"]["contracts"]} == CONTRACTS
