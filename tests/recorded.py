"""Finds the recorded market data, and says in one line what was not run when there is none.

The recordings are large and live beside the repository, not in it: in the folder named by
ORDERGATE_SHARED, or in `../shared`. A test that asks for the `shared_dir` fixture is left out of the
run when the folder is absent: it neither fails nor pretends to pass.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

FIXTURE: Final = "shared_dir"
REPOSITORY: Final = Path(__file__).resolve().parents[1]


def find_shared_dir() -> Path | None:
    """The folder with the recorded data, or None. A named folder that does not exist counts as none."""
    named = os.environ.get("ORDERGATE_SHARED")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    return folder.resolve() if (folder / "data").is_dir() else None


def split_by_need(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests that run without recordings, and those that need them (directly or through a fixture)."""
    free: list[pytest.Item] = []
    needy: list[pytest.Item] = []
    for item in items:
        (needy if FIXTURE in getattr(item, "fixturenames", ()) else free).append(item)
    return free, needy


def not_run_sentence(count: int) -> str:
    """The one line at the end of the run."""
    tests = "test that needs" if count == 1 else "tests that need"
    return f"not run: {count} {tests} the recorded market data (set ORDERGATE_SHARED to its folder)"
