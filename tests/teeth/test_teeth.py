"""The simulation has teeth: known mistakes, planted one at a time, are caught by its seeds."""

import os
from collections import Counter

import pytest

from tools.teeth.catalogue import MUTATIONS
from tools.teeth.hunt import hunt
from tools.teeth.mutation import Mutation, NotThere, not_there

SEEDS = 8
QUICK = (
    "send-before-commit",
    "unknown-is-rejected",
    "late-fill-dropped",
    "refused-commit-believed",
    "reconcile-skips-executions",
    "placed-again-on-acknowledgement",
)
LONG = os.environ.get("ORDERGATE_DOSE") == "long"


def _by_id(*ids: str) -> list[Mutation]:
    return [one for one in MUTATIONS if one.id in ids]


def test_every_mutation_replaces_text_that_is_there_once() -> None:
    assert not_there(MUTATIONS) == []


def test_the_catalogue_is_large_and_every_mutation_is_one_of_a_kind() -> None:
    assert len(MUTATIONS) >= 60
    assert [one for one, times in Counter(each.id for each in MUTATIONS).items() if times > 1] == []
    assert [one.id for one in MUTATIONS if one.find == one.put] == []
    assert {one.id for one in MUTATIONS if one.p0} >= set(QUICK)


def test_a_mutation_whose_text_has_gone_is_an_error() -> None:
    gone = Mutation(id="gone", what="nothing", file="core/ids.py", find="no such text", put="")
    with pytest.raises(NotThere, match=r"its text is in core/ids\.py 0 times"):
        hunt([gone], seeds=1)


@pytest.mark.timeout(4 * 3600 if LONG else 400)
def test_what_could_lose_or_double_an_order_is_caught() -> None:
    """A handful of the gravest; all of them in the long dose."""
    chosen = [one for one in MUTATIONS if one.p0] if LONG else _by_id(*QUICK)
    report = hunt(chosen, seeds=300 if LONG else SEEDS)
    assert report.unsound == ()
    assert report.p0_missed == ()
