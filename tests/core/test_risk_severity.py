"""A rule is hard or soft: what the hard rules let pass by themselves is a soft no."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ordergate.core.orders.events import Severity
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.compiling import loosenings, weakened
from ordergate.core.risk.limits import Limits, config_hash, limits_of, mapping_of
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.rules import Reach, Rule
from tests.core.examples import FUTURE, NOW, SHARE, account, terms
from tests.core.limit_rules import ACCOUNT, OWN, SUBJECT, WHOLE, limits_from, rule, together
from tests.core.risk_examples import INSTRUMENTS, failures, limits, spoiled, valued, view


def soft(its: dict[str, Any], scope: Reach = Reach.FIRM, of: str = "", **more: Any) -> Rule:
    return rule(scope, of, its, severity=Severity.SOFT, id="soft", **more)


def severities(asked: Terms, limited: Limits) -> dict[str, str]:
    seen = spoiled(view(limited), buckets=MessageBuckets(limited))
    return {name: failed.severity.value for name, failed in failures(asked, seen).items()}


def test_beyond_a_soft_limit_is_a_soft_no_and_beyond_the_hard_one_a_hard_one() -> None:
    limited = limits_from(OWN, soft({"instruments": {SHARE: {"max_order_quantity": "50"}}}))
    assert severities(terms(quantity=50), limited) == {}
    assert severities(terms(quantity=51), limited) == {"R06": "soft"}
    assert severities(terms(quantity=1001), limited)["R06"] == "hard"
    failed = failures(terms(quantity=1001), view(limited))["R06"]
    assert failed.limit == "50"  # the tightest is named, whoever said it


def test_a_limit_that_only_a_soft_rule_has_is_soft() -> None:
    limited = limits_from(OWN, soft({"max_gross_exposure": "500"}))
    assert severities(terms(quantity=6), limited) == {"R12": "soft"}


def test_of_several_failures_each_has_its_own_severity_and_the_hard_ones_come_first() -> None:
    limited = limits_from(OWN, soft({"instruments": {SHARE: {"max_order_quantity": "5"}}}))
    failed = failures(terms(quantity=600, limit=106), view(limited, holding=account(10**6)))
    assert [(name, no.severity.value) for name, no in failed.items()] == [("R08", "hard"), ("R06", "soft")]


def test_what_the_hard_rules_do_not_come_to_leaves_everything_hard() -> None:
    own = rule(Reach.ACCOUNT, ACCOUNT, WHOLE, severity=Severity.SOFT)
    found = together(own)
    assert found.limits is not None
    assert (found.limits.hard, found.soft) == (None, frozenset())
    assert severities(terms(quantity=1001), found.limits)["R06"] == "hard"


def test_an_instrument_that_only_a_soft_rule_names_is_refused_hard() -> None:
    less = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "instruments": {FUTURE: WHOLE["instruments"][FUTURE]}})
    more = rule(
        Reach.ACCOUNT, ACCOUNT, {"instruments": {SHARE: WHOLE["instruments"][SHARE]}}, severity=Severity.SOFT
    )
    limited = limits_from(less, msgspec.structs.replace(more, id="more"))
    assert severities(terms(quantity=1001), limited)["R06"] == "hard"


def test_who_may_trade_what_and_form_stay_hard_whatever_a_rule_says() -> None:
    limited = limits_from(OWN, soft({"enabled": False, "order_types": [], "restricted": {
        "as_of": NOW.isoformat(), "source": "desk", "max_age_hours": 1, "symbols": {SHARE: "halted"},
    }}))  # fmt: skip
    found = severities(terms(), limited)
    assert [found[name] for name in ("R02", "R03", "R04")] == ["hard", "hard", "hard"]


def test_messages_are_counted_by_all_windows_and_stay_hard() -> None:
    limited = limits_from(OWN, soft({"message_windows": [[1, 60]]}))
    buckets = MessageBuckets(limited)
    buckets.order_sent(NOW)
    failed = failures(terms(), spoiled(view(limited), buckets=buckets))
    assert (failed["R15"].reason, failed["R15"].severity) == ("message-rate", Severity.HARD)


def test_what_a_soft_rule_needs_and_nobody_knows_is_a_soft_no_and_still_a_no() -> None:
    limited = limits_from(OWN, soft({"max_gross_exposure": "500"}))
    failed = failures(terms(), spoiled(view(limited), valuation=None))
    assert (failed["R12"].reason, failed["R12"].severity) == ("valuation-stale", Severity.SOFT)


def test_what_cannot_be_answered_under_the_hard_rules_either_is_hard() -> None:
    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "max_gross_exposure": "100000"})
    limited = limits_from(own, soft({"max_gross_exposure": "500"}))
    failed = failures(terms(), spoiled(view(limited), valuation=None))
    assert failed["R12"].severity is Severity.HARD
    dear = view(limited)
    marked = spoiled(dear, valuation=valued(dear.account, dear.exposure, {SHARE: 100}))
    assert failures(terms(), marked)["R12"].severity is Severity.SOFT


def test_the_severity_is_in_the_hash_and_in_what_is_shown_and_no_file_can_write_it() -> None:
    hard_rule = rule(Reach.FIRM, "", {"max_open_orders": 5}, id="soft")
    hard, lenient = limits_from(OWN, hard_rule), limits_from(OWN, soft({"max_open_orders": 5}))
    assert hard.max_open_orders == lenient.max_open_orders == 5
    assert config_hash(hard) != config_hash(lenient)
    shown: Any = mapping_of(lenient)
    assert shown["hard"]["max_open_orders"] == WHOLE["max_open_orders"]
    assert "hard" not in mapping_of(hard)
    with pytest.raises(ValueError, match="limits has no field hard"):
        limits_of(shown)
    with pytest.raises(ValueError, match="limits has no field hard"):
        rule(Reach.FIRM, "", {"hard": {}})


def test_a_rule_that_becomes_soft_loosens_and_one_that_becomes_hard_does_not() -> None:
    lenient = soft({"max_open_orders": 5})
    strict = msgspec.structs.replace(lenient, severity=Severity.HARD)
    to_soft = loosenings([OWN, strict], [OWN, lenient], [SUBJECT], INSTRUMENTS, NOW)
    assert to_soft == [f"{ACCOUNT} max_open_orders"]
    assert loosenings([OWN, lenient], [OWN, strict], [SUBJECT], INSTRUMENTS, NOW) == []
    assert loosenings([OWN], [OWN, lenient], [SUBJECT], INSTRUMENTS, NOW) == []
    assert weakened(strict, lenient, [OWN, lenient], NOW) == ["rule soft severity"]
    assert weakened(lenient, strict, [OWN, strict], NOW) == []
    assert weakened(lenient, lenient, [OWN, lenient], NOW) == []


def test_hard_limits_that_become_whole_beside_soft_ones_loosen() -> None:
    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "max_open_orders": 5}, severity=Severity.SOFT)
    more = rule(Reach.ACCOUNT, ACCOUNT, WHOLE, id="more")
    assert loosenings([own], [own, more], [SUBJECT], INSTRUMENTS, NOW) == [f"{ACCOUNT} max_open_orders"]


def test_a_control_that_is_called_soft_is_soft_without_a_soft_rule() -> None:
    limited = limits({"soft": ["R06"]}, share={"max_order_quantity": "5"})
    assert severities(terms(), limited) == {"R06": "soft"}
