"""Breaks folded from their events, differences compared, and what follows from a reconciliation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts import breaks
from ordergate.core.accounts import events as a
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import SEVERITY, Action, Break, Difference, Nature, Severity, State
from ordergate.core.accounts.commands import Facts, ResolveBreak
from ordergate.core.accounts.decide import decide_resolve
from ordergate.core.accounts.healing import Evidence
from ordergate.core.accounts.settling import BREAKS_MAX, follow_ups
from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.refusals import Refusal
from tests.core.examples import ACCOUNT, NOW, SHARE, account

OPENED = a.BreakOpened(
    account=ACCOUNT,
    at=NOW,
    break_id="b-1",
    nature="position",
    severity="severe",
    subject="AAPL",
    ours="1",
    theirs="2",
)
SYMBOLS = ("AAPL", "ESM4", "MSFT")


def folded(*events: a.AnyBreakEvent) -> Break:
    item = breaks.opened(OPENED)
    for event in events:
        item = breaks.evolve(item, event)
    return item


def noted(ours: str = "1", theirs: str = "3") -> a.BreakNoted:
    return a.BreakNoted(account=ACCOUNT, at=NOW, break_id="b-1", ours=ours, theirs=theirs)


def assigned(owner: str = "anna") -> a.BreakAssigned:
    return a.BreakAssigned(account=ACCOUNT, at=NOW, break_id="b-1", owner=owner, actor="ben")


def healed() -> a.BreakHealed:
    return a.BreakHealed(account=ACCOUNT, at=NOW, break_id="b-1", rule="sides-agree", evidence="agreed")


def resolved(action: Action = Action.ADOPT) -> a.BreakResolved:
    return a.BreakResolved(
        account=ACCOUNT, at=NOW, break_id="b-1", action=action, actor="ben", reason="looked"
    )


def reopened() -> a.BreakReopened:
    return a.BreakReopened(account=ACCOUNT, at=NOW, break_id="b-1", ours="1", theirs="9")


STEPS = st.sampled_from([noted(), assigned(), healed(), resolved(), resolved(Action.DISMISS), reopened()])


@given(st.lists(STEPS, max_size=12))
def test_any_history_is_folded_or_refused_and_never_loses_a_line(steps: list[a.AnyBreakEvent]) -> None:
    item, taken = breaks.opened(OPENED), 1
    for step in steps:
        before = item
        try:
            item = breaks.evolve(item, step)
        except InvariantBroken:
            assert item is before  # a settled break takes nothing, except that a dismissed one may move
            assert not item.is_open or isinstance(step, a.BreakReopened)
            continue
        taken += 1
        assert len(item.history) == taken
        assert item.history[-1].at == step.at
        assert (item.settled_at is None) == item.is_open
        assert (item.state is State.HEALED) == (item.rule is not None)
        assert item.blocks_opening == item.is_open
        assert bool(item.allowed_actions) == item.is_open
    assert (item.id, item.nature, item.subject, item.opened_at) == ("b-1", Nature.POSITION, "AAPL", NOW)


def test_the_states_are_those_of_the_events() -> None:
    assert folded().state is State.OPEN
    assert (folded(assigned()).state, folded(assigned()).owner) == (State.ASSIGNED, "anna")
    assert folded(healed()).state is State.HEALED
    assert folded(resolved()).state is State.RESOLVED
    again = folded(resolved(Action.DISMISS), reopened())
    assert (again.state, again.action, again.reason, again.theirs) == (State.OPEN, None, None, "9")


def test_what_the_broker_is_to_be_asked_is_asked_no_more_once_it_answered_or_the_break_was_settled() -> None:
    asked = a.BreakCancelAsked(
        account=ACCOUNT,
        at=NOW,
        break_id="b-1",
        order_id=OrderId("o-1"),
        broker_order_id="theirs",
        actor="ben",
        reason="gone",
    )
    answered = a.BreakCancelAnswered(account=ACCOUNT, at=NOW, break_id="b-1", answer="took it")
    assert folded(asked).cancel_asked == asked
    for ends in ((answered,), (healed(),), (resolved(Action.DISMISS), reopened())):
        assert folded(asked, *ends).cancel_asked is None


def test_a_long_history_keeps_its_first_line_and_its_latest() -> None:
    item = folded(*[noted(theirs=str(number)) for number in range(2 * breaks.HISTORY_MAX)])
    assert len(item.history) == breaks.HISTORY_MAX
    assert item.history[0].what == "opened"
    assert item.history[-1].note == f"ours 1, theirs {2 * breaks.HISTORY_MAX - 1}"


def test_every_nature_has_a_severity_and_an_action() -> None:
    for nature in Nature:
        opened = msgspec.structs.replace(OPENED, nature=nature, severity=SEVERITY[nature])
        assert breaks.opened(opened).allowed_actions
    assert SEVERITY[Nature.ENVIRONMENT] is Severity.SEVERE


def test_an_environment_break_can_be_confirmed_and_never_dismissed() -> None:
    opened = msgspec.structs.replace(OPENED, nature="environment", ours="x", theirs="y")
    assert breaks.opened(opened).allowed_actions == (Action.CONFIRM,)


def test_the_id_of_a_break_sorts_by_time_and_names_the_same_break_always() -> None:
    ids = [breaks.break_id(ACCOUNT, "cash", "USD", NOW + timedelta(days=day)) for day in range(400)]
    assert ids == sorted(ids)
    assert breaks.break_id(ACCOUNT, "cash", "USD", NOW) == ids[0]
    assert breaks.break_id(ACCOUNT, "cash", "EUR", NOW) != ids[0]


AMOUNTS = st.decimals(min_value=-100, max_value=100, places=1)
HOLDINGS = st.dictionaries(st.sampled_from([Symbol(s) for s in SYMBOLS]), AMOUNTS)


@given(HOLDINGS, HOLDINGS)
def test_two_sides_differ_exactly_where_their_quantities_do(
    ours: Mapping[Symbol, Decimal], theirs: Mapping[Symbol, Decimal]
) -> None:
    found = {item.subject: item for item in breaks.position_differences(ours, theirs)}
    for symbol in map(Symbol, SYMBOLS):
        gap = theirs.get(symbol, Decimal(0)) - ours.get(symbol, Decimal(0))
        assert (symbol in found) == (gap != 0)
        if gap:
            assert Decimal(found[symbol].gap) == gap
    mirrored = {item.subject: Decimal(item.gap) for item in breaks.position_differences(theirs, ours)}
    assert mirrored == {subject: -Decimal(item.gap) for subject, item in found.items()}
    assert breaks.position_differences(ours, ours) == []


def test_what_is_held_in_a_symbol_that_is_not_listed_is_a_nature_of_its_own() -> None:
    held = {Symbol("GME"): Decimal(5), Symbol("AAPL"): Decimal(1)}
    found = breaks.position_differences({}, held, frozenset({Symbol("AAPL")}))
    assert [(item.subject, item.nature) for item in found] == [
        ("AAPL", Nature.POSITION),
        ("GME", Nature.UNLISTED_SYMBOL),
    ]


def difference(subject: str = "AAPL", theirs: str = "2", ours: str = "0") -> Difference:
    return Difference(nature=Nature.POSITION, subject=subject, ours=ours, theirs=theirs)


AGREED = Evidence(all_compared=frozenset({Nature.POSITION}))


def after(before: Account, *differences: Difference, seen: Evidence = AGREED, minutes: int = 0) -> Account:
    for event in follow_ups(before, differences, seen, NOW + timedelta(minutes=minutes)):
        before = accounts.evolve(before, event)
    return before


def test_a_difference_opens_one_break_however_often_it_is_seen() -> None:
    once = after(account(), difference(), difference())
    assert len(once.breaks) == 1
    assert after(once, difference(), minutes=1) == once


def test_a_change_of_the_figures_is_noted_on_the_open_break() -> None:
    (item,) = after(after(account(), difference()), difference(theirs="3"), minutes=1).breaks.values()
    assert (item.theirs, [step.what for step in item.history]) == ("3", ["opened", "noted"])


def test_a_dismissed_difference_stays_dismissed_while_both_sides_move_together() -> None:
    opened = after(account(), difference(ours="0", theirs="2"))
    (break_id,) = opened.breaks
    dismissed = accounts.evolve(opened, msgspec.structs.replace(resolved(Action.DISMISS), break_id=break_id))
    assert after(dismissed, difference(ours="5", theirs="7"), minutes=1) == dismissed
    (item,) = after(dismissed, difference(ours="5", theirs="8"), minutes=1).breaks.values()
    assert (item.state, item.is_open) == (State.OPEN, True)


GAPS = st.tuples(st.sampled_from(SYMBOLS), st.integers(1, 3))
RUNS = st.lists(st.lists(GAPS, max_size=3, unique_by=lambda one: one[0]), max_size=8)


@given(RUNS)
def test_after_every_run_exactly_the_differences_of_that_run_are_open(
    runs: list[list[tuple[str, int]]],
) -> None:
    books = account()
    for minutes, run in enumerate(runs):
        found = [difference(symbol, str(gap)) for symbol, gap in run]
        seen = msgspec.structs.replace(AGREED, differing=frozenset(item.key for item in found))
        books = after(books, *found, seen=seen, minutes=minutes)
        assert {item.subject: item.theirs for item in books.breaks.values()} == {
            item.subject: item.theirs for item in found
        }


def test_an_account_keeps_no_more_than_so_many_breaks_of_one_severity() -> None:
    many = [difference(f"S{number}") for number in range(2 * BREAKS_MAX)]
    full = after(account(), *many)
    assert len(full.breaks) == BREAKS_MAX
    assert after(full, *many[:BREAKS_MAX], seen=Evidence(), minutes=1) == full


def test_what_is_harmless_leaves_room_for_what_is_not() -> None:
    held = [
        Difference(nature=Nature.UNLISTED_SYMBOL, subject=f"S{number}", ours="0", theirs="1")
        for number in range(2 * BREAKS_MAX)
    ]
    full = after(account(), *held)
    severe = difference("ESH4", "5")
    assert severe.key in {item.key for item in after(full, *held, severe, minutes=1).breaks.values()}


LATER = (noted(), assigned(), healed(), resolved(), reopened())


@pytest.mark.parametrize("event", LATER, ids=lambda event: type(event).__name__)
def test_an_event_of_a_break_that_is_not_there_is_a_fault(event: a.AnyBreakEvent) -> None:
    with pytest.raises(InvariantBroken):
        accounts.evolve(account(), event)


def adopted(books: Account, quantity: int, price: int) -> tuple[Account, int]:
    """The books once a person has adopted what the broker holds, and in how many steps."""
    ours = books.position(SHARE).quantity
    opening = msgspec.structs.replace(OPENED, ours=str(ours), theirs=str(quantity))
    asked = ResolveBreak(break_id="b-1", action=Action.ADOPT, reason="r", actor="ben", asked_at=NOW)
    books = accounts.evolve(books, opening)
    events = decide_resolve(books, asked, Facts(theirs=Decimal(quantity), price=Decimal(price)))
    assert not isinstance(events, Refusal)
    adjusting = [event for event in events if isinstance(event, a.PositionAdjusted)]
    for event in adjusting:
        books = accounts.evolve(books, event)
    return books, len(adjusting)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param((10, 100), (20, 50), id="a split"),
        pytest.param((100, 10), (10, 100), id="a reverse split"),
        pytest.param((10, 100), (15, 105), id="a buy that is not listed"),
        pytest.param((-10, 100), (-15, 105), id="a short sale that is not listed"),
        pytest.param((10, 100), (-5, 120), id="the other side"),
        pytest.param((10, 100), (6, 100), id="a transfer"),
        pytest.param((0, 0), (6, 100), id="out of nothing"),
    ],
)
def test_the_brokers_quantity_is_adopted_at_its_price_and_nothing_is_gained_or_lost(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    after, _ = adopted(account(positions={SHARE: ours} if ours[0] else {}), *theirs)
    position = after.position(SHARE)
    assert (position.quantity, position.avg_px) == (Decimal(theirs[0]), Decimal(theirs[1]))
    assert position.realised == 0


def test_what_one_step_comes_to_is_adopted_in_one() -> None:
    _, steps = adopted(account(positions={SHARE: (10, 100)}), 6, 100)
    assert steps == 1
