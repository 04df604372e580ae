"""The simulation has teeth: known mistakes, planted one at a time, are caught by its seeds."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.dose import LONG, dose
from tools.teeth.catalogue import MUTATIONS
from tools.teeth.hunt import hunt
from tools.teeth.known import known
from tools.teeth.mutation import SOURCE, Mutation, NotThere, not_there

SEEDS = dose(30, 300)
P0 = [one for one in MUTATIONS if one.p0]
# Grave, and not caught or not hunted yet: docs/simulation.md says so. Empty is asked for.
OPEN: set[str] = set()


def test_every_mutation_replaces_text_that_is_there_once() -> None:
    assert not_there(MUTATIONS) == []


def test_every_mutation_names_only_what_is_there(tmp_path: Path) -> None:
    """One that names something else fails whatever it does, and is caught for that alone."""
    for one in MUTATIONS:
        source = (SOURCE / "ordergate" / one.file).read_text(encoding="utf-8")
        (tmp_path / f"{one.id}.py").write_text(one.planted(source), encoding="utf-8")
    asked = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F823", str(tmp_path)]
    looked = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert looked.returncode == 0, looked.stdout


def test_the_catalogue_is_large_and_every_mutation_is_one_of_a_kind() -> None:
    assert len(MUTATIONS) >= 60
    assert [one for one, times in Counter(each.id for each in MUTATIONS).items() if times > 1] == []
    assert [one.id for one in MUTATIONS if one.find == one.put] == []
    assert len(P0) >= 40


def test_a_mutation_whose_text_has_gone_is_an_error() -> None:
    gone = Mutation(id="gone", what="nothing", file="core/ids.py", find="no such text", put="")
    with pytest.raises(NotThere, match=r"its text is in core/ids\.py 0 times"):
        hunt([gone], seeds=1)


def test_a_seed_is_remembered_for_every_grave_mistake_but_the_open_ones() -> None:
    assert {one.id for one in P0} - known().keys() == OPEN
    assert known().keys() <= {one.id for one in MUTATIONS}


@pytest.mark.timeout(4 * 3600 if LONG else 600)
def test_what_could_lose_or_double_an_order_is_caught() -> None:
    """One grave mistake in eight, each by the seed that caught it last; a build then hunts all of them."""
    chosen = P0 if LONG else [one for one in P0 if one.id not in OPEN][::8]
    report = hunt(chosen, seeds=SEEDS, known=None if LONG else known())
    assert report.unsound == ()
    assert report.p0_missed == ()
