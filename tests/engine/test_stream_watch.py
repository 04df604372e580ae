"""What a stream owes, and what is seen twice: small machines without time of their own."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts.breaks import Difference, Nature
from ordergate.core.ids import OrderId
from ordergate.core.orders.reports import AcknowledgedReport, ExecutedReport
from ordergate.engine.accounts import stream_watch
from ordergate.engine.accounts.sightings import Sightings
from ordergate.engine.accounts.stream_watch import StreamWatch
from tests.engine.stage import START


def said(number: int) -> AcknowledgedReport:
    return AcknowledgedReport(cl_ord_id=f"c{number}", version=1, broker_order_id=f"b{number}")


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=30)


@given(STEPS)
def test_an_order_is_owed_exactly_until_the_stream_has_said_something_of_it(
    steps: list[tuple[bool, int]],
) -> None:
    watch = StreamWatch()
    watch.came_up(0.0)
    acknowledged: set[int] = set()
    heard: set[int] = set()
    for is_acknowledgement, number in steps:
        if not is_acknowledgement:
            watch.heard(said(number))
            heard.add(number)
        elif number not in acknowledged:
            watch.acknowledged(f"b{number}", OrderId(f"o{number}"), 1.0)
            acknowledged.add(number)
    assert set(watch.overdue(10.0, 5.0)) == {OrderId(f"o{n}") for n in acknowledged - heard}


def test_an_order_that_never_shows_is_asked_about_a_few_times_and_then_left_to_the_timer() -> None:
    watch = StreamWatch()
    watch.came_up(0.0)
    watch.acknowledged("b1", OrderId("o1"), 0.0)
    asked = [len(watch.overdue(float(second), 5.0)) for second in range(60)]
    assert sum(asked) == stream_watch.ASKED_MAX
    assert asked[:5] == [0] * 5


def test_a_stream_that_is_down_owes_nothing() -> None:
    watch = StreamWatch()
    watch.acknowledged("b1", OrderId("o1"), 0.0)
    watch.came_up(1.0)
    watch.acknowledged("b2", OrderId("o2"), 1.0)
    watch.learned("x", 2.0, unread_since=1.5)
    watch.went_down()
    assert watch.overdue(60.0, 1.0) == []
    assert watch.deaf_since(60.0, 1.0) is None


def executed(number: int) -> ExecutedReport:
    return ExecutedReport(
        cl_ord_id=f"c{number}",
        version=1,
        broker_order_id=f"b{number}",
        exec_id=f"told-{number}",
        quantity=Decimal(1),
        price=Decimal(1),
    )


def test_an_execution_is_owed_until_it_is_told_and_not_at_all_where_it_was_told_before() -> None:
    watch = StreamWatch()
    watch.came_up(0.0)
    watch.heard(executed(1))
    watch.learned("told-1", 2.0, unread_since=1.0)
    watch.learned("told-2", 2.0, unread_since=1.0)
    assert list(watch.untold) == ["told-2"]
    watch.heard(executed(2))
    assert list(watch.untold) == []
    watch.came_up(3.0)
    watch.learned("told-1", 5.0, unread_since=4.0)
    assert list(watch.untold) == ["told-1"], "another stream told it"


def test_what_is_remembered_has_bounds() -> None:
    watch = StreamWatch()
    watch.came_up(0.0)
    for number in range(3 * stream_watch.OWED_MAX):
        watch.heard(executed(-number - 1))
        watch.acknowledged(f"b{number}", OrderId(f"o{number}"), 0.0)
        watch.learned(f"x{number}", 0.0, unread_since=0.5)
        watch.heard(said(-number - 1))
    assert len(watch.overdue(60.0, 1.0)) == stream_watch.OWED_MAX
    assert len(watch.untold) == stream_watch.OWED_MAX
    assert len(watch._told) == stream_watch.EARLY_MAX


def test_a_difference_is_sure_when_it_is_seen_in_two_runs_far_enough_apart() -> None:
    item = Difference(nature=Nature.ORDER_STATUS, subject="o1", ours="working", theirs="not_found")
    sightings = Sightings()
    sure = []
    for second in (0, 3, 6):
        sightings.begin()
        seen = sightings.see(item, now=START, steady_s=second, apart_s=5)
        sure.append(seen is not None)
        sightings.end()
    assert sure == [False, False, True]
    sightings.begin()
    sightings.end()  # a run that did not see it
    assert len(sightings) == 0
    assert sightings.see(item, now=START, steady_s=60, apart_s=5) is None
