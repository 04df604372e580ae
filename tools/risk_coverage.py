"""How much of the risk controls their own tests go through, line by line and branch by branch.

Runs the tests that `make mutants` runs under coverage.py. Ends with an error where a test fails, or where
less than the floor was gone through.

    python -m tools.risk_coverage --record bench/results
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import typer

PACKAGE: Final = "ordergate.core.risk"
FLOOR: Final = 95.0
PLAIN: Final = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")


def selection(project: Path) -> list[str]:
    """The tests of the controls alone."""
    told = tomllib.loads(project.read_text(encoding="utf-8"))
    named: list[str] = told["tool"]["mutmut"]["pytest_add_cli_args_test_selection"]
    return named


def percent(gone_through: int, of: int) -> float:
    """Of a hundred, rounded down: what is not whole is not called so."""
    return 100.0 if of == 0 else gone_through * 1000 // of / 10


def figures(report: dict[str, Any], commit: str) -> dict[str, Any]:
    """Lines and branches of all and of each module, the weakest first, from coverage.py's own report."""
    modules = {Path(name).stem: one["summary"] for name, one in report["files"].items()}
    told = {name: _part(one) for name, one in modules.items() if one["num_statements"]}
    weakest = sorted(told.items(), key=lambda one: (one[1]["branches"], one[1]["lines"]))
    return {"commit": commit, "all": _part(report["totals"]), "modules": dict(weakest)}


def _part(summary: dict[str, Any]) -> dict[str, float]:
    return {
        "lines": percent(summary["covered_lines"], summary["num_statements"]),
        "branches": percent(summary["covered_branches"], summary["num_branches"]),
    }


def measure(folder: Path) -> dict[str, Any]:
    """Run the tests; coverage.py's report as it says it. Raises CalledProcessError where a test fails."""
    environment = {**os.environ, "COVERAGE_FILE": str(folder / "measured")}
    coverage, report = (sys.executable, "-m", "coverage"), folder / "report.json"
    tests = ("run", "--branch", f"--source={PACKAGE}", "-m", "pytest", *PLAIN)
    subprocess.run([*coverage, *tests, *selection(Path("pyproject.toml"))], check=True, env=environment)
    subprocess.run([*coverage, "json", "-q", "-o", str(report)], check=True, env=environment)
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return told


def main(
    record: Annotated[Path | None, typer.Option(help="write the figures into this folder as well")] = None,
) -> None:
    with tempfile.TemporaryDirectory(prefix="ordergate-coverage-") as name:
        report = measure(Path(name))
    asked = ("git", "rev-parse", "--short", "HEAD")
    commit = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    found = figures(report, commit)
    for module, part in found["modules"].items():
        typer.echo(f"{module:<16} lines {part['lines']:5.1f} %  branches {part['branches']:5.1f} %")
    every = found["all"]
    typer.echo(f"{'all':<16} lines {every['lines']:5.1f} %  branches {every['branches']:5.1f} %")
    if record is not None:
        (record / f"risk-coverage-{commit}.json").write_text(json.dumps(found, indent=2) + "\n")
    if min(every.values()) < FLOOR:
        typer.echo(f"less than {FLOOR:g} %", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
