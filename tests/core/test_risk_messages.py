"""The controls over a stretch of time: how many messages, and twice the same."""

from datetime import timedelta

import pytest

from ordergate.core.admission import admit_overridden
from ordergate.core.orders.events import OrderAccepted, OrderDenied
from ordergate.core.orders.terms import Side, Terms
from tests.core.examples import (
    NOW,
    later,
    place,
    terms,
    working,
)
from tests.core.risk_examples import failures, limits, replace_failures, replacement, spoiled, view


@pytest.mark.parametrize(("sent", "passes"), [(1, True), (2, True), (3, False)])
def test_r15_messages_in_a_window(sent: int, passes: bool) -> None:
    seen = view(limits({"message_windows": [[3, 10]]}))
    for _ in range(sent):
        seen.buckets.order_sent(NOW)
    failed = failures(terms(), seen)
    assert ("R15" not in failed) is passes
    if not passes:
        no = failed["R15"]
        assert (no.reason, no.limit, no.value, no.headroom) == ("message-rate", "3", "4", "-1")
        assert failed["R15"].inputs == {"window_s": "10"}


def test_r15_the_slowest_window_that_is_empty_refuses() -> None:
    seen = view(limits({"message_windows": [[3, 1], [4, 60]]}))
    for second in range(4):
        seen.buckets.order_sent(NOW + timedelta(seconds=second))
    failed = failures(terms(), spoiled(seen, now=later(3)))
    assert failed["R15"].limit == "4"


def test_r15_replacements_count_and_are_refused_like_orders() -> None:
    order = working()
    seen = view(limits({"message_windows": [[1, 10]]}), orders=[order])
    seen.buckets.order_sent(NOW)
    assert list(replace_failures(order, replacement(5), seen)) == ["R15"]


def test_r15_cancels_never_take_what_orders_need_nor_orders_what_cancels_need() -> None:
    seen = view(limits({"message_windows": [[2, 10]], "cancel_windows": [[2, 10]]}))
    for _ in range(100):
        seen.buckets.cancel_sent(NOW)
    assert failures(terms(), seen) == {}
    for _ in range(100):
        seen.buckets.order_sent(NOW)
    assert (seen.buckets.orders.tokens(NOW), seen.buckets.cancels.tokens(NOW)) == (0, 0)
    assert seen.buckets.cancels.tokens(later(5)) == 1


def test_r15_counts_of_other_limits_are_not_trusted() -> None:
    seen = view(limits({"message_windows": [[2, 10]]}))
    changed = limits({"message_windows": [[3, 10]]})
    failed = failures(terms(), spoiled(seen, limits=changed))
    assert failed["R15"].reason == "rate-state-stale"
    seen.buckets.refit(changed)
    assert failures(terms(), spoiled(seen, limits=changed)) == {}


@pytest.mark.parametrize(
    ("seconds", "severity", "limit"),
    [
        ("0", "hard", "1"),
        ("0.999999", "hard", "1"),
        ("-0.5", "hard", "1"),
        ("1", "soft", "10"),
        ("9.999999", "soft", "10"),
        ("10", None, None),
        ("10.000001", None, None),
    ],
)
def test_r16_an_equal_order_is_a_mistake_for_a_second_and_may_be_meant_for_ten(
    seconds: str, severity: str | None, limit: str | None
) -> None:
    seen = view()
    seen.recent.remember(terms(), NOW)
    failed = failures(terms(), spoiled(seen, now=later(seconds)))
    if severity is None:
        assert "R16" not in failed
        return
    assert (failed["R16"].reason, failed["R16"].severity, failed["R16"].limit) == (
        "duplicate", severity, limit,
    )  # fmt: skip
    assert failed["R16"].value == seconds


def test_r16_a_soft_window_no_longer_than_the_other_is_none() -> None:
    seen = view(limits({"duplicate_window_s": "3", "duplicate_soft_window_s": "2"}))
    seen.recent.remember(terms(), NOW)
    assert failures(terms(), spoiled(seen, now=later("2.5")))["R16"].severity == "hard"
    assert failures(terms(), spoiled(seen, now=later(3))) == {}


@pytest.mark.parametrize(
    "other",
    [terms(Side.SELL), terms(quantity=11), terms(limit=101), terms(limit=None), terms(limit=None, stop=100)],
)
def test_r16_an_order_that_differs_in_anything_is_no_duplicate(other: Terms) -> None:
    seen = view()
    seen.recent.remember(terms(), NOW)
    assert failures(other, seen) == {}


def test_r16_a_window_of_nothing_compares_with_nothing() -> None:
    seen = view(limits({"duplicate_window_s": "0"}))
    seen.recent.remember(terms(), NOW)
    assert failures(terms(), seen) == {}


def test_r16_a_window_of_nothing_stays_open_when_the_clock_steps_back() -> None:
    seen = view(limits({"duplicate_window_s": "0"}))
    seen.recent.remember(terms(), later(1))
    assert failures(terms(), seen) == {}


def test_r16_a_replacement_is_no_duplicate() -> None:
    order = working()
    seen = view(orders=[order])
    seen.recent.remember(terms(quantity=5), NOW)
    assert replace_failures(order, replacement(5), seen) == {}


@pytest.mark.parametrize(("seconds", "passes"), [("0.999999", False), ("1", True), ("5", True)])
def test_r16_an_equal_order_that_is_meant_is_confirmed_by_an_override(seconds: str, passes: bool) -> None:
    seen = view()
    seen.recent.remember(terms(), NOW)
    event, lifted = admit_overridden(place(terms()), spoiled(seen, now=later(seconds)), ["R16"])
    assert isinstance(event, OrderAccepted) is passes
    assert [no.control for no in lifted] == (["R16"] if passes else [])


def test_r08_the_far_passive_side_is_lifted_by_an_override_and_the_other_never() -> None:
    seen = view(limits({"far_passive_refused": True}))
    event, lifted = admit_overridden(place(terms(limit=90)), seen, ["R08"])
    assert isinstance(event, OrderAccepted)
    assert [(no.reason, no.severity.value) for no in lifted] == [("price-too-passive", "soft")]
    event, lifted = admit_overridden(place(terms(limit=110)), seen, ["R08"])
    assert isinstance(event, OrderDenied)
    assert lifted == ()
