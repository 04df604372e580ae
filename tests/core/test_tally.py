"""What breakers count, and for how long it is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.orders import events as e
from ordergate.core.risk import tally as tally_module
from ordergate.core.risk.tally import COUNTED_MAX, Executed, Nth, Tally, is_error, many
from tests.core.examples import NOW, ids, later


def executed(seconds: int, strategy: str | None = "mean") -> Executed:
    return Executed(later(seconds), strategy, "anna")


def counted(*executions: Executed) -> Tally:
    tally = Tally()
    for one in executions:
        tally.executed(one)
    return tally


def nth_of(*seconds: int) -> Nth:
    """Of these, the oldest first."""
    tally = Tally()
    for second in seconds:
        tally.failed(later(second))
    return tally.error


def all_of(nth: Nth) -> list[datetime]:
    """The latest first."""
    return [at for number in range(1, COUNTED_MAX) if (at := nth(number)) is not None]


def executions(tally: Tally, strategy: str | None) -> list[datetime]:
    return all_of(partial(tally.execution, strategy))


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ((0, 30, 60), 3),
        ((0, 30, 61), 2),
        ((0, 1, 2, 3), 3),
        ((), 0),
    ],
)
def test_a_window_counts_what_is_within_it_and_no_more_than_is_asked_for(
    times: tuple[int, ...], found: int
) -> None:
    now = later(max(times, default=0))
    assert many(nth_of(*times), 3, since=now - timedelta(seconds=60), after=None) == found


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 12), st.integers(0, 50), st.integers(-1, 50))
def test_it_is_the_count_of_those_within(times: list[int], most: int, since: int, after: int) -> None:
    within = sum(since <= one and after < one for one in times)
    nth = nth_of(*sorted(times))
    assert many(nth, most, since=later(since), after=later(after)) == min(within, most)


def test_what_came_by_the_moment_that_counting_began_anew_is_not_counted() -> None:
    times = nth_of(0, 1, 2)
    assert many(times, 3, since=NOW, after=later(1)) == 1
    assert many(times, 3, since=NOW, after=later(-1)) == 3


def test_executions_are_counted_by_strategy_and_those_that_name_none_as_one() -> None:
    tally = counted(executed(1), executed(2, None), executed(3, "other"), executed(4), executed(5, None))
    assert executions(tally, "mean") == [later(4), later(1)]
    assert executions(tally, None) == [later(5), later(2)]
    assert executions(tally, "unheard of") == []
    assert {*tally.strategies} == {"mean", "other", None}
    assert tally.latest(None) == executed(5, None)
    assert tally.latest("unheard of") is None


def test_errors_and_executions_are_known_for_an_hour() -> None:
    hour = 3_600
    tally = counted(executed(0), executed(1), executed(0, "other"), executed(1 + hour))
    assert executions(tally, "mean") == [later(1 + hour), later(1)]
    assert tally.strategies == ("mean",)
    for second in (0, 1, 1 + hour):
        tally.failed(later(second))
    assert all_of(tally.error) == [later(1 + hour), later(1)]


def test_no_more_than_so_many_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "COUNTED_MAX", 2)
    tally = counted(executed(1), executed(2), executed(3), executed(1, "other"))
    for second in range(3):
        tally.failed(later(second))
    assert executions(tally, "mean") == [later(3), later(2)]
    assert executions(tally, "other") == [later(1)]
    assert all_of(tally.error) == [later(2), later(1)]


def test_what_is_kept_and_shown_is_counted_on_as_if_nothing_had_been() -> None:
    tally = counted(executed(1), executed(1, None), executed(2, "other"), executed(3))
    tally.failed(NOW)
    again = Tally()
    again.show(*tally.kept())
    for one in (tally, again):
        one.executed(executed(4, None))
        one.failed(later(1))
    assert again.kept() == tally.kept()
    assert again.strategies == tally.strategies


ORDER: Final[dict[str, Any]] = {"order_id": ids(), "at": NOW}


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (e.OutcomeUnknown(**ORDER, asked=e.Asked.PLACE, why="late"), True),
        (e.OutcomeUnknown(**ORDER, asked=e.Asked.REPLACE, why="late"), True),
        (e.OutcomeUnknown(**ORDER, asked=e.Asked.CANCEL, why="late"), False),
        (e.OrderRejected(**ORDER, reason="no", evidence="the broker's answer to P-1"), True),
        (e.OrderRejected(**ORDER, reason="kill-switch", evidence="P-1 was never sent"), False),
        (e.OrderRejected(**ORDER, reason="x", evidence="P-1 was never sent: nothing was written"), False),
        (e.ReplaceRejected(**ORDER, version=2, reason="no"), True),
        (e.ReplaceRejected(**ORDER, version=2, reason="kill-switch", unsent=True), False),
        (e.CancelRejected(**ORDER, reason="too late"), False),
    ],
)
def test_an_error_is_what_a_broker_refused_or_left_unanswered(event: e.OrderEvent, counts: bool) -> None:
    assert is_error(event) is counts
