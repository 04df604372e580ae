"""What is claimed about security, judged by how the tests that show it ended: run and passed, or no claim.

    ORDERGATE_OUTCOMES=build/outcomes make test
    python -m tests.claims build/outcomes

A requirement applies (`yes`), does not apply (`no`), or applies and is `not met`; the last two say why. A
claim names files and tests, never a folder. One that was skipped shows nothing, unless its row says what part
of a machine it needs and the skip names that part. A run of some tests is judged on those alone; `main`
judges whole runs, where a test that did not run is as bad as one that failed.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
CLAIMS: Final = ROOT / "docs" / "asvs.csv"
THREATS: Final = ROOT / "docs" / "threat-model.md"
SECURITY: Final = ROOT / "docs" / "security.md"
NAMED: Final = re.compile(r"tests/[\w/]+(?:\.py)?(?:::\w+)?")
_THREAT: Final = re.compile(r"^\| ((?:TM|PL)\d+) \|.*$", re.MULTILINE)
_OF_FAPI: Final = re.compile(r"^\| (5\.[\d.]+) \|.*$", re.MULTILINE)
YES: Final = "yes"
NO: Final = "no"
NOT_MET: Final = "not met"
LEVELS: Final = ("1", "2", "3")


class Claim(NamedTuple):
    id: str
    tests: tuple[str, ...]
    needs: frozenset[str]


class Outcome(NamedTuple):
    """`passed`, `failed` or `skipped`, and why it was skipped."""

    said: str
    why: str = ""


def rows() -> list[dict[str, str]]:
    with CLAIMS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def flaws(row: Mapping[str, str]) -> list[str]:
    """What is wrong with a row by itself."""
    found = []
    if row["applies"] not in (YES, NO, NOT_MET) or row["level"] not in LEVELS:
        found.append(f"{row['id']}: what it is")
    if row["applies"] == YES and not row["tests"].split():
        found.append(f"{row['id']}: nothing shows it")
    if row["applies"] == NO and not row["note"]:
        found.append(f"{row['id']}: why not")
    if row["applies"] == NOT_MET and not row["note"]:
        found.append(f"{row['id']}: not met at level {row['level']}, and not said what is lacking")
    return found


def unmet(found: Iterable[Mapping[str, str]]) -> str:
    """How many apply and are not met, by level, each by its id."""
    of_level: dict[str, list[str]] = {level: [] for level in LEVELS}
    for row in found:
        if row["applies"] == NOT_MET:
            of_level[row["level"]].append(row["id"])
    told = [f"level {level}: {', '.join(ids) or 'none'}" for level, ids in of_level.items()]
    return f"{sum(map(len, of_level.values()))} apply and are not met ({'; '.join(told)})"


def claims() -> list[Claim]:
    """Those of the ASVS that apply, every threat, and what FAPI requires.

    Whatever a requirement of the ASVS may need the others may need.
    """
    found = [
        Claim(row["id"], tuple(row["tests"].split()), frozenset(row["needs"].split()))
        for row in rows()
        if row["applies"] == YES
    ]
    needs = frozenset[str]().union(*(claim.needs for claim in found))
    text = THREATS.read_text(encoding="utf-8")
    threats = [Claim(row[1], tuple(NAMED.findall(row[0])), needs) for row in _THREAT.finditer(text)]
    text = SECURITY.read_text(encoding="utf-8")
    fapi = [Claim(f"FAPI {row[1]}", tuple(NAMED.findall(row[0])), needs) for row in _OF_FAPI.finditer(text)]
    return [*found, *threats, *fapi]


def judge(made: Iterable[Claim], outcomes: Mapping[str, Outcome], *, whole: bool) -> list[str]:
    """Every claim that is not shown, with what its test did."""
    by_test: dict[str, list[Outcome]] = {}
    for node, outcome in outcomes.items():
        test = node.partition("[")[0]
        for name in (test, test.partition("::")[0]):
            by_test.setdefault(name, []).append(outcome)
    return [
        f"{claim.id}: {named} {wrong}"
        for claim in made
        for named in claim.tests
        if (wrong := _wrong(by_test.get(named, []), claim.needs, whole=whole))
    ]


def _wrong(found: list[Outcome], needs: frozenset[str], *, whole: bool) -> str | None:
    if any(one.said == "failed" for one in found):
        return "failed"
    skipped = (one.why for one in found if one.said == "skipped")
    unexcused = [why for why in skipped if not any(need in why for need in needs)]
    if unexcused:
        return f"was skipped, and its row does not say that it needs that: {unexcused[0]}"
    return "did not run" if whole and not found else None


def merged(reports: Iterable[Mapping[str, Outcome]]) -> dict[str, Outcome]:
    """Of several runs: a failure stands, and what passed in one may be skipped in another."""
    weight = {"skipped": 0, "passed": 1, "failed": 2}
    found: dict[str, Outcome] = {}
    for report in reports:
        for node, outcome in report.items():
            if node not in found or weight[outcome.said] > weight[found[node].said]:
                found[node] = outcome
    return found


def read(folder: Path) -> list[dict[str, Outcome]]:
    """What `tests/fixtures/outcomes.py` left there, a report of each run."""
    return [
        {node: Outcome(*said) for node, said in json.loads(file.read_text(encoding="utf-8")).items()}
        for file in sorted(folder.glob("*.json"))
    ]


def main(folder: str) -> int:
    outcomes, made = merged(read(Path(folder))), claims()
    wrong = [flaw for row in rows() for flaw in flaws(row)] + judge(made, outcomes, whole=True)
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    lacking = judge([claim._replace(needs=frozenset()) for claim in made], outcomes, whole=True)
    if not wrong:
        sys.stdout.write(f"{len(made)} claims are shown; for {len(lacking)} this machine lacks a part\n")
    sys.stdout.write(f"{unmet(rows())}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
