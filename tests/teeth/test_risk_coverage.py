"""The figures of how much of the risk controls tests go through say neither more nor less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.risk_coverage import figures, percent, selection

REPOSITORY = Path(__file__).resolve().parents[2]


def summary(lines: int, of_lines: int, branches: int, of_branches: int) -> dict[str, Any]:
    return {
        "covered_lines": lines,
        "num_statements": of_lines,
        "covered_branches": branches,
        "num_branches": of_branches,
    }


@pytest.mark.parametrize(
    ("through", "of", "said"),
    [(0, 3, 0.0), (2, 3, 66.6), (9_999, 10_000, 99.9), (3, 3, 100.0), (0, 0, 100.0)],
)
def test_what_is_not_whole_is_not_rounded_up(through: int, of: int, said: float) -> None:
    assert percent(through, of) == said


def test_the_weakest_module_is_first_and_empty_ones_are_left_out() -> None:
    report = {
        "totals": summary(9, 10, 3, 4),
        "files": {
            "src/ordergate/core/risk/strong.py": {"summary": summary(5, 5, 2, 2)},
            "src/ordergate/core/risk/weak.py": {"summary": summary(4, 5, 1, 2)},
            "src/ordergate/core/risk/__init__.py": {"summary": summary(0, 0, 0, 0)},
        },
    }
    found = figures(report, "abc")
    assert list(found["modules"]) == ["weak", "strong"]
    assert found["modules"]["weak"] == {"lines": 80.0, "branches": 50.0}
    assert (found["commit"], found["all"]) == ("abc", {"lines": 90.0, "branches": 75.0})


def test_every_test_that_is_named_is_there() -> None:
    named = selection(REPOSITORY / "pyproject.toml")
    assert len(named) == len(set(named))
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []
