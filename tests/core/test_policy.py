"""The rules fold from their events, and an edit fits only the version that it was made from."""

from __future__ import annotations

import msgspec
import pytest

from ordergate.core.approvals import Person
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk import policy as policies
from ordergate.core.risk.policy import (
    SETTINGS,
    Edit,
    LimitRuleRemoved,
    LimitRuleSet,
    LimitsTakenIn,
    Policy,
    applied,
    as_read,
    events_of,
    evolve,
    fitting,
    numbered,
    read_edits,
)
from ordergate.core.risk.rules import Reach, Rule
from tests.core.examples import NOW
from tests.core.limit_rules import ACCOUNT, rule

ANNA, BEN = Person("anna", "desk"), Person("ben", "risk")
FIRM = rule(Reach.FIRM, "", {"max_open_orders": 5}, id="firm")
DESK = rule(Reach.DESK, "rates", {"max_open_orders": 4}, id="desk")


def said(one: Rule) -> LimitRuleSet:
    return LimitRuleSet(at=NOW, by=ANNA, rule=one)


def removed(name: str, version: int) -> LimitRuleRemoved:
    return LimitRuleRemoved(at=NOW, by=ANNA, rule_id=name, version=version)


def folded(*events: policies.AnyLimitEvent) -> Policy:
    policy = Policy()
    for event in events:
        policy = evolve(policy, event)
    return policy


def at_version(one: Rule, version: int) -> Rule:
    return msgspec.structs.replace(one, version=version)


def test_a_rule_stands_as_it_was_said_last_until_it_is_removed() -> None:
    newer = at_version(FIRM, 2)
    assert folded(said(FIRM), said(DESK), said(newer)).rules == {"firm": newer, "desk": DESK}
    gone = folded(said(FIRM), said(DESK), removed("firm", 3))
    assert (gone.rules, gone.removed) == ({"desk": DESK}, {"firm": 3})
    assert folded(said(FIRM), removed("firm", 3), said(FIRM)).rules == {"firm": FIRM}


def test_what_was_taken_in_from_the_settings_is_known_by_account() -> None:
    taken = [LimitsTakenIn(at=NOW, by=SETTINGS, account=ACCOUNT, digest=digest) for digest in ("a", "b")]
    assert folded(said(FIRM), *taken) == Policy(rules={"firm": FIRM}, taken={ACCOUNT: "b"})
    assert Person("settings", "settings") == SETTINGS


def test_an_edit_fits_the_version_that_stands_and_only_once() -> None:
    policy = folded(said(at_version(FIRM, 3)))
    assert fitting(policy, [Edit("firm", 3, FIRM), Edit("desk", 0, DESK)]) is None
    assert fitting(policy, []) is None
    assert fitting(policy, [Edit("firm", 3, FIRM), Edit("firm", 3)]) == Refusal(
        Code.INVALID, "firm is changed twice"
    )
    assert fitting(policy, [Edit("firm", 2, FIRM)]) == Refusal(
        Code.CHANGE_OUTDATED, "firm is at version 3, not at 2"
    )
    assert fitting(policy, [Edit("desk", 1, DESK)]) == Refusal(
        Code.CHANGE_OUTDATED, "desk is not there, not at 1"
    )
    assert fitting(policy, [Edit("desk", 0, DESK), Edit("firm", 0)]) == Refusal(
        Code.CHANGE_OUTDATED, "firm is at version 3, not at 0"
    )


def test_edits_are_applied_to_a_copy() -> None:
    policy = folded(said(FIRM))
    newer = at_version(FIRM, 2)
    assert applied(policy, [Edit("firm", 1, newer), Edit("desk", 0, DESK)]) == {"firm": newer, "desk": DESK}
    assert applied(policy, [Edit("firm", 1), Edit("nothing", 0)]) == {}
    assert policy.rules == {"firm": FIRM}


@pytest.mark.parametrize(
    ("expected", "gone", "wanted", "version"),
    [(0, None, 1, 1), (3, None, 1, 4), (0, 7, 1, 8), (9, 7, 1, 10), (2, 1, 6, 6)],
)
def test_no_version_comes_twice(expected: int, gone: int | None, wanted: int, version: int) -> None:
    policy = Policy() if gone is None else folded(removed("firm", gone))
    assert numbered(policy, Edit("firm", expected, at_version(FIRM, wanted))) == version
    assert numbered(policy, Edit("firm", expected)) == max(expected + 1, 0 if gone is None else gone + 1)


def test_what_is_journalled_says_who_did_it_who_approved_it_and_why() -> None:
    policy = folded(said(FIRM), said(DESK))
    edits = [Edit("firm", 1, FIRM), Edit("desk", 1)]
    made = events_of(policy, edits, at=NOW, by=ANNA, reason="calm", change_id="chg-1", approved_by=BEN)
    newer = msgspec.structs.replace(
        FIRM, version=2, made_by="anna", approved_by="ben", changed_at=NOW, reason="calm"
    )
    common = {"at": NOW, "by": ANNA, "change_id": "chg-1", "approved_by": BEN, "reason": "calm"}
    assert made == [
        LimitRuleSet(rule=newer, **common),  # type: ignore[arg-type]  # as named
        LimitRuleRemoved(rule_id="desk", version=1, **common),  # type: ignore[arg-type]  # as named
    ]
    (alone,) = events_of(policy, [Edit("firm", 1, FIRM)], at=NOW, by=ANNA, reason="calm")
    assert isinstance(alone, LimitRuleSet)
    assert (alone.change_id, alone.approved_by, alone.rule.approved_by) == (None, None, None)


def test_a_rule_is_written_in_the_one_way_or_left_to_be_refused_by_name() -> None:
    loose = msgspec.structs.replace(FIRM, limits={"max_open_notional": "5.00"})
    assert as_read(loose).limits == {"max_open_notional": "5"}
    wrong = msgspec.structs.replace(FIRM, limits={"max_open_ordres": 5})
    assert as_read(wrong) is wrong


def test_edits_are_read_strictly() -> None:
    loose = msgspec.structs.replace(FIRM, limits={"max_open_notional": "5.00"})
    found = read_edits([Edit("gone", 1), Edit("firm", 0, loose)], Policy())
    assert found == [Edit("gone", 1), Edit("firm", 0, as_read(loose))]
    wrong = msgspec.structs.replace(FIRM, limits={"max_open_ordres": 5})
    refusal = read_edits([Edit("gone", 1), Edit("firm", 0, wrong)], Policy())
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.detail) == (
        Code.INVALID, "rule firm: limits has no field max_open_ordres",
    )  # fmt: skip


def test_there_are_only_so_many_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "RULES_MAX", 2)
    policy = folded(said(FIRM))
    assert isinstance(read_edits([Edit("desk", 0, DESK)], policy), list)
    third = msgspec.structs.replace(DESK, id="third")
    assert read_edits([Edit("desk", 0, DESK), Edit("third", 0, third)], policy) == Refusal(
        Code.TOO_LARGE, "there may be 2 rules"
    )
    assert isinstance(read_edits([Edit("desk", 0, DESK), Edit("firm", 1)], policy), list)
