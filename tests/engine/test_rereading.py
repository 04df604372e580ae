"""A long list is read anew at once for what is new, and ever more rarely for what stays."""

from __future__ import annotations

from ordergate.core.accounts.breaks import Difference, Nature
from ordergate.engine.accounts.rereading import WAIT_S_MAX, Rereads


def missing(theirs: str, subject: str = "ESH4") -> Difference:
    return Difference(nature=Nature.POSITION, subject=subject, ours="0", theirs=theirs)


def reads(rereads: Rereads, differences: list[Difference], *, first: int, last: int) -> list[int]:
    """The seconds at which it was due, asked every second; a read takes no time."""
    gaps = {(item.key, item.gap) for item in differences}
    due = []
    for now in range(first, last + 1):
        if rereads.is_due(gaps, now=now, wait_s=5):
            rereads.ended(now)
            due.append(now)
    return due


def test_a_difference_that_stays_is_read_for_at_once_and_after_waits_that_double() -> None:
    assert reads(Rereads(), [missing("2")], first=0, last=80) == [0, 5, 15, 35, 75]


def test_the_wait_does_not_grow_without_end() -> None:
    due = reads(Rereads(), [missing("2")], first=0, last=10_000)
    assert due[-1] - due[-2] == WAIT_S_MAX


def test_another_difference_is_read_for_at_once_and_one_that_went_is_not() -> None:
    rereads = Rereads()
    assert reads(rereads, [missing("2")], first=0, last=7) == [0, 5]
    assert reads(rereads, [missing("3")], first=8, last=9) == [8]
    assert reads(rereads, [missing("3"), missing("1", "SPY")], first=10, last=11) == [10]
    assert reads(rereads, [missing("3")], first=12, last=14) == []


def test_nothing_sure_is_nothing_to_read_for() -> None:
    assert not Rereads().is_due(frozenset(), now=0, wait_s=5)


def test_what_comes_back_after_the_sides_agreed_is_new() -> None:
    rereads = Rereads()
    assert reads(rereads, [missing("2")], first=0, last=1) == [0]
    rereads.forget()
    assert reads(rereads, [missing("2")], first=2, last=3) == [2]


def test_waits_count_from_the_end_of_a_read() -> None:
    rereads, gaps = Rereads(), {("position", "2")}
    assert rereads.is_due(gaps, now=0, wait_s=5)
    rereads.ended(3)
    assert [now for now in range(3, 12) if rereads.is_due(gaps, now=now, wait_s=5)] == [8]


def test_no_wait_is_shorter_than_the_read_before_it_was_whatever_is_new() -> None:
    rereads = Rereads()
    assert rereads.is_due({"ours"}, now=0, wait_s=5)
    rereads.ended(300)
    assert [now for now in range(300, 700) if rereads.is_due({"another"}, now=now, wait_s=5)] == [600]


def test_what_is_being_read_for_is_not_due_again() -> None:
    rereads = Rereads()
    assert rereads.is_due({"ours"}, now=0, wait_s=5)
    assert not rereads.is_due({"ours"}, now=1_000, wait_s=5)
