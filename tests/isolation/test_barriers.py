"""Paper and live apart: any one of the ten barriers may be missing, any two, and no order gets through.

And each barrier is enough by itself, against every mishap that it stands in the way of; and with all of them
gone the order does arrive, so that what is shown here is the barriers and not the mishap's own clumsiness.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from ordergate.brokers._shared.hosts import ForeignHost
from ordergate.core.faults import Fault
from ordergate.wiring.settings import CannotStart
from tests.fixtures.network import AnotherMachine
from tests.isolation import attempts, crossings
from tests.isolation.attempts import Attempt, Ground
from tests.isolation.barriers import BARRIERS
from tests.keeping import keep

REFUSALS = (Fault, CannotStart, ForeignHost, PermissionError, AnotherMachine)
STOPS = {**attempts.STOPS, **crossings.STOPS}
ATTEMPTS = list(STOPS)


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[str]]:
    """How often each attempt was made while some barrier was gone, and how often nothing arrived."""
    found: Counter[str] = Counter()
    yield found
    told = {
        f"{gone} of ten gone": {"attempts": found[f"{gone} made"], "refused": found[f"{gone} refused"]}
        for gone in (0, 1, 2, 9, 10)
    }
    keep("barriers", {"ways": len(ATTEMPTS), "pairs": len(list(combinations(BARRIERS, 2))), **told})


@pytest.fixture
async def ground(tmp_path: Path, database: str) -> Ground:
    made = Ground(tmp_path, database)
    await made.begin()
    return made


async def arrived(attempt: Attempt, ground: Ground, without: Collection[int], counted: Counter[str]) -> int:
    """How many orders the real venue got, with these barriers taken out of the running code."""
    got = await _gone_as_far_as_it_gets(attempt, ground, without)
    counted[f"{len(without)} made"] += 1
    counted[f"{len(without)} refused"] += got == 0
    return got


async def _gone_as_far_as_it_gets(attempt: Attempt, ground: Ground, without: Iterable[int]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        for barrier in without:
            BARRIERS[barrier](patch)
        try:
            return await attempt(ground)
        except REFUSALS:
            return 0


@pytest.mark.parametrize("missing", [(), *combinations(BARRIERS, 1)], ids=str)
async def test_with_any_one_barrier_gone_no_order_arrives(
    ground: Ground, missing: tuple[int, ...], counted: Counter[str]
) -> None:
    assert {attempt.__name__: await arrived(attempt, ground, missing, counted) for attempt in ATTEMPTS} == {
        attempt.__name__: 0 for attempt in ATTEMPTS
    }


@pytest.mark.parametrize("missing", list(combinations(BARRIERS, 2)), ids=str)
async def test_with_any_two_barriers_gone_no_order_arrives(
    ground: Ground, missing: tuple[int, int], counted: Counter[str]
) -> None:
    assert {attempt.__name__: await arrived(attempt, ground, missing, counted) for attempt in ATTEMPTS} == {
        attempt.__name__: 0 for attempt in ATTEMPTS
    }


@pytest.mark.parametrize(
    ("attempt", "barrier"),
    [(attempt, barrier) for attempt in ATTEMPTS for barrier in sorted(STOPS[attempt])],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
async def test_each_barrier_is_enough_by_itself(
    ground: Ground, attempt: Attempt, barrier: int, counted: Counter[str]
) -> None:
    assert await arrived(attempt, ground, set(BARRIERS) - {barrier}, counted) == 0


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.__name__)
async def test_without_any_barrier_the_order_does_arrive(
    ground: Ground, attempt: Attempt, counted: Counter[str]
) -> None:
    assert await arrived(attempt, ground, BARRIERS, counted) == 1


def test_every_barrier_stands_in_some_way_and_every_mishap_meets_three() -> None:
    assert set().union(*STOPS.values()) == set(BARRIERS)
    assert min(len(stops) for stops in STOPS.values()) >= 3


def test_every_mishap_of_the_threat_model_is_gone_through() -> None:
    told = " ".join((attempt.__doc__ or "").partition(":")[0] for attempt in ATTEMPTS)
    assert set(re.findall(r"PL\d+", told)) == {f"PL{number}" for number in range(1, 14)}
