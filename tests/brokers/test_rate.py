"""A cancel can always be made, and the broker's own count is believed when it is lower than ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.brokers._shared.rate import PAUSE_S_MAX, Allowance, Need
from tests.brokers.world import HandClock


def drained(allowance: Allowance, need: Need = Need.ORDINARY) -> int:
    """How many requests go through before the first that must wait."""
    taken = 0
    while allowance.take(need) == 0:
        taken += 1
    return taken


@pytest.mark.parametrize(
    ("per_minute", "reserve", "ordinary"), [(200, 0.2, 160), (10, 0.5, 5), (60, 0.2, 48)]
)
def test_ordinary_requests_leave_the_reserve_to_cancels(
    clock: HandClock, per_minute: int, reserve: float, ordinary: int
) -> None:
    allowance = Allowance(per_minute=per_minute, clock=clock, reserve=reserve)
    assert drained(allowance) == ordinary
    assert drained(allowance, Need.CANCEL) == per_minute - ordinary


def test_a_refused_request_says_how_long_to_wait_and_then_passes(clock: HandClock) -> None:
    allowance = Allowance(per_minute=60, clock=clock)
    drained(allowance)
    wait = allowance.take(Need.ORDINARY)
    clock.seconds += wait
    assert allowance.take(Need.ORDINARY) == 0


@given(st.lists(st.tuples(st.sampled_from(Need), st.floats(0, 2)), min_size=1, max_size=300))
def test_no_more_than_the_limit_and_its_refill_ever_passes(asks: list[tuple[Need, float]]) -> None:
    clock = HandClock()
    began = clock.seconds
    allowance = Allowance(per_minute=30, clock=clock)
    passed = {Need.ORDINARY: 0, Need.CANCEL: 0}
    for need, pause in asks:
        clock.seconds += pause
        passed[need] += allowance.take(need) == 0
    refilled = (clock.seconds - began) * 30 / 60
    assert sum(passed.values()) <= 30 + refilled + 1e-6
    assert passed[Need.ORDINARY] <= 24 + refilled + 1e-6


def test_the_brokers_lower_count_is_believed(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    allowance.answered(limit=None, remaining=25, reset_at=None)
    assert drained(allowance) == 5


def test_the_brokers_higher_count_is_not(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    drained(allowance, Need.CANCEL)
    allowance.answered(limit=None, remaining=100, reset_at=None)
    assert allowance.take(Need.CANCEL) > 0


def test_the_reserve_is_a_share_of_the_limit_that_holds(clock: HandClock) -> None:
    """Ours is set far above what the broker allows: its own limit decides what cancels keep."""
    allowance = Allowance(per_minute=1_000_000, clock=clock)
    allowance.answered(limit=200, remaining=199, reset_at=None)
    assert drained(allowance) == 159
    assert drained(allowance, Need.CANCEL) == 40


def test_nothing_left_closes_until_the_brokers_reset(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    allowance.answered(limit=None, remaining=0, reset_at=clock.now().timestamp() + 7)
    assert allowance.take(Need.CANCEL) == pytest.approx(7)
    clock.seconds += 7.1
    assert allowance.take(Need.CANCEL) == 0


def test_retry_after_is_obeyed(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    assert allowance.refused(retry_after_s=3, reset_at=None) == 3
    assert allowance.take(Need.CANCEL) == pytest.approx(3)


def test_without_a_word_the_pause_doubles_and_is_capped(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    pauses = [allowance.refused(retry_after_s=None, reset_at=None) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, PAUSE_S_MAX, PAUSE_S_MAX, PAUSE_S_MAX]
    allowance.answered(limit=None, remaining=None, reset_at=None)
    assert allowance.refused(retry_after_s=None, reset_at=None) == 1


@pytest.mark.parametrize("reset_in", [1e12, -1e12])
def test_a_clock_that_is_wrong_stops_nobody_for_a_day(clock: HandClock, reset_in: float) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    pause = allowance.refused(retry_after_s=None, reset_at=clock.now().timestamp() + reset_in)
    assert 0 <= pause <= PAUSE_S_MAX


@pytest.mark.parametrize(("per_minute", "reserve"), [(0, 0.2), (10, 0.1), (10, 1.0)])
def test_a_reserve_below_a_fifth_is_refused(clock: HandClock, per_minute: int, reserve: float) -> None:
    with pytest.raises(ValueError):
        Allowance(per_minute=per_minute, clock=clock, reserve=reserve)
