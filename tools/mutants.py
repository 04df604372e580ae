"""The score of the planted mistakes: how many of them the tests of risk catch, module by module.

Reads what `make mutants` left behind. A mistake counts as caught when a test failed or went on for ever;
one that no test reaches counts as missed, and so does one that was not tried, which is said.

    python -m tools.mutants --record bench/results
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

LEFT: Final = Path("mutants/src/ordergate/core/risk")
CAUGHT: Final = frozenset({"killed", "timeout"})
# mutmut's exit codes, as its own `status_by_exit_code` has them
STATUS: Final[Mapping[int | None, str]] = {
    None: "untried",
    0: "survived",
    1: "killed",
    3: "killed",
    5: "unreached",
    33: "unreached",
    24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
    -24: "timeout",
}


def score(counted: Counter[str]) -> float:
    """Of a hundred mistakes, how many are caught."""
    return round(100 * sum(counted[status] for status in CAUGHT) / counted.total(), 1)


def of_tried(counted: Counter[str]) -> float:
    """The same of those that were tried: an estimate of the score, where the others were left by chance."""
    tried = Counter({status: count for status, count in counted.items() if status != "untried"})
    return score(tried) if tried else 0.0


def counted(codes: Iterable[int | None]) -> Counter[str]:
    return Counter(STATUS.get(code, "suspicious") for code in codes)


def figures(folder: Path, commit: str) -> dict[str, Any]:
    """The score of each module, the weakest first, and of all of them."""
    modules = {
        path.name.removesuffix(".py.meta"): counted(json.loads(path.read_text())["exit_code_by_key"].values())
        for path in sorted(folder.glob("*.py.meta"))
    }
    found = {name: one for name, one in modules.items() if one}
    total = sum(found.values(), Counter[str]())
    if not total:
        raise typer.BadParameter(f"nothing in {folder}: run `make mutants` first")
    worst_first = sorted(found, key=lambda name: score(found[name]))
    return {
        "commit": commit,
        "score_percent": score(total),
        "of_tried_percent": of_tried(total),
        "mutants": total.total(),
        **dict(sorted(total.items())),
        "modules": {
            name: {
                "score_percent": score(found[name]),
                "of_tried_percent": of_tried(found[name]),
                **dict(sorted(found[name].items())),
            }
            for name in worst_first
        },
    }


def main(
    record: Annotated[Path | None, typer.Option(help="A folder to keep the figures in.")] = None,
    folder: Annotated[Path, typer.Option(help="What mutmut left.")] = LEFT,
) -> None:
    """Say the score, and keep it."""
    asked = ("git", "rev-parse", "--short", "HEAD")
    commit = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    told = figures(folder, commit)
    for name, one in told["modules"].items():
        missed = one.get("survived", 0) + one.get("unreached", 0)
        typer.echo(f"{one['score_percent']:6.1f} %  {name}, {missed} missed")
    typer.echo(f"{told['score_percent']:6.1f} %  of {told['mutants']}")
    typer.echo(f"{told['of_tried_percent']:6.1f} %  of those tried; {told.get('untried', 0)} were not")
    if record is not None:
        path = record / f"mutants-{commit}.json"
        path.write_text(json.dumps(told, indent=2) + "\n")
        typer.echo(f"kept in {path}")


if __name__ == "__main__":
    typer.run(main)
