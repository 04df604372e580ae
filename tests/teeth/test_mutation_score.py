"""The score counts what was caught, and as missed whatever was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from tools.mutants import counted, figures, score


def left(folder: Path, name: str, codes: list[int | None]) -> None:
    keys = {f"x_{number}": code for number, code in enumerate(codes)}
    (folder / f"{name}.py.meta").write_text(json.dumps({"exit_code_by_key": keys}))


def test_what_fails_or_never_ends_is_caught_and_all_else_is_missed(tmp_path: Path) -> None:
    left(tmp_path, "checks", [1, 3, 36, 0])
    left(tmp_path, "rates", [1, 33, 5, None, -11])
    left(tmp_path, "empty", [])
    told = figures(tmp_path, "abc")
    assert list(told["modules"]) == ["rates", "checks"]
    assert told["modules"]["checks"] == {
        "score_percent": 75.0, "of_tried_percent": 75.0, "killed": 2, "survived": 1, "timeout": 1,
    }  # fmt: skip
    assert told["modules"]["rates"] == {
        "score_percent": 20.0, "of_tried_percent": 25.0,
        "killed": 1, "suspicious": 1, "unreached": 2, "untried": 1,
    }  # fmt: skip
    assert (told["commit"], told["mutants"], told["score_percent"]) == ("abc", 9, 44.4)
    assert told["of_tried_percent"] == 50.0


def test_a_score_is_of_a_hundred() -> None:
    assert score(counted([1, 1, 0])) == 66.7


def test_without_a_run_there_is_no_score(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter):
        figures(tmp_path, "abc")
