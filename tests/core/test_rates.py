"""Messages are counted exactly, and refusals never add up to a ban."""

from collections import deque
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.durations import MICROSECOND
from ordergate.core.risk.limits import RateWindow
from ordergate.core.risk.rates import MessageBuckets, TokenBucket
from ordergate.core.risk.recent import RecentOrders
from tests.core.examples import NOW, later, terms
from tests.core.risk_examples import limits

WINDOWS = st.builds(RateWindow, st.integers(1, 20), st.integers(1, 10))
GAPS = st.lists(st.integers(0, 3_000_000), max_size=60)


def _moments(gaps: list[int]) -> list[datetime]:
    at = NOW
    moments = []
    for gap in gaps:
        at += gap * MICROSECOND
        moments.append(at)
    return moments


@given(st.lists(WINDOWS, min_size=1, max_size=3), GAPS)
def test_no_stretch_of_time_sees_more_than_a_full_bucket_and_its_refill(
    windows: list[RateWindow], gaps: list[int]
) -> None:
    bucket = TokenBucket(tuple(windows))
    passed = []
    for now in _moments(gaps):
        if bucket.lacking(now) is None:
            passed.append(now)
        bucket.spend(now)
    for window in windows:
        for first, start in enumerate(passed):
            for last in range(first, len(passed)):
                span = (passed[last] - start) // MICROSECOND
                allowed = window.count + span * window.count // (window.seconds * 1_000_000)
                assert last - first + 1 <= allowed


@given(WINDOWS, GAPS)
def test_a_bucket_equals_a_naive_one_counted_in_fractions(window: RateWindow, gaps: list[int]) -> None:
    bucket = TokenBucket((window,))
    unit = window.seconds * 1_000_000
    level, seen = window.count * unit, NOW
    for now in _moments(gaps):
        level = min(window.count * unit, level + (now - seen) // MICROSECOND * window.count)
        seen = now
        assert bucket.tokens(now) == level // unit
        assert (bucket.lacking(now) is None) is (level >= unit)
        if level >= unit:
            level -= unit
        bucket.spend(now)


def test_hammering_an_empty_bucket_does_not_keep_it_empty() -> None:
    bucket = TokenBucket((RateWindow(1, 1),))
    bucket.spend(NOW)
    passed: deque[datetime] = deque()
    for millisecond in range(1, 3_001):
        now = NOW + timedelta(milliseconds=millisecond)
        if bucket.lacking(now) is None:
            passed.append(now)
        bucket.spend(now)
    assert list(passed) == [later(1), later(2), later(3)]


def test_a_clock_that_steps_back_costs_at_most_one_empty_bucket() -> None:
    bucket = TokenBucket((RateWindow(5, 10),))
    bucket.spend(later(3600))
    assert bucket.lacking(NOW) is not None
    bucket.spend(NOW)
    assert bucket.tokens(later(2)) == 1
    assert bucket.tokens(later(10)) == 5


def test_changed_windows_keep_what_the_others_have_spent() -> None:
    kept, gone, new = RateWindow(5, 10), RateWindow(9, 60), RateWindow(7, 60)
    bucket = TokenBucket((kept, gone))
    for _ in range(5):
        bucket.spend(NOW)
    after = bucket.carried_over((new, kept))
    assert after.lacking(NOW) == kept
    assert TokenBucket((new,)).tokens(NOW) == 7


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 10]), GAPS)
def test_a_tighter_window_lets_no_more_pass_than_the_one_before_it(
    count: int, fewer: int, seconds: int, gaps: list[int]
) -> None:
    bucket, now = TokenBucket((RateWindow(max(count, fewer), seconds),)), NOW
    for now in _moments(gaps):
        bucket.spend(now)
    tighter = bucket.carried_over((RateWindow(min(count, fewer), seconds),), now)
    assert tighter.tokens(now) <= bucket.tokens(now)
    assert tighter.tokens(now + timedelta(seconds=seconds)) == min(count, fewer)


def test_what_was_spent_is_spent_of_the_window_that_takes_its_place() -> None:
    bucket = TokenBucket((RateWindow(5, 10),))
    for _ in range(4):
        bucket.spend(NOW)
    assert bucket.carried_over((RateWindow(5, 10), RateWindow(9, 60)), NOW).tokens(NOW) == 1
    assert bucket.carried_over((RateWindow(6, 10),), NOW).tokens(NOW) == 2
    assert bucket.carried_over((RateWindow(3, 10),), NOW).tokens(NOW) == 0
    assert bucket.carried_over((RateWindow(9, 60),), NOW).tokens(NOW) == 5


@pytest.mark.parametrize("back", [1, 60, 3_600])
def test_a_clock_that_steps_back_and_returns_gives_no_message_twice(back: int) -> None:
    bucket = TokenBucket((RateWindow(3, 6),))
    for _ in range(3):
        bucket.spend(NOW)
    for _ in range(3):
        bucket.spend(later(-back))
    assert bucket.tokens(later("0.1")) <= 0
    assert bucket.tokens(later(6)) == 3


def test_a_clock_that_ran_ahead_makes_no_recent_order_forgotten() -> None:
    recent = RecentOrders()
    for second, quantity in ((0, 1), (3_600, 2), (1, 3)):
        recent.remember(terms(quantity=quantity), later(second))
    assert recent.last(terms(quantity=1)) == later(0)


