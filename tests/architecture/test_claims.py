"""Every claim about security names tests, and every test that it names is there."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CLAIMS: Final = ROOT / "docs" / "asvs.csv"
THREATS: Final = ROOT / "docs" / "threat-model.md"
_NAMED: Final = re.compile(r"tests/[\w/]+(?:\.py)?(?:::\w+)?")


def rows() -> list[dict[str, str]]:
    with CLAIMS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def missing(named: str) -> str | None:
    """What is wrong with a named folder, file or test."""
    path, _, test = named.partition("::")
    place = ROOT / path
    if place.is_dir():
        return None if any(place.glob("**/test_*.py")) else f"{named}: a folder without tests"
    if not place.is_file():
        return f"{named}: no such file"
    found = re.search(rf"^(?:async )?def {test}\(", place.read_text(encoding="utf-8"), re.MULTILINE)
    return None if not test or found else f"{named}: no such test"


def test_every_claim_that_applies_is_shown_by_tests_and_every_other_says_why_not() -> None:
    wrong = []
    for row in rows():
        tests = row["tests"].split()
        if row["applies"] not in ("yes", "no") or row["level"] not in ("1", "2", "3"):
            wrong.append(f"{row['id']}: what it is")
        if row["applies"] == "yes" and not tests:
            wrong.append(f"{row['id']}: nothing shows it")
        if row["applies"] == "no" and not row["note"]:
            wrong.append(f"{row['id']}: why not")
        wrong += [f"{row['id']}: {no}" for no in map(missing, tests) if no]
    assert not wrong, "\n".join(wrong)


def test_no_requirement_is_claimed_twice_and_they_are_in_order() -> None:
    ids = [tuple(map(int, row["id"].split("."))) for row in rows()]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("document", [THREATS], ids=lambda path: path.name)
def test_every_test_that_a_document_names_is_there(document: Path) -> None:
    named = _NAMED.findall(document.read_text(encoding="utf-8"))
    assert named
    assert not [no for no in map(missing, named) if no]


def test_every_threat_is_in_the_model_once() -> None:
    ids = re.findall(r"^\| ((?:TM|PL)\d+) \|", THREATS.read_text(encoding="utf-8"), re.MULTILINE)
    assert ids == [f"TM{number}" for number in range(1, 34)] + [f"PL{number}" for number in range(1, 14)]
