"""The dose of simulated worlds that every change goes through, and what it must show."""

import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from ordergate.cli.exits import ExitCode
from ordergate.cli.main import app
from ordergate.simulation.catalogue import FAULTS, WITH_SUBJECT
from ordergate.simulation.drill import drill
from ordergate.simulation.invariants.streams import StreamsWhole
from ordergate.simulation.invariants.table import INVARIANTS
from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from tests.dose import LONG, dose

SEEDS = dose(60, 20_000)
HITS_MIN = 50 if LONG else 1  # in the usual dose; a build then runs `make sim`, which asks for 50
_PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.mark.timeout(3600)
def test_no_world_violates_anything_and_every_fault_comes_about() -> None:
    report = drill(1, SEEDS, jobs=2)
    told = [(one.seed, one.violations, one.needed and one.needed.strikes) for one in report.failures]
    assert told == []
    assert report.orders >= 100 * SEEDS * 0.9
    assert {fault for fault in WITH_SUBJECT if report.hits.get(fault, 0) < HITS_MIN} == set()


def test_the_list_of_faults_is_whole_and_says_why_some_have_no_subject() -> None:
    lasts = ["C17", "B26", "D8", "Q4", "N4", "S4", "T2", "U4", "K3", "A1", "M1", "O1"]
    wanted = {f"{last[0]}{n}" for last in lasts for n in range(1, int(last[1:]) + 1)}
    assert {fault.id for fault in FAULTS} == wanted
    assert all(bool(fault.effect) != bool(fault.absent) for fault in FAULTS)


def test_every_invariant_is_checked_or_says_where_it_is() -> None:
    assert [one.id for one in INVARIANTS] == [f"I{number}" for number in range(1, 27)]
    assert all(one.checkers or one.elsewhere for one in INVARIANTS)


def test_the_page_has_every_fault_and_invariant_as_the_code_has_it() -> None:
    rows = dict(re.findall(r"^\| ([A-Z]\d+) \| (.+) \|$", _PAGE.read_text(), re.MULTILINE))
    faults = {one.id: f"{one.what} | {one.effect or 'no subject: ' + one.absent}" for one in FAULTS}
    invariants = {one.id: f"{one.what} | {_checked(one.elsewhere, len(one.checkers))}" for one in INVARIANTS}
    assert rows == faults | invariants


def _checked(elsewhere: str, checkers: int) -> str:
    if not checkers:
        return elsewhere
    return f"checked; {elsewhere}" if elsewhere else "checked"


def test_the_drill_speaks_to_programs_and_keeps_its_figures(tmp_path: Path) -> None:
    asked = ["drill", "--seeds", "2", "--seed", "3", "--faults", "B1,C3", "--json"]
    done = CliRunner().invoke(app, [*asked, "--record", str(tmp_path)])
    assert done.exit_code == 0, done.output
    told = msgspec.json.decode(done.stdout)
    assert (told["seeds"], told["first_seed"], told["violations"]) == (2, 3, 0)
    assert told["failed_because"] == []
    (kept,) = tmp_path.glob("drill-*.json")
    assert msgspec.json.decode(kept.read_bytes())["orders"] == told["orders"]


def test_a_failure_is_told_with_the_hash_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamsWhole, "ended", lambda self: self.violated("planted"))
    asked = ["drill", "--seeds", "1", "--seed", "3", "--faults", "C3"]
    done = CliRunner().invoke(app, [*asked, "--json"])
    told = msgspec.json.decode(done.stdout)
    (failure,) = told["failures"]
    assert failure["digest"] == run(draw(3, ("C3",))).digest
    said = CliRunner().invoke(app, asked).output.replace("\n", "")
    assert f"trace {failure['digest']}" in said
    assert told["failed_because"] == [f"{told['violations']} violations, in 1 of 1 seeds: 3"]
    assert f"failed: {told['failed_because'][0]}" in said


def test_a_drill_that_hits_too_little_has_failed() -> None:
    asked = ["drill", "--seeds", "2", "--seed", "3", "--faults", "B1,C3"]
    rare = CliRunner().invoke(app, [*asked, "--hits-min", "1000"])
    assert (rare.exit_code, "hit less than 1000 times: B1, C3" in rare.output) == (ExitCode.REFUSED, True)
    few = CliRunner().invoke(app, [*asked, "--orders-min", "1000"])
    assert (few.exit_code, "1000 were wanted" in few.output) == (ExitCode.REFUSED, True)


def test_a_drill_that_has_failed_says_why_to_programs_as_well(tmp_path: Path) -> None:
    asked = ["drill", "--seeds", "2", "--seed", "3", "--faults", "B1,C3", "--json"]
    asked += ["--hits-min", "1000", "--orders-min", "1000", "--record", str(tmp_path)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == ExitCode.REFUSED
    told = msgspec.json.decode(done.stdout)
    assert told["failed_because"] == [
        "hit less than 1000 times: B1, C3",
        f"{told['orders'] / 2:.1f} orders a world; 1000 were wanted",
    ]
    (kept,) = tmp_path.glob("drill-*.json")
    assert msgspec.json.decode(kept.read_bytes())["failed_because"] == told["failed_because"]


def test_a_fault_that_is_not_there_is_a_wrong_command() -> None:
    assert CliRunner().invoke(app, ["drill", "--faults", "X9"]).exit_code == 2
    assert CliRunner().invoke(app, ["drill", "--faults", "D6"]).exit_code == 2
