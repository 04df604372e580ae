"""An override is for one order of one person, past named controls, for minutes: and for nothing else."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from ordergate.core.approvals import Person
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.orders.terms import Side
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.overrides import (
    LIFETIME_MAX,
    NEVER,
    OverrideGranted,
    granted,
    lifted,
    wrong_with,
)
from tests.core.examples import NOW, terms

ANNA, BEN = Person("anna", "desk"), Person("ben", "risk")
KNOWN = [control.id for control in PRECEDENCE]
MINUTE = timedelta(minutes=1)


def override(lives: timedelta = MINUTE, **changes: object) -> OverrideGranted:
    asked = msgspec.structs.replace(terms(), **changes)
    return granted(
        "chg-1",
        asked,
        ["R11", "R06", "R11"],
        lives=lives,
        by=ANNA,
        approved_by=BEN,
        at=NOW,
        reason="a client",
    )


def failure(control: str = "R06", **changes: object) -> FailedControl:
    soft = FailedControl(
        control=control, reason="r", detail="d", limit="5", value="6", severity=Severity.SOFT
    )
    return msgspec.structs.replace(soft, **changes)


def test_it_says_what_was_asked_by_whom_and_until_when() -> None:
    assert override() == OverrideGranted(
        at=NOW,
        by=ANNA,
        change_id="chg-1",
        approved_by=BEN,
        reason="a client",
        override_id="chg-1",
        terms=terms(),
        controls=("R06", "R11"),
        expires_at=NOW + MINUTE,
    )
    assert override().account == terms().account


def test_it_never_lives_longer_than_a_quarter_of_an_hour() -> None:
    assert timedelta(minutes=15) == LIFETIME_MAX
    assert override(timedelta(minutes=15)).expires_at == NOW + LIFETIME_MAX
    assert override(timedelta(minutes=16)).expires_at == NOW + LIFETIME_MAX


def test_it_is_for_the_one_who_asked_until_it_expires() -> None:
    one = override()
    assert one.is_for(terms(), "anna", NOW)
    assert one.is_for(terms(), "anna", NOW + MINUTE - timedelta(microseconds=1))
    assert not one.is_for(terms(), "anna", NOW + MINUTE)
    assert not one.is_for(terms(), "ben", NOW)


@pytest.mark.parametrize(
    "other", [terms(quantity=11), terms(limit="100.01"), terms(Side.SELL), terms(limit=None)]
)
def test_it_is_for_the_very_order(other: object) -> None:
    assert not override().is_for(other, "anna", NOW)  # type: ignore[arg-type]  # they are terms


def test_a_label_of_the_clients_own_counts_where_the_override_has_one() -> None:
    labelled = msgspec.structs.replace(terms(), client_order_id="mine")
    assert override().is_for(labelled, "anna", NOW)
    assert override(client_order_id="mine").is_for(labelled, "anna", NOW)
    assert not override(client_order_id="yours").is_for(labelled, "anna", NOW)
    assert not override(client_order_id="mine").is_for(terms(), "anna", NOW)


@pytest.mark.parametrize(
    ("controls", "why"),
    [
        ([], "name at least one control"),
        (["R06", "R99"], "there is no control R99"),
        (["R06", "R05"], "R05 is never lifted"),
        (["R06"], None),
        (["R06", "R28"], None),
    ],
)
def test_what_is_wrong_with_the_controls_is_said(controls: list[str], why: str | None) -> None:
    assert wrong_with(controls, KNOWN) == why


def test_what_decides_who_may_trade_what_is_never_lifted() -> None:
    assert {"R01", "R02", "R03", "R04", "R05", "R20"} == NEVER
    for control in NEVER:
        assert wrong_with([control], [*KNOWN, "R20"]) == f"{control} is never lifted"
        assert lifted([failure(control)], [control]) == ()


def test_only_a_soft_failure_of_a_named_control_that_was_compared_is_lifted() -> None:
    soft = failure()
    assert lifted([soft, failure("R11")], ["R06"]) == (soft,)
    assert lifted([soft, failure("R11")], ["R06", "R11"]) == (soft, failure("R11"))
    for changes in ({"severity": Severity.HARD}, {"limit": None}, {"value": None}):
        assert lifted([failure(**changes)], ["R06"]) == ()
    assert lifted([soft], []) == ()
