"""Stops fold to the hardest of all that an order falls under; engaging again never loosens."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from ordergate.core.risk.trading_state import (
    EVERYWHERE,
    TRIPS_KEPT_MAX,
    AnyControlEvent,
    DeadManArmed,
    DeadManDisarmed,
    Grade,
    Kill,
    KillEngaged,
    KillEvent,
    KillFlattenAsked,
    KillFlattenConfirmed,
    KillReleased,
    KillSwept,
    Level,
    Remaining,
    Stop,
    Subject,
    TradingState,
    Trip,
    Tripped,
    evolve,
    harder,
)
from tests.core.examples import NOW

LATER = NOW + timedelta(seconds=1)
WHOLE = Subject(
    account="P-ONE",
    names=("ESH4",),
    broker="login",
    tenant="acme",
    environment="paper",
    user="anna",
    strategy="mean",
    order="P-1",
)
TARGETS = {
    Level.ORDER: "P-1",
    Level.STRATEGY: "mean",
    Level.USER: "anna",
    Level.ACCOUNT: "P-ONE",
    Level.INSTRUMENT: "ESH4",
    Level.BROKER: "login",
    Level.TENANT: "acme",
    Level.ENVIRONMENT: "paper",
    Level.GLOBAL: "",
}


def engaged(
    level: Level = Level.GLOBAL, target: str = "", grade: Grade = Grade.BLOCK_NEW, **more: object
) -> KillEngaged:
    fields: dict[str, object] = {"at": NOW, "actor": "anna", "reason": "why", **more}
    return KillEngaged(level=level, target=target, grade=grade, **fields)  # type: ignore[arg-type]  # as named


def folded(*events: AnyControlEvent) -> TradingState:
    state = TradingState()
    for event in events:
        state = evolve(state, event)
    return state


@pytest.mark.parametrize("level", Level)
def test_a_stop_at_any_level_is_of_everything_under_its_target_and_of_nothing_else(level: Level) -> None:
    state = folded(engaged(level, TARGETS[level]))
    assert state.stop(WHOLE) == Stop(Grade.BLOCK_NEW, level, TARGETS[level], "why")
    if level is not Level.GLOBAL:
        assert folded(engaged(level, "another")).stop(WHOLE) is None


def test_every_level_has_a_target_of_an_order_and_what_is_not_known_has_none() -> None:
    assert set(WHOLE.places()) == set(TARGETS.items())
    bare = Subject(account="P-ONE", broker="login", tenant="acme", environment="paper")
    assert {level for level, _ in bare.places()} == {
        Level.GLOBAL, Level.ENVIRONMENT, Level.TENANT, Level.BROKER, Level.ACCOUNT,
    }  # fmt: skip
    assert folded(engaged(Level.USER, "anna")).stop(bare) is None
    assert EVERYWHERE == (Level.GLOBAL, "")


def test_of_several_stops_the_hardest_decides_and_of_equals_the_widest() -> None:
    narrow = engaged(Level.ACCOUNT, "P-ONE", Grade.CANCEL_ALL, reason="narrow")
    wide = engaged(Level.TENANT, "acme", Grade.BLOCK_NEW)
    assert folded(wide, narrow).stop(WHOLE) == Stop(Grade.CANCEL_ALL, Level.ACCOUNT, "P-ONE", "narrow")
    same = engaged(Level.TENANT, "acme", Grade.CANCEL_ALL, reason="wide")
    assert folded(narrow, same).stop(WHOLE) == Stop(Grade.CANCEL_ALL, Level.TENANT, "acme", "wide")
    assert TradingState().stop(WHOLE) is None


def test_grades_are_ordered_from_what_lets_most_pass() -> None:
    grades = [Grade.REDUCE_ONLY, Grade.FLATTEN, Grade.BLOCK_NEW, Grade.CANCEL_ALL]
    assert list(Grade) == grades
    for softer, hard in pairwise(grades):
        assert harder(softer, hard) is harder(hard, softer) is hard
    assert [grade for grade in Grade if grade.cancels] == [Grade.FLATTEN, Grade.CANCEL_ALL]


@pytest.mark.parametrize(
    ("before", "again", "then"),
    [
        (Grade.CANCEL_ALL, Grade.BLOCK_NEW, Grade.CANCEL_ALL),
        (Grade.BLOCK_NEW, Grade.CANCEL_ALL, Grade.CANCEL_ALL),
        (Grade.REDUCE_ONLY, Grade.REDUCE_ONLY, Grade.REDUCE_ONLY),
        (Grade.FLATTEN, Grade.REDUCE_ONLY, Grade.FLATTEN),
        (Grade.FLATTEN, Grade.BLOCK_NEW, Grade.FLATTEN),
        (Grade.FLATTEN, Grade.CANCEL_ALL, Grade.CANCEL_ALL),
    ],
)
def test_engaging_again_never_loosens_and_says_who_did_it_last(
    before: Grade, again: Grade, then: Grade
) -> None:
    second = engaged(
        grade=again, at=LATER, actor="ben", reason="again", trip=Trip.LOSS_LIMIT, concerns="mean"
    )
    assert folded(engaged(grade=before), second).kill == Kill(
        level=Level.GLOBAL,
        target="",
        grade=then,
        actor="ben",
        reason="again",
        since=NOW,
        again_at=LATER,
        trip=Trip.LOSS_LIMIT,
        concerns="mean",
    )


@pytest.mark.parametrize("before", Grade)
@pytest.mark.parametrize("again", Grade)
def test_what_cancels_goes_on_canceling_whatever_is_engaged_on_top(before: Grade, again: Grade) -> None:
    then = folded(engaged(grade=before), engaged(grade=again)).kill
    assert then is not None
    assert then.grade.cancels or not before.cancels


def test_the_first_engagement_is_kept_as_it_was_made() -> None:
    assert folded(engaged(Level.USER, "anna")).kills == {
        (Level.USER, "anna"): Kill(
            level=Level.USER,
            target="anna",
            grade=Grade.BLOCK_NEW,
            actor="anna",
            reason="why",
            since=NOW,
            again_at=NOW,
        )
    }


def test_what_is_released_is_gone_and_nothing_else_is() -> None:
    both = (engaged(Level.USER, "anna"), engaged(Level.USER, "ben"))
    release = KillReleased(at=LATER, level=Level.USER, target="anna", actor="carl", reason="over")
    assert list(folded(*both, release).kills) == [(Level.USER, "ben")]
    assert folded(both[1], release).kills == folded(both[1]).kills


def test_two_persons_flatten_and_whoever_cancels_all_again_takes_that_back() -> None:
    asked = KillFlattenAsked(at=NOW, actor="anna", reason="out")
    confirmed = KillFlattenConfirmed(at=LATER, actor="ben", reason="out")
    first = folded(engaged(grade=Grade.CANCEL_ALL), asked).kill
    assert first is not None
    assert (first.grade, first.flatten_asked, first.flattened_at) == (Grade.CANCEL_ALL, asked, None)
    both = folded(engaged(grade=Grade.CANCEL_ALL), asked, confirmed)
    assert both.kill is not None
    assert (both.kill.grade, both.kill.flatten_asked, both.kill.flattened_at) == (Grade.FLATTEN, None, LATER)
    again = evolve(both, engaged(grade=Grade.CANCEL_ALL)).kill
    assert again is not None
    assert (again.grade, again.flattened_at) == (Grade.CANCEL_ALL, LATER)


@pytest.mark.parametrize("grade", [Grade.REDUCE_ONLY, Grade.BLOCK_NEW])
def test_whoever_only_blocks_takes_nothing_from_what_two_persons_flatten(grade: Grade) -> None:
    confirmed = KillFlattenConfirmed(at=LATER, actor="ben", reason="out")
    kill = folded(engaged(grade=Grade.CANCEL_ALL), confirmed, engaged(grade=grade)).kill
    assert kill is not None
    assert (kill.grade, kill.flattened_at) == (Grade.FLATTEN, LATER)


@pytest.mark.parametrize(
    "event",
    [
        KillFlattenAsked(at=NOW, actor="anna", reason="out"),
        KillFlattenConfirmed(at=NOW, actor="ben", reason="out"),
        KillReleased(at=NOW, actor="ben", reason="out"),
        KillSwept(at=NOW, cancels=3, took_ms=7),
        DeadManArmed(at=NOW, tenant="t", client="c", session="s", user="u", timeout_s=60, gtc=Remaining.KEEP),
        DeadManDisarmed(at=NOW, tenant="t", client="c", session="s", user="u"),
    ],
)
def test_what_is_about_no_stop_that_is_there_changes_nothing(event: AnyControlEvent) -> None:
    state = folded(engaged(Level.USER, "anna"))
    assert evolve(state, event) == state
    assert evolve(TradingState(), event) == TradingState()


def test_an_event_that_nobody_knows_is_a_fault_and_never_nothing() -> None:
    with pytest.raises(AssertionError):
        evolve(TradingState(), KillEvent(at=NOW))  # type: ignore[arg-type]  # the base of all of them


def test_stops_are_listed_the_widest_first_and_the_widest_is_the_one_to_show() -> None:
    order = [(Level.TENANT, "a"), (Level.ACCOUNT, "a"), (Level.ACCOUNT, "b"), (Level.ORDER, "a")]
    state = folded(*(engaged(level, target) for level, target in reversed(order)))
    assert [one.place for one in state.widest_first()] == order
    assert state.kill is not None
    assert state.kill.place == order[0]
    assert TradingState().kill is None


def test_the_gateways_own_closing_orders_pass_a_flatten_as_far_as_they_reduce() -> None:
    flat = Stop(Grade.FLATTEN, Level.ACCOUNT, "P-ONE", "out")
    assert flat.for_closing() == Stop(Grade.REDUCE_ONLY, Level.ACCOUNT, "P-ONE", "out")
    for grade in (Grade.REDUCE_ONLY, Grade.BLOCK_NEW, Grade.CANCEL_ALL):
        assert Stop(grade).for_closing() == Stop(grade)


def test_every_trip_says_how_it_is_lifted() -> None:
    assert all(trip.lift and trip.lift != trip.value for trip in Trip)
    assert {trip.value for trip in Trip} == {
        "error-rate", "repeated-execution", "loss-limit", "stale-market-data", "stream-stale", "clock-offset",
        "config-mismatch",
    }  # fmt: skip


ONE = (Level.ACCOUNT, "P-ONE")


def tripped(at: datetime = NOW, trip: Trip = Trip.ERROR_RATE) -> KillEngaged:
    return engaged(*ONE, Grade.REDUCE_ONLY, at=at, actor="gateway", trip=trip)


def lifted(at: datetime = LATER, actor: str = "anna") -> KillReleased:
    return KillReleased(at=at, level=Level.ACCOUNT, target="P-ONE", actor=actor, reason="over")


def errors_of(state: TradingState) -> tuple[Tripped, ...]:
    return state.trips[ONE, Trip.ERROR_RATE]


def test_what_tripped_is_remembered_when_it_is_lifted_and_by_whom() -> None:
    state = folded(tripped(), lifted(), tripped(at=LATER))
    assert errors_of(state) == (Tripped(NOW, LATER, "anna"), Tripped(LATER))
    assert [one.turned_at for one in errors_of(state)] == [LATER, LATER]
    assert errors_of(folded(tripped())) == (Tripped(NOW),)
    assert Tripped(NOW).turned_at == NOW


def test_a_persons_stop_is_no_trip() -> None:
    assert folded(engaged(*ONE), lifted()).trips == {}


def test_what_trips_while_it_is_in_force_is_one_trip() -> None:
    assert errors_of(folded(tripped(), tripped(at=LATER))) == (Tripped(LATER),)


def test_whatever_tripped_at_a_place_is_lifted_with_the_stop_there_and_nothing_elsewhere() -> None:
    elsewhere = engaged(Level.ACCOUNT, "P-TWO", trip=Trip.ERROR_RATE)
    state = folded(tripped(), tripped(trip=Trip.LOSS_LIMIT), elsewhere, lifted(), lifted(at=NOW, actor="ben"))
    once = (Tripped(NOW, LATER, "anna"),)
    assert state.trips == {
        (ONE, Trip.ERROR_RATE): once,
        (ONE, Trip.LOSS_LIMIT): once,
        ((Level.ACCOUNT, "P-TWO"), Trip.ERROR_RATE): (Tripped(NOW),),
    }


def test_nothing_is_lifted_before_it_was_engaged_however_the_clock_was_set() -> None:
    assert errors_of(folded(tripped(at=LATER), lifted(at=NOW))) == (Tripped(LATER, LATER, "anna"),)


def test_only_the_latest_trips_are_remembered() -> None:
    many = [NOW + timedelta(seconds=number) for number in range(TRIPS_KEPT_MAX + 2)]
    row = errors_of(folded(*(event for at in many for event in (tripped(at), lifted(at)))))
    assert [one.at for one in row] == many[2:]


def test_trips_are_remembered_whatever_else_happens_there() -> None:
    cancels = engaged(*ONE, Grade.CANCEL_ALL)
    asked, confirmed = (
        kind(at=NOW, level=Level.ACCOUNT, target="P-ONE", actor="anna", reason="out")
        for kind in (KillFlattenAsked, KillFlattenConfirmed)
    )
    assert folded(tripped(), cancels, asked, confirmed, engaged()).trips == folded(tripped()).trips


def test_whoever_engages_a_stop_that_is_about_somebody_does_not_take_that_back() -> None:
    about = engaged(*ONE, trip=Trip.REPEATED_EXECUTION, concerns="mean")
    again = folded(about, engaged(*ONE, actor="mean")).kills[ONE]
    assert again.concerns == "mean"
    other = folded(about, engaged(*ONE, trip=Trip.REPEATED_EXECUTION, concerns="ben")).kills[ONE]
    assert other.concerns == "ben"
    assert folded(about, lifted(), engaged(*ONE)).kills[ONE].concerns is None
