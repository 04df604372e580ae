"""A cancel can always be made, an order before a question; the broker's lower count is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.brokers._shared.rate import CANCEL_PAUSE_S_MAX, PAUSE_S_MAX, Allowance, Need
from tests.brokers.world import HandClock


def drained(allowance: Allowance, need: Need = Need.ORDER) -> int:
    """How many requests go through before the first that must wait."""
    taken = 0
    while allowance.take(need) == 0:
        taken += 1
    return taken


def refusal_and_its_pause(allowance: Allowance, clock: HandClock) -> float:
    """A refusal without a word; the pause that it brings is over afterwards."""
    pause = allowance.refused(Need.ORDER, retry_after_s=None, reset_at=None)
    clock.seconds += pause
    return pause


@pytest.mark.parametrize(("per_minute", "reserve", "orders"), [(200, 0.2, 160), (10, 0.5, 5), (60, 0.2, 48)])
def test_orders_leave_the_reserve_to_cancels(
    clock: HandClock, per_minute: int, reserve: float, orders: int
) -> None:
    allowance = Allowance(per_minute=per_minute, clock=clock, reserve=reserve)
    assert drained(allowance) == orders
    assert drained(allowance, Need.CANCEL) == per_minute - orders


@pytest.mark.parametrize(("reserve", "questions", "orders"), [(0.2, 120, 40), (0.6, 60, 20)])
def test_questions_leave_a_reserve_to_orders(
    clock: HandClock, reserve: float, questions: int, orders: int
) -> None:
    allowance = Allowance(per_minute=200, clock=clock, reserve=reserve)
    assert drained(allowance, Need.QUESTION) == questions
    assert drained(allowance, Need.ORDER) == orders


def test_an_order_passes_at_once_beside_one_who_never_stops_asking(clock: HandClock) -> None:
    """A reader takes each token that it may have at the very moment at which there is one."""
    allowance = Allowance(per_minute=200, clock=clock)
    waits = []
    for _ in range(20):
        drained(allowance, Need.QUESTION)
        waits.append(allowance.take(Need.ORDER))
        clock.seconds += allowance.take(Need.QUESTION)
    assert waits == [0.0] * 20


@pytest.mark.parametrize("need", Need)
@pytest.mark.parametrize(("per_minute", "reserve"), [(1, 0.2), (2, 0.5), (10, 0.99)])
def test_nobody_waits_for_ever_however_small_the_limit_is(
    clock: HandClock, per_minute: int, reserve: float, need: Need
) -> None:
    allowance = Allowance(per_minute=per_minute, clock=clock, reserve=reserve)
    assert allowance.take(need) == 0


def test_a_refused_request_says_how_long_to_wait_and_then_passes(clock: HandClock) -> None:
    allowance = Allowance(per_minute=60, clock=clock)
    drained(allowance)
    wait = allowance.take(Need.ORDER)
    clock.seconds += wait
    assert allowance.take(Need.ORDER) == 0


@given(st.lists(st.tuples(st.sampled_from(Need), st.floats(0, 2)), min_size=1, max_size=300))
def test_no_more_than_the_limit_and_its_refill_ever_passes(asks: list[tuple[Need, float]]) -> None:
    clock = HandClock()
    began = clock.seconds
    allowance = Allowance(per_minute=30, clock=clock)
    passed = dict.fromkeys(Need, 0)
    for need, pause in asks:
        clock.seconds += pause
        passed[need] += allowance.take(need) == 0
    refilled = (clock.seconds - began) * 30 / 60
    assert sum(passed.values()) <= 30 + refilled + 1e-6
    assert passed[Need.ORDER] + passed[Need.QUESTION] <= 24 + refilled + 1e-6
    assert passed[Need.QUESTION] <= 18 + refilled + 1e-6


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
    assert allowance.refused(Need.ORDER, retry_after_s=3, reset_at=None) == 3
    assert allowance.take(Need.CANCEL) == pytest.approx(3)


def test_without_a_word_the_pause_doubles_and_is_capped(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    pauses = [refusal_and_its_pause(allowance, clock) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, PAUSE_S_MAX, PAUSE_S_MAX, PAUSE_S_MAX]
    allowance.answered(limit=None, remaining=None, reset_at=None)
    assert refusal_and_its_pause(allowance, clock) == 1


def test_refusals_of_requests_that_were_under_way_together_count_as_one(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    pauses = []
    for _ in range(10):
        pauses.append(allowance.refused(Need.ORDER, retry_after_s=None, reset_at=None))
        clock.seconds += 0.0625
    assert pauses == [1 - n * 0.0625 for n in range(10)]
    clock.seconds += 1
    assert refusal_and_its_pause(allowance, clock) == 2


def test_the_brokers_word_makes_a_pause_longer_that_was_guessed(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    allowance.refused(Need.ORDER, retry_after_s=None, reset_at=None)
    allowance.refused(Need.ORDER, retry_after_s=7, reset_at=None)
    assert allowance.take(Need.ORDER) == 7


def test_a_guess_keeps_no_cancel_for_long(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    for _ in range(6):
        refusal_and_its_pause(allowance, clock)
    allowance.refused(Need.ORDER, retry_after_s=None, reset_at=None)
    assert allowance.take(Need.ORDER) == PAUSE_S_MAX
    assert allowance.take(Need.CANCEL) == CANCEL_PAUSE_S_MAX


def test_a_cancel_refused_during_a_guessed_pause_may_try_again_soon(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    for _ in range(6):
        refusal_and_its_pause(allowance, clock)
    allowance.refused(Need.ORDER, retry_after_s=None, reset_at=None)
    clock.seconds += CANCEL_PAUSE_S_MAX
    assert allowance.take(Need.CANCEL) == 0
    assert allowance.refused(Need.CANCEL, retry_after_s=None, reset_at=None) == CANCEL_PAUSE_S_MAX
    assert allowance.take(Need.ORDER) == PAUSE_S_MAX - CANCEL_PAUSE_S_MAX


def test_the_brokers_word_holds_for_cancels_as_well(clock: HandClock) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    allowance.refused(Need.ORDER, retry_after_s=30, reset_at=None)
    assert allowance.take(Need.CANCEL) == 30


@pytest.mark.parametrize("reset_in", [1e12, -1e12])
def test_a_clock_that_is_wrong_stops_nobody_for_a_day(clock: HandClock, reset_in: float) -> None:
    allowance = Allowance(per_minute=100, clock=clock)
    pause = allowance.refused(Need.ORDER, retry_after_s=None, reset_at=clock.now().timestamp() + reset_in)
    assert 0 <= pause <= PAUSE_S_MAX


@pytest.mark.parametrize(("retry_after_s", "reset_in"), [(None, 0), (None, -120), (0, 30)])
def test_a_refusal_that_is_over_already_still_brings_a_pause(
    clock: HandClock, retry_after_s: float | None, reset_in: float
) -> None:
    """As where our clock is fast: nobody asks on and on who is refused each time."""
    allowance = Allowance(per_minute=100, clock=clock)
    reset_at = clock.now().timestamp() + reset_in
    pause = allowance.refused(Need.ORDER, retry_after_s=retry_after_s, reset_at=reset_at)
    assert (pause, allowance.take(Need.ORDER)) == (1, 1)


@pytest.mark.parametrize(("per_minute", "reserve"), [(0, 0.2), (10, 0.1), (10, 1.0)])
def test_a_reserve_below_a_fifth_is_refused(clock: HandClock, per_minute: int, reserve: float) -> None:
    with pytest.raises(ValueError):
        Allowance(per_minute=per_minute, clock=clock, reserve=reserve)
