"""What breakers count, and for how long it is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest

from ordergate.core.orders import events as e
from ordergate.core.risk import tally as tally_module
from ordergate.core.risk.tally import Executed, Tally, is_error, many
from tests.core.examples import NOW, ids, later


def executed(seconds: int, strategy: str | None = "mean") -> Executed:
    return Executed(later(seconds), strategy, "anna")


def counted(*executions: Executed) -> Tally:
    tally = Tally()
    for one in executions:
        tally.executed(one)
    return tally


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
    latest_first = [later(second) for second in reversed(times)]
    now = latest_first[0] if latest_first else NOW
    assert many(latest_first, 3, since=now - timedelta(seconds=60), after=None) == found


def test_what_came_by_the_moment_that_counting_began_anew_is_not_counted() -> None:
    times = [later(2), later(1), NOW]
    assert many(times, 3, since=NOW, after=later(1)) == 1
    assert many(times, 3, since=NOW, after=later(-1)) == 3


def test_executions_are_counted_by_strategy_and_those_that_name_none_as_one() -> None:
    tally = counted(executed(1), executed(2, None), executed(3, "other"), executed(4), executed(5, None))
    assert list(tally.executions("mean")) == [later(4), later(1)]
    assert list(tally.executions(None)) == [later(5), later(2)]
    assert list(tally.executions("unheard of")) == []
    assert {*tally.strategies} == {"mean", "other", None}
    assert tally.latest(None) == executed(5, None)
    assert tally.latest("unheard of") is None


def test_errors_and_executions_are_known_for_an_hour() -> None:
    hour = 3_600
    tally = counted(executed(0), executed(1), executed(0, "other"), executed(1 + hour))
    assert list(tally.executions("mean")) == [later(1 + hour), later(1)]
    assert tally.strategies == ("mean",)
    for second in (0, 1, 1 + hour):
        tally.failed(later(second))
    assert list(tally.errors()) == [later(1 + hour), later(1)]


def test_no_more_than_so_many_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "COUNTED_MAX", 2)
    tally = counted(executed(1), executed(2), executed(3), executed(1, "other"))
    for second in range(3):
        tally.failed(later(second))
    assert list(tally.executions("mean")) == [later(3), later(2)]
    assert list(tally.executions("other")) == [later(1)]
    assert list(tally.errors()) == [later(2), later(1)]


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