def test_an_order_accepted_again_is_as_recent_as_its_last_time() -> None:
    recent = RecentOrders()
    for second, quantity in enumerate((1, 2, 1)):
        recent.remember(terms(quantity=quantity), later(second))
    assert (len(recent), recent.last(terms(quantity=1))) == (2, later(2))


def test_the_memory_never_grows_beyond_its_bound() -> None:
    recent = RecentOrders()
    for quantity in range(1, 10_051):
        recent.remember(terms(quantity=quantity), NOW)
    assert len(recent) == 10_000
    assert recent.last(terms(quantity=50)) is None


def test_the_emptiest_window_says_how_many_may_go() -> None:
    bucket = TokenBucket((RateWindow(10, 1), RateWindow(3, 60), RateWindow(8, 10)))
    assert bucket.tokens(NOW) == 3
    bucket.spend(NOW)
    assert bucket.tokens(NOW) == 2


def test_orders_and_cancels_each_follow_their_own_change_of_limits() -> None:
    buckets = MessageBuckets(limits())
    buckets.order_sent(NOW)
    buckets.cancel_sent(NOW)
    buckets.refit(limits({"message_windows": [[100, 1], [7, 60]], "cancel_windows": [[100, 1], [5, 60]]}))
    assert (buckets.orders.tokens(NOW), buckets.cancels.tokens(NOW)) == (7, 5)
    assert buckets.cancels.windows == (RateWindow(100, 1), RateWindow(5, 60))
    buckets.refit(None)
    assert not buckets.orders.windows
    assert not buckets.cancels.windows


def test_a_new_window_takes_over_what_was_spent_of_the_longest_other_and_no_more() -> None:
    spent = TokenBucket((RateWindow(4, 10), RateWindow(100, 60)))
    for _ in range(3):
        spent.spend(NOW)
    wider = spent.carried_over((RateWindow(50, 30),), NOW)
    assert wider.tokens(NOW) == 47
    assert spent.carried_over((RateWindow(2, 30),), NOW).tokens(NOW) == 0
    assert spent.carried_over((RateWindow(50, 30),), None).tokens(NOW) == 50
    assert spent.carried_over((RateWindow(50, 30), RateWindow(4, 10)), NOW).left(NOW) == [
        (RateWindow(50, 30), 47), (RateWindow(4, 10), 1),
    ]  # fmt: skip
    half = NOW + timedelta(seconds=5)  # by then all but one have come back
    assert spent.carried_over((RateWindow(50, 30),), half).tokens(half) == 49


def test_a_window_of_which_nothing_was_spent_hands_nothing_on() -> None:
    fresh = TokenBucket((RateWindow(4, 10),))
    assert fresh.carried_over((RateWindow(7, 20),), NOW).tokens(NOW) == 7
    assert fresh.carried_over((RateWindow(6, 10),), NOW).tokens(NOW) == 6
    same = fresh.carried_over((RateWindow(6, 10),), NOW)
    for _ in range(6):
        assert same.lacking(NOW) is None
        same.spend(NOW)
    assert same.lacking(NOW) == RateWindow(6, 10)


def test_a_change_of_limits_is_followed_for_orders_and_for_cancels() -> None:
    before = limits({"message_windows": [[3, 10]], "cancel_windows": [[3, 10]]})
    after = limits({"message_windows": [[5, 10]], "cancel_windows": [[5, 10]]})
    buckets = MessageBuckets(before)
    for _ in range(2):
        buckets.order_sent(NOW)
        buckets.cancel_sent(NOW)
    buckets.refit(after, NOW)
    assert (buckets.orders.tokens(NOW), buckets.cancels.tokens(NOW)) == (3, 3)
    buckets.refit(None, NOW)
    assert (buckets.orders.windows, buckets.cancels.windows) == ((), ())


def test_what_the_journal_knows_to_have_been_sent_counts_as_if_it_were_sent_now() -> None:
    buckets, again = MessageBuckets(limits()), MessageBuckets(limits())
    moments = [later(seconds) for seconds in (0, 1, 1)]
    for moment in moments:
        buckets.order_sent(moment)
    again.orders_sent(moments)
    assert again.orders.left(later(1)) == buckets.orders.left(later(1))
    assert again.orders.tokens(later(1)) == 98
    assert again.cancels.tokens(later(1)) == 100


@given(WINDOWS, GAPS, GAPS, st.integers(0, 5_000_000))
def test_a_restart_after_limits_were_given_lets_no_more_pass_than_before_it(
    window: RateWindow, first: list[int], then: list[int], pause: int
) -> None:
    sent = _moments([*first, *then])
    changed = sent[len(first) - 1] if first else NOW
    restarted = (sent[-1] if sent else NOW) + pause * MICROSECOND
    limited = limits({"message_windows": [[window.count, window.seconds]]})
    before = MessageBuckets(None)
    before.refit(limited, changed)
    for moment in sent[len(first) :]:
        before.order_sent(moment)
    again = MessageBuckets(None)
    again.refit(limited, restarted)
    again.orders_sent(sent)
    assert again.orders.tokens(restarted) <= before.orders.tokens(restarted)
