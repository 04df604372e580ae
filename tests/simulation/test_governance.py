"""The auditor's reading of the limits: other code than the gateway's, and the same answer."""

from datetime import UTC, datetime
from itertools import combinations
from math import inf

import pytest

from ordergate.core.approvals import Person
from ordergate.core.orders.terms import OrderType, Side
from ordergate.core.risk.compiling import Subject, compiled
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.policy import LimitRuleRemoved, LimitRuleSet
from ordergate.core.risk.rules import Reach, Rule, read
from ordergate.engine.limits.settings import rule_from
from ordergate.simulation.governance import Governance
from ordergate.simulation.ground import START
from ordergate.simulation.listing import ACCOUNTS, INSTRUMENTS, TENANT
from ordergate.simulation.officer import MENU
from ordergate.simulation.plan import draw
from ordergate.simulation.town import limits_in

ALPHA, BETA = ACCOUNTS
AT = datetime(2026, 1, 5, tzinfo=UTC)
OFFICER = Person("officer", "desk")
FIRST = rule_from(ALPHA, limits_in(draw(1).setting))


def _rule(what: str) -> Rule:
    return read(Rule(id=what, scope=Reach.ACCOUNT, of=ALPHA, limits=dict(MENU[what]), owner="officer"))


def _set(rule: Rule) -> LimitRuleSet:
    return LimitRuleSet(at=AT, by=OFFICER, rule=rule)


def _limits(rules: list[Rule]) -> Limits:
    found = compiled(rules, Subject(ALPHA, TENANT), INSTRUMENTS, START).limits
    assert found is not None
    return found


@pytest.mark.parametrize("what", list(combinations(sorted(MENU), 2)))
def test_the_auditor_and_the_compiler_read_the_same_rules_alike(what: tuple[str, str]) -> None:
    rules = [FIRST, *map(_rule, what)]
    governance = Governance(ACCOUNTS)
    governance.fold([_set(rule) for rule in rules], 1.0)
    (version,) = governance.versions[ALPHA]
    theirs, ours = _limits(rules), version.bounds
    assert (version.name, governance.versions[BETA]) == (theirs.digest, [])
    assert (ours.open_orders, ours.gross, ours.net) == (
        theirs.max_open_orders,
        theirs.max_gross_exposure,
        theirs.max_net_exposure,
    )
    assert ours.self_match == theirs.self_match_refused
    assert ours.daily_loss == (theirs.losses and theirs.losses.max_daily_loss)
    assert ours.restricted == ({} if theirs.restricted is None else theirs.restricted.symbols)
    assert ours.messages == {one.seconds: one.count for one in theirs.message_windows}
    assert float(ours.duplicate_s) == theirs.duplicate_window.total_seconds()
    assert (ours.drift_s and float(ours.drift_s)) == (
        theirs.drift_window and theirs.drift_window.total_seconds()
    )
    assert (ours.canary, ours.identity) == (theirs.canary and theirs.canary.percent, theirs.identity_required)
    for symbol, its in theirs.instruments.items():
        assert ours.drift.get(symbol) == its.drift_percent
        assert ours.spread.get(symbol) == its.market_spread_percent
        assert (ours.most[symbol, Side.BUY], ours.most[symbol, Side.SELL]) == (its.max_long, its.max_short)
        assert ours.percent.get(symbol) == its.max_concentration_percent
        assert ours.sides[symbol] == set(its.sides or Side)
        assert ours.types[symbol] == set(its.order_types or OrderType)


@pytest.mark.parametrize("what", sorted(MENU))
def test_each_rule_tightens_and_without_it_limits_are_looser(what: str) -> None:
    governance = Governance(ACCOUNTS)
    governance.fold([_set(FIRST)], 1.0)
    governance.fold([_set(_rule(what))], 2.0)
    governance.fold([LimitRuleRemoved(at=AT, by=OFFICER, rule_id=what, version=1)], 3.0)
    first, tight, last = (one.bounds for one in governance.versions[ALPHA])
    assert not tight.is_looser_than(first)
    assert last.is_looser_than(tight)
    assert last == first


def test_of_two_reasons_the_one_that_forbids_more_is_not_looser() -> None:
    governance = Governance(ACCOUNTS)
    governance.fold([_set(FIRST), _set(_rule("borrow"))], 1.0)
    governance.fold([_set(_rule("restricted"))], 2.0)
    governance.fold([LimitRuleRemoved(at=AT, by=OFFICER, rule_id="restricted", version=1)], 3.0)
    borrow, both, again = (one.bounds for one in governance.versions[ALPHA])
    assert not both.is_looser_than(borrow)
    assert again.is_looser_than(both)


def test_what_was_answered_is_over_and_the_latest_is_not() -> None:
    governance = Governance(ACCOUNTS)
    governance.fold([_set(FIRST)], 1.0)
    first = governance.versions[ALPHA][0]
    governance.fold([_set(_rule("open"))], 2.0)
    assert first.over_s == inf
    governance.told(3.0)
    governance.told(4.0)
    assert (first.over_s, governance.versions[ALPHA][1].over_s) == (3.0, inf)
    assert governance.named(ALPHA, first.name) is first
    assert governance.named(ALPHA, "none") is None
