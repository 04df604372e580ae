"""Every claim about security names tests, and every test that it names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.claims import (
    NAMED,
    ROOT,
    SECURITY,
    THREATS,
    Claim,
    Outcome,
    flaws,
    judge,
    main,
    merged,
    rows,
    unmet,
)


def missing(named: str) -> str | None:
    """What is wrong with a named file or test."""
    path, _, test = named.partition("::")
    place = ROOT / path
    if not place.is_file():
        return f"{named}: no such file"
    found = re.search(rf"^(?:async )?def {test}\(", place.read_text(encoding="utf-8"), re.MULTILINE)
    return None if not test or found else f"{named}: no such test"


def test_every_claim_that_applies_is_shown_by_tests_and_every_other_says_why_not() -> None:
    wrong = []
    for row in rows():
        wrong += flaws(row)
        wrong += [f"{row['id']}: {no}" for no in map(missing, row["tests"].split()) if no]
    assert not wrong, "\n".join(wrong)


ROW: Final = {"id": "1.1.1", "level": "1", "applies": "yes", "tests": "tests/a.py", "note": "why"}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"tests": ""}, ["1.1.1: nothing shows it"]),
        ({"applies": "perhaps"}, ["1.1.1: what it is"]),
        ({"level": "4"}, ["1.1.1: what it is"]),
        ({"applies": "no"}, []),
        ({"applies": "no", "note": ""}, ["1.1.1: why not"]),
        ({"applies": "not met"}, []),
        ({"applies": "not met", "note": ""}, ["1.1.1: not met at level 1, and not said what is lacking"]),
        (
            {"applies": "not met", "note": "", "level": "3"},
            ["1.1.1: not met at level 3, and not said what is lacking"],
        ),
    ],
)
def test_what_does_not_apply_and_what_is_not_met_each_say_why(
    changes: dict[str, str], wrong: list[str]
) -> None:
    assert flaws(ROW | changes) == wrong


def test_what_is_not_met_is_counted_by_level() -> None:
    lacking = ROW | {"applies": "not met"}
    found = [ROW, lacking, lacking | {"id": "1.1.2"}, lacking | {"id": "2.1.1", "level": "3"}]
    told = "3 apply and are not met (level 1: 1.1.1, 1.1.2; level 2: none; level 3: 2.1.1)"
    assert unmet(found) == told


def test_a_judged_run_says_what_is_not_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(str(tmp_path))
    assert f"{unmet(rows())}\n" in capsys.readouterr().out


def test_no_requirement_is_claimed_twice_and_they_are_in_order() -> None:
    ids = [tuple(map(int, row["id"].split("."))) for row in rows()]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("document", [THREATS], ids=lambda path: path.name)
def test_every_test_that_a_document_names_is_there(document: Path) -> None:
    named = NAMED.findall(document.read_text(encoding="utf-8"))
    assert named
    assert not [no for no in map(missing, named) if no]


def test_every_threat_is_in_the_model_once() -> None:
    ids = re.findall(r"^\| ((?:TM|PL)\d+) \|", THREATS.read_text(encoding="utf-8"), re.MULTILINE)
    assert ids == [f"TM{number}" for number in range(1, 34)] + [f"PL{number}" for number in range(1, 14)]


MADE: Final = [Claim("1.1.1", ("tests/a.py", "tests/b.py::test_one"), frozenset({"softhsm2"}))]
PASSED: Final = Outcome("passed")
RAN: Final = ("tests/a.py::test_x", "tests/b.py::test_one[1]", "tests/b.py::test_one[2]")
GOOD: Final = dict.fromkeys(RAN, PASSED)
UNSAID: Final = "was skipped, and its row does not say that it needs that"


def test_what_ran_and_passed_is_shown() -> None:
    assert judge(MADE, GOOD, whole=True) == []


@pytest.mark.parametrize(
    ("node", "outcome", "wrong"),
    [
        ("tests/a.py::test_y", Outcome("failed"), "1.1.1: tests/a.py failed"),
        ("tests/b.py::test_one[3]", Outcome("failed"), "1.1.1: tests/b.py::test_one failed"),
        (
            "tests/b.py::test_one[1]",
            Outcome("skipped", "there is no npm here"),
            f"1.1.1: tests/b.py::test_one {UNSAID}: there is no npm here",
        ),
    ],
)
def test_what_failed_or_was_left_out_for_no_stated_need_shows_nothing(
    node: str, outcome: Outcome, wrong: str
) -> None:
    outcomes = {**GOOD, node: outcome}
    assert judge(MADE, outcomes, whole=True) == judge(MADE, outcomes, whole=False) == [wrong]


def test_a_machine_may_lack_what_a_row_says_that_it_needs() -> None:
    lacking = {**GOOD, "tests/b.py::test_one[1]": Outcome("skipped", "there is no softhsm2 here")}
    assert judge(MADE, lacking, whole=True) == []


def test_in_a_whole_run_what_did_not_run_shows_nothing() -> None:
    only = {"tests/a.py::test_x": PASSED, "tests/b.py::test_one_more": PASSED}
    assert judge(MADE, only, whole=False) == []
    assert judge(MADE, only, whole=True) == ["1.1.1: tests/b.py::test_one did not run"]


def test_a_failure_in_one_of_several_runs_stands() -> None:
    skipped, failed = Outcome("skipped", "why"), Outcome("failed")
    runs = [{"a": PASSED, "b": failed, "c": skipped}, {"a": skipped, "b": PASSED, "d": PASSED}]
    assert merged(runs) == {"a": PASSED, "b": failed, "c": skipped, "d": PASSED}


@pytest.mark.parametrize(("body", "ended"), [("pass", 0), ("pytest.skip('for no stated need')", 1)])
def test_a_run_that_leaves_out_what_shows_a_claim_has_failed(tmp_path: Path, body: str, ended: int) -> None:
    claim = next(test for row in rows() for test in row["tests"].split() if "::" in test)
    path, _, test = claim.partition("::")
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(f"import pytest\ndef {test}():\n    {body}\n", encoding="utf-8")
    kept = tmp_path / "kept"
    run = ["pytest", "-q", "-p", "tests.fixtures.outcomes", f"--rootdir={tmp_path}", path]
    told = subprocess.run(
        [sys.executable, "-m", *run],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ORDERGATE_OUTCOMES": str(kept)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == ended, told.stdout + told.stderr
    assert ("not shown: " in told.stdout) is bool(ended)
    (written,) = kept.glob("*.json")
    assert claim in written.read_text(encoding="utf-8")


def test_the_build_judges_both_halves_of_its_run() -> None:
    build = (ROOT / ".ci/run").read_text(encoding="utf-8")
    clean, kept, first, second, judged = (
        build.index(line)
        for line in (
            "rm -rf build/outcomes",
            'export ORDERGATE_OUTCOMES="$PWD/build/outcomes"',
            "tools/alone make test",
            'make test TESTS=tests/security PYTEST_ARGS="-m fetches"',
            "make asvs",
        )
    )
    assert clean < kept < first < second < judged


def test_every_requirement_of_fapi_names_tests_that_are_there() -> None:
    table = SECURITY.read_text(encoding="utf-8").partition("## FAPI 2.0\n")[2].partition("\n## ")[0]
    told = [NAMED.findall(row.split("|")[-2]) for row in table.splitlines() if row.startswith("| 5.")]
    assert len(told) > 20
    assert all(told)
    assert not [no for named in told for no in map(missing, named) if no]
