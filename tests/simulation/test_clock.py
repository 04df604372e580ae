"""The clock of a run: when it showed what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ordergate.simulation.clock import WallClock
from ordergate.simulation.ground import START, Ground
from ordergate.simulation.plan import draw

_AN_HOUR = timedelta(hours=1)


@pytest.fixture
def ground() -> Iterator[Ground]:
    ground = Ground(draw(1), keep_trace=False)
    yield ground
    ground.loop.close()


@pytest.fixture
def clock(ground: Ground) -> WallClock:
    """Right for 10 s, an hour slow for 10 s, right for 10 s more."""
    clock = WallClock(ground)
    ground.loop.call_at(10.0, clock.be_wrong, -_AN_HOUR)
    ground.loop.call_at(20.0, clock.be_right)
    ground.loop.run_until(30.0)
    return clock


def test_what_a_slow_clock_showed_was_later_than_it_looks(clock: WallClock) -> None:
    assert list(clock.showed(START - _AN_HOUR + timedelta(seconds=15))) == [15.0]


def test_what_a_right_clock_showed_was_then(clock: WallClock) -> None:
    assert list(clock.showed(START + timedelta(seconds=25))) == [25.0]


def test_a_time_that_was_jumped_over_was_never_shown(clock: WallClock) -> None:
    assert list(clock.showed(START + timedelta(seconds=15))) == []


def test_a_clock_that_is_set_back_a_little_shows_a_time_twice(ground: Ground) -> None:
    clock = WallClock(ground)
    ground.loop.call_at(10.0, clock.be_wrong, timedelta(seconds=-5))
    ground.loop.run_until(30.0)

    assert list(clock.showed(START + timedelta(seconds=8))) == [8.0, 13.0]
