"""Executions as brokers really tell them: revised, taken back, put back, twice, and under new names."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.executions import (
    by_hand,
    is_out_of_turn,
    looks_like,
    split_revision,
    told_again,
)
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Execution, evolve
from tests.core.examples import (
    NOW,
    accepted,
    acknowledged,
    folded,
    ids,
    later,
    replace_requested,
    terms,
    working,
)
from tests.core.execution_reports import AT, bust, correct, fill, hear, seen

CANCELED = e.OrderCanceled(order_id=ids(), at=NOW, evidence="the broker")
NEVER_ARRIVED = e.OrderRejected(order_id=ids(), at=NOW, reason="never-arrived", evidence="two answers")


# -- what an execution's change does to its order


def test_a_correction_that_completes_an_order_completes_it() -> None:
    order = hear(working(), fill(4), correct(10, 1))
    assert seen(order.status, order.leaves_qty, order.final_at) == (Status.FILLED, 0, AT)


def test_a_correction_that_completes_an_order_whose_cancel_was_asked_completes_it() -> None:
    asked = e.CancelRequested(order_id=ids(), at=NOW, actor="trader")
    order = hear(folded(accepted(), acknowledged(), asked), fill(4), correct(10, 1))
    assert order.status is Status.FILLED


def test_a_correction_that_takes_from_a_complete_order_reopens_it() -> None:
    order = hear(working(), fill(10), correct(6, 1))
    assert seen(order.status, order.leaves_qty, order.final_at) == (Status.WORKING, 4, None)


def test_a_bust_reopens_the_order_that_it_had_completed_and_the_next_fill_completes_it_again() -> None:
    order = hear(working(), fill(6), fill(4, "x-2"), bust("x-2"))
    assert seen(order.status, order.leaves_qty) == (Status.WORKING, 4)
    assert hear(order, fill(4, "x-3")).status is Status.FILLED


def test_an_order_that_was_reopened_is_complete_when_the_broker_says_so() -> None:
    order = hear(working(), fill(10), bust())
    done = r.CompletedReport(cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1")
    order = hear(order, done)
    assert seen(order.status, order.cum_qty, order.leaves_qty) == (Status.FILLED, 0, 0)
    assert hear(order, done) == order


def test_what_ended_otherwise_stays_ended_whatever_its_executions_become() -> None:
    order = evolve(hear(working(), fill(4)), CANCELED)
    for change in (bust(), correct(10, 1), correct(2, 1)):
        assert hear(order, change).status is Status.CANCELED


def test_a_replacement_down_to_what_is_filled_completes_the_order() -> None:
    asked = folded(accepted(), acknowledged(), replace_requested(6))
    news = r.ReplacedReport(
        cl_ord_id=cl_ord_id(ids(), 1), version=1, broker_order_id="b-1", replaced_by="b-2"
    )
    order = hear(asked, fill(6), news)
    assert seen(order.status, order.leaves_qty) == (Status.FILLED, 0)


def test_an_execution_put_back_brings_an_order_thought_absent_to_life() -> None:
    order = hear(folded(accepted(), NEVER_ARRIVED), bust(revision=1))
    assert order.status is Status.REJECTED
    order = hear(order, correct(4, 2))
    assert seen(order.status, order.cum_qty) == (Status.WORKING, 4)


def test_more_than_the_order_is_booked_and_flagged() -> None:
    order = hear(working(), fill(6), fill(6, "x-2"))
    assert seen(order.status, order.cum_qty, order.is_overfilled) == (Status.FILLED, 12, True)


# -- identity: the id it was first known by, and the revision


def test_a_correction_of_a_bust_puts_the_execution_back() -> None:
    order = hear(working(), fill(4), bust(revision=1), correct(5, 2))
    assert seen(order.cum_qty, order.executions["x-1"].revision) == (5, 2)


def test_a_numbered_bust_wins_over_an_older_correction_that_comes_late() -> None:
    order = hear(working(), fill(4), bust(revision=2), correct(5, 1), fill(4))
    assert order.cum_qty == 0


def test_what_was_taken_back_by_a_broker_that_numbers_nothing_is_gone_for_good() -> None:
    order = hear(working(), fill(4), bust(), fill(4), correct(5, 7), fill(3, revision=9))
    assert seen(order.cum_qty, order.executions["x-1"].gone) == (0, True)


def test_corrections_without_numbers_count_as_they_come_each_once() -> None:
    first, second = correct(5, None, reference="x-1a"), correct(7, None, "x-1a", reference="x-1b")
    order = hear(working(), fill(4), first, second, first, second)
    assert seen(order.cum_qty, order.executions.keys()) == (7, {"x-1"})


def test_an_execution_told_again_under_its_corrections_id_is_no_new_one() -> None:
    order = hear(working(), fill(4), correct(5, None, reference="x-1a"), fill(5, "x-1a"))
    assert order.cum_qty == 5
    assert hear(order, bust("x-1a")).cum_qty == 0


def test_a_correction_with_a_name_of_its_own_may_overtake_the_execution() -> None:
    order = hear(working(), correct(5, None, reference="x-1a"), fill(4), fill(5, "x-1a"))
    assert seen(order.cum_qty, dict(order.references)) == (5, {"x-1a": "x-1"})


# -- when an execution was, and when it was changed


def test_an_execution_that_its_correction_overtook_gets_its_own_time_when_that_is_told() -> None:
    order = hear(working(), correct(5, 1))
    assert seen(order.cum_qty, order.executions["x-1"].is_undated) == (5, True)
    (dated,) = proven(order, fill(4), AT)
    assert isinstance(dated, e.ExecutionCorrected)
    assert seen(dated.quantity, dated.revision, dated.broker_at) == (5, 1, NOW)
    order = evolve(order, dated)
    assert order.executions["x-1"].at == NOW
    assert proven(order, fill(5, revision=1), AT) == ()


def test_an_execution_that_was_taken_back_before_it_was_told_is_put_back_in_its_own_time() -> None:
    order = hear(working(), bust(revision=1))
    assert proven(order, fill(4), AT) == ()
    by_list = hear(order, fill(5, revision=2))
    assert seen(by_list.cum_qty, by_list.executions["x-1"].at) == (5, NOW)
    by_stream = hear(order, correct(5, 2))
    assert by_stream.executions["x-1"].is_undated
    assert hear(by_stream, fill(5, revision=2)).executions["x-1"].at == NOW


def test_what_the_account_was_opened_with_is_in_its_figures_and_needs_no_time() -> None:
    booked = e.BookedExecution(exec_id="x-1", revision=0, quantity=Decimal(4), price=Decimal(100))
    adopted = e.OrderAdopted(
        order_id=ids(),
        at=NOW,
        terms=terms(),
        broker_order_id="b-1",
        broker_client_order_id="theirs",
        executions=(booked,),
    )
    assert proven(folded(adopted), fill(4), AT) == ()


@pytest.mark.parametrize(
    ("told", "base", "revision"),
    [
        ("0000e0d5.6553abcd.01.01", "0000e0d5.6553abcd.01", 1),
        ("0000e0d5.6553abcd.01.02", "0000e0d5.6553abcd.01", 2),
        ("0000e0d5.6553abcd.01.10", "0000e0d5.6553abcd.01", 10),
        ("no-parts", "no-parts", 0),
        ("not.a-number", "not.a-number", 0),
        (".01", ".01", 0),
        ("", "", 0),
    ],
)
def test_a_counting_suffix_is_the_revision(told: str, base: str, revision: int) -> None:
    assert split_revision(told) == (base, revision)


def test_an_execution_restated_under_the_next_suffix_is_its_correction() -> None:
    def told(exec_id: str, quantity: int) -> r.ExecutedReport:
        base, revision = split_revision(exec_id)
        return fill(quantity, base, revision=revision)

    order = hear(working(), told("e0d5.65.01.01", 4), told("e0d5.65.01.02", 3), told("e0d5.65.01.01", 4))
    assert seen(order.cum_qty, len(order.executions)) == (3, 1)


# -- corrections that say what to add


def test_a_correction_by_so_much_adds_to_the_execution() -> None:
    order = hear(working(), fill(4), correct(3, 1, delta=True, price=101), correct(-2, 2, delta=True))
    assert seen(order.cum_qty, order.executions["x-1"].price) == (5, 100)


def test_a_correction_by_so_much_counts_once_and_in_turn() -> None:
    later_one = correct(-2, 2, delta=True)
    order = hear(working(), fill(4))
    assert is_out_of_turn(order, later_one)
    order = hear(order, later_one, correct(3, 1, delta=True), later_one, later_one)
    assert order.cum_qty == 5
    assert not is_out_of_turn(order, later_one)


def test_a_correction_by_so_much_waits_for_what_it_adds_to() -> None:
    order = working()
    assert is_out_of_turn(order, correct(3, 1, delta=True))
    assert hear(order, correct(3, 1, delta=True)) == order


def test_a_correction_never_takes_more_than_there_is() -> None:
    order = hear(working(), fill(4))
    assert is_out_of_turn(order, correct(-5, 1, delta=True))
    assert not is_out_of_turn(order, correct(-4, 1, delta=True))


def test_the_brokers_list_settles_what_came_out_of_turn() -> None:
    order = hear(working(), fill(4), correct(-2, 2, delta=True), fill(5, revision=2))
    assert order.cum_qty == 5
    assert hear(order, correct(3, 1, delta=True), correct(-2, 2, delta=True)) == order


# -- told twice under two ids


def test_an_execution_that_equals_another_but_for_its_id_is_noticed() -> None:
    order = hear(working(), fill(4))
    assert looks_like(order, fill(4, "x-2")) == ["x-1"]
    assert looks_like(order, fill(4)) == []
    assert looks_like(order, fill(4, "x-2", price=101)) == []
    assert looks_like(order, fill(3, "x-2")) == []
    assert looks_like(order, fill(4, "x-2", broker_order="b-2")) == []
    assert looks_like(hear(order, bust()), fill(4, "x-2")) == []


def test_a_changed_execution_is_noticed_under_another_id_by_its_time() -> None:
    order = hear(working(), fill(4))
    assert looks_like(order, fill(5, "x-2", revision=2, price=101)) == ["x-1"]  # its change was missed
    assert looks_like(hear(order, correct(5, 2, price=101)), fill(4, "x-2")) == ["x-1"]  # told as it was
    assert looks_like(hear(order, bust(revision=1)), fill(4, "x-2", revision=2)) == ["x-1"]
    assert looks_like(hear(working(), bust(revision=1)), fill(4, "x-2")) == ["x-1"]  # when, is not known
    assert looks_like(hear(working(), correct(5, 1)), fill(4, "x-2", revision=2)) == ["x-1"]
    another = msgspec.structs.replace(fill(5, "x-2", revision=2, price=101), broker_at=later())
    assert looks_like(order, another) == []


def test_a_change_of_what_was_told_under_two_ids_is_a_change_under_either() -> None:
    order = hear(working(), fill(4, "x-2"))
    event = told_again(order, fill(4, "x-1"), "x-2", AT)
    assert event is not None
    order = evolve(order, event)
    changed = fill(4, "x-1", revision=2, price=101)
    assert looks_like(order, changed) == []
    assert hear(order, changed).executions["x-2"].price == 101


def test_of_two_that_it_may_be_the_one_that_equals_it_is_the_likelier() -> None:
    order = hear(working(), fill(4), correct(5, 1), fill(3, "x-2"))
    assert looks_like(order, fill(3, "x-3")) == ["x-2", "x-1"]


def test_of_two_that_it_may_be_the_one_of_the_same_moment_is_the_likeliest() -> None:
    order = hear(working(), correct(4, 1, price=101), fill(4, "x-2"))  # when x-1 was, is not known
    assert looks_like(order, fill(4, "x-3", revision=1, price=101)) == ["x-2", "x-1"]


def test_the_second_name_of_an_execution_is_evidence_once_and_never_a_quantity() -> None:
    order = hear(working(), fill(4))
    event = told_again(order, fill(4, "x-2"), "x-1", AT)
    assert event is not None
    order = evolve(order, event)
    assert seen(order.cum_qty, order.status, dict(order.repeated)) == (4, Status.WORKING, {"x-2": "x-1"})
    assert told_again(order, fill(4, "x-2"), "x-1", AT) is None


def test_what_is_taken_back_under_either_name_is_taken_back() -> None:
    order = hear(working(), fill(4, "x-2"))  # the second name came first
    event = told_again(order, fill(4, "x-1"), "x-2", AT)
    assert event is not None
    order = evolve(order, event)
    assert hear(order, bust("x-1", revision=1)).cum_qty == 0
    assert hear(order, correct(3, 1, "x-1")).cum_qty == 3
    assert hear(order, fill(3, "x-1", revision=1)).cum_qty == 3


def test_what_was_taken_for_a_repeat_is_booked_when_it_turns_out_to_be_another_one() -> None:
    order = hear(working(), fill(4))
    event = told_again(order, fill(4, "x-2"), "x-1", AT)
    assert event is not None
    assert hear(evolve(order, event), fill(4, "x-2")).cum_qty == 8


# -- entered by hand


def test_what_a_person_entered_gives_way_to_the_brokers_own_word() -> None:
    hand = by_hand(ids())
    order = hear(folded(accepted(), acknowledged()), fill(10, hand))
    assert order.status is Status.FILLED
    order = hear(order, fill(4, "x-1"))
    assert seen(order.status, order.cum_qty, order.executions[hand].quantity) == (Status.WORKING, 4, 0)
    order = hear(order, fill(6, "x-2"), fill(10, hand))
    assert seen(order.status, order.cum_qty) == (Status.FILLED, 10)


def test_what_a_person_entered_is_nothing_that_the_broker_can_tell_again() -> None:
    order = hear(folded(accepted(), acknowledged()), fill(10, by_hand(ids())))
    undated = msgspec.structs.replace(order.executions[by_hand(ids())], at=None)
    order = msgspec.structs.replace(order, executions={by_hand(ids()): undated})
    assert looks_like(order, fill(10, "x-1")) == []


def test_what_a_person_entered_gives_way_to_news_of_an_execution_that_was_taken_back() -> None:
    order = hear(folded(accepted(), acknowledged()), fill(10, by_hand(ids())), bust("x-1"))
    assert seen(order.status, order.cum_qty) == (Status.WORKING, 0)


# -- whatever order the news comes in


@st.composite
def revised(draw: st.DrawFn) -> tuple[list[r.AnyReport], dict[str, Decimal]]:
    """Numbered lives of some executions, told in any order and more than once; and what is true."""
    told: list[r.AnyReport] = []
    truth: dict[str, Decimal] = {}
    for number in range(draw(st.integers(1, 3))):
        exec_id = f"x-{number}"
        quantities = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
        quantities[0] = quantities[0] or 1
        for revision, quantity in enumerate(quantities):
            if quantity == 0:
                told.append(bust(exec_id, revision))
            elif revision == 0 or draw(st.booleans()):
                told.append(fill(quantity, exec_id, revision=revision))
            else:
                told.append(correct(quantity, revision, exec_id))
        truth[exec_id] = Decimal(quantities[-1])
    again = draw(st.lists(st.sampled_from(told), max_size=5))
    return draw(st.permutations(told + again)), truth


@given(revised())
def test_in_whatever_order_revisions_come_the_latest_of_each_execution_counts(
    history: tuple[list[r.AnyReport], dict[str, Decimal]],
) -> None:
    told, truth = history
    order = hear(working(), *told)
    assert {key: one.quantity for key, one in order.executions.items()} == truth
    assert order.cum_qty == sum(truth.values())
    complete = order.cum_qty >= order.terms.quantity
    assert order.status is (Status.FILLED if complete else Status.WORKING)
    assert (order.leaves_qty == 0) is complete


@given(st.lists(st.integers(-3, 5), max_size=6), st.randoms())
def test_corrections_by_so_much_with_the_brokers_list_come_to_the_same(
    deltas: list[int], chance: object
) -> None:
    now = 4
    told: list[r.AnyReport] = []
    for revision, wanted in enumerate(deltas, start=1):
        change = max(wanted, -now)
        now += change
        told.append(correct(change, revision, delta=True))
    chance.shuffle(told)  # type: ignore[attr-defined]  # hypothesis gives a Random
    listed = [fill(now, revision=len(deltas))] if now else [bust(revision=len(deltas))]
    order = hear(working(), fill(4), *told, *(listed if deltas else []))
    assert order.cum_qty == now


def test_an_execution_keeps_when_and_where_it_was_first_told() -> None:
    order = hear(working(), fill(4), correct(5, 1))
    assert order.executions["x-1"] == Execution(1, Decimal(5), Decimal(100), NOW, "b-1")
    assert later() == AT
