"""Paper and live apart: any one of the ten barriers may be missing, any two, and no order gets through.

And each barrier is enough by itself, against every mishap that it stands in the way of; and with all of them
gone the order does arrive, so that what is shown here is the barriers and not the mishap's own clumsiness.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import pytest

from ordergate.brokers._shared.hosts import ForeignHost
from ordergate.core.faults import Fault
from ordergate.wiring.settings import CannotStart
from tests.fixtures.network import AnotherMachine
from tests.isolation.attempts import STOPS, Attempt, Ground
from tests.isolation.barriers import BARRIERS

REFUSALS = (Fault, CannotStart, ForeignHost, PermissionError, AnotherMachine)
ATTEMPTS = list(STOPS)


@pytest.fixture
async def ground(tmp_path: Path, database: str) -> Ground:
    made = Ground(tmp_path, database)
    await made.begin()
    return made


async def arrived(attempt: Attempt, ground: Ground, without: Iterable[int]) -> int:
    """How many orders the real venue got, with these barriers taken out of the running code."""
    with pytest.MonkeyPatch.context() as patch:
        for barrier in without:
            BARRIERS[barrier](patch)
        try:
            return await attempt(ground)
        except REFUSALS:
            return 0


@pytest.mark.parametrize("missing", [(), *combinations(BARRIERS, 1)], ids=str)
async def test_with_any_one_barrier_gone_no_order_arrives(ground: Ground, missing: tuple[int, ...]) -> None:
    assert {attempt.__name__: await arrived(attempt, ground, missing) for attempt in ATTEMPTS} == {
        attempt.__name__: 0 for attempt in ATTEMPTS
    }


@pytest.mark.parametrize("missing", list(combinations(BARRIERS, 2)), ids=str)
async def test_with_any_two_barriers_gone_no_order_arrives(ground: Ground, missing: tuple[int, int]) -> None:
    assert {attempt.__name__: await arrived(attempt, ground, missing) for attempt in ATTEMPTS} == {
        attempt.__name__: 0 for attempt in ATTEMPTS
    }


@pytest.mark.parametrize(
    ("attempt", "barrier"),
    [(attempt, barrier) for attempt in ATTEMPTS for barrier in sorted(STOPS[attempt])],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
async def test_each_barrier_is_enough_by_itself(ground: Ground, attempt: Attempt, barrier: int) -> None:
    assert await arrived(attempt, ground, set(BARRIERS) - {barrier}) == 0


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.__name__)
async def test_without_any_barrier_the_order_does_arrive(ground: Ground, attempt: Attempt) -> None:
    assert await arrived(attempt, ground, BARRIERS) == 1


def test_every_barrier_stands_in_some_way_and_every_mishap_meets_three() -> None:
    assert set().union(*STOPS.values()) == set(BARRIERS)
    assert min(len(stops) for stops in STOPS.values()) >= 3
