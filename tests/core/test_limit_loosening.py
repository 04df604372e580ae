"""Whether a change of the rules loosens is computed, and what is not said to loosen does not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.compiling import comparisons, loosenings, weakened
from ordergate.core.risk.limits import Limits, mapping_of
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.rules import Mode, Reach, Rule
from ordergate.core.risk.tightest import loosened
from tests.core.examples import FUTURE, NOW, SHARE, terms
from tests.core.limit_rules import ACCOUNT, OWN, SUBJECT, WHOLE, limits_from, rule, together
from tests.core.risk_examples import INSTRUMENTS, failures, limits, spoiled, view


def looser(before: list[Rule], after: list[Rule], *, at: datetime = NOW) -> list[str]:
    return loosenings(before, after, [SUBJECT], INSTRUMENTS, at)


def test_taking_a_rule_away_or_putting_it_in_shadow_loosens() -> None:
    firm = rule(Reach.FIRM, "", {"max_open_orders": 1})
    shadow = msgspec.structs.replace(firm, mode=Mode.SHADOW)
    assert looser([OWN], [OWN, firm]) == []
    assert looser([OWN, firm], [OWN]) == ["P-ONE max_open_orders"]
    assert looser([OWN, firm], [OWN, shadow]) == ["P-ONE max_open_orders"]
    assert looser([OWN, shadow], [OWN, firm]) == []


def test_the_first_rule_of_an_account_loosens_and_taking_the_last_one_away_does_not() -> None:
    assert looser([], [OWN]) == ["P-ONE everything"]
    assert looser([OWN], []) == []


def test_what_loosens_later_loosens() -> None:
    end = NOW + timedelta(days=1)
    firm = rule(Reach.FIRM, "", {"max_open_orders": 1})
    ending = msgspec.structs.replace(firm, effective_to=end)
    beginning = msgspec.structs.replace(firm, effective_from=end)
    assert looser([OWN], [OWN, ending]) == []
    assert looser([OWN, firm], [OWN, ending]) == ["P-ONE max_open_orders"]
    assert looser([OWN, firm], [OWN, beginning]) == ["P-ONE max_open_orders"]
    assert looser([OWN, ending], [OWN, firm]) == []
    assert looser([OWN, ending], [OWN], at=end) == []


def test_a_rule_on_who_asks_is_compared_for_whom_it_names() -> None:
    anna = rule(Reach.USER, "anna", {"max_open_orders": 5})
    mean = rule(Reach.STRATEGY, "mean", {"max_open_orders": 5})
    for one in (anna, mean):
        assert looser([OWN], [OWN, one]) == []
        assert looser([OWN, one], [OWN]) == ["P-ONE max_open_orders"]


def test_another_instrument_loosens_and_a_margin_that_appears_does() -> None:
    less = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "instruments": {SHARE: WHOLE["instruments"][SHARE]}})
    assert looser([less], [OWN]) == [f"P-ONE instruments.{FUTURE}"]
    its = {name: value for name, value in WHOLE["instruments"][FUTURE].items() if name != "initial_margin"}
    without = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "instruments": {**WHOLE["instruments"], FUTURE: its}})
    assert looser([without], [OWN]) == [f"P-ONE instruments.{FUTURE}.initial_margin"]
    assert looser([OWN], [without]) == []


def test_a_maintenance_margin_that_appears_loosens_and_none_comes_of_a_rule_on_who_asks() -> None:
    """Where nobody says one what is held needs the initial margin."""
    said = {"maintenance_margin": "5"}
    its = {**WHOLE["instruments"][FUTURE], **said}
    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "instruments": {**WHOLE["instruments"], FUTURE: its}})
    of_all = rule(Reach.INSTRUMENT, str(FUTURE), said)
    for after in ([own], [OWN, of_all]):
        assert looser([OWN], after) == [f"P-ONE instruments.{FUTURE}.maintenance_margin"]
    higher = {"instruments": {FUTURE: {"maintenance_margin": "6"}}}
    assert looser([own], [own, rule(Reach.FIRM, "", higher)]) == []
    anna = rule(Reach.USER, "anna", {"instruments": {FUTURE: said}})
    asking = msgspec.structs.replace(SUBJECT, user="anna")
    assert limits_from(OWN, anna, asking=asking).instruments[FUTURE].maintenance_margin is None


def test_another_owner_or_reason_loosens_nothing() -> None:
    assert looser([OWN], [msgspec.structs.replace(OWN, owner="somebody else")]) == []


SAID = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "max_open_orders": st.integers(0, 5),
        "max_open_notional": st.sampled_from(["0", "500", "20000"]),
        "message_windows": st.sampled_from([[[1, 1]], [[3, 10]], [[2, 1], [9, 60]]]),
        "duplicate_window_s": st.sampled_from(["0", "1", "3"]),
        "reference_price_max_age_s": st.sampled_from(["0", "1", "9"]),
        "buying_power_max_age_s": st.sampled_from(["0", "90"]),
        "buying_power_haircut_percent": st.sampled_from(["0", "90"]),
        "far_passive_refused": st.booleans(),
        "stream_stale_max_s": st.sampled_from(["0", "20"]),
        "reduce_when_stale": st.booleans(),
        "instruments": st.fixed_dictionaries(
            {},
            optional={
                SHARE: st.fixed_dictionaries(
                    {"max_long": st.sampled_from(["0", "4", "2000"])},
                    optional={
                        "max_order_quantity": st.sampled_from(["0", "4", "2000"]),
                        "max_order_notional": st.sampled_from(["0", "400", "200000"]),
                        "collar_percent": st.sampled_from(["0", "1", "90"]),
                        "collar_ticks": st.sampled_from([0, 100, 100_000]),
                    },
                )
            },
        ),
    },
).filter(bool)

SCOPES = st.sampled_from(
    [(Reach.FIRM, ""), (Reach.TENANT, "acme"), (Reach.DESK, "rates"), (Reach.ACCOUNT, str(ACCOUNT))]
)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Rule]:
    said = draw(st.lists(st.tuples(SCOPES, SAID), max_size=4))
    others = [rule(scope, of, its, id=f"r{n}") for n, ((scope, of), its) in enumerate(said)]
    return [OWN, *others] if draw(st.booleans()) else others


@given(
    rule_sets(),
    rule_sets(),
    st.builds(terms, st.sampled_from(Side), st.integers(1, 2000), st.integers(80, 120)),
    st.integers(0, 4),
)
def test_what_only_tightens_accepts_nothing_that_was_refused(
    before: list[Rule], after: list[Rule], asked: Terms, sent: int
) -> None:
    """The promise behind making a change without a second person."""
    if looser(before, after):
        return
    had, has = together(*before).limits, together(*after).limits

    def refused(one: Limits | None) -> set[str]:
        buckets = MessageBuckets(one)
        for _ in range(sent):
            buckets.order_sent(NOW)
        return set(failures(asked, spoiled(view(limits()), limits=one, buckets=buckets)))

    assert not (refused(had) and not refused(has))


@given(rule_sets(), st.tuples(SCOPES, SAID))
def test_a_rule_more_never_loosens_an_account_that_is_whole(
    rules: list[Rule], more: tuple[tuple[Reach, str], dict[str, Any]]
) -> None:
    (scope, of), its = more
    if scope is Reach.ACCOUNT or together(*rules).limits is None:
        return  # its own rules may name another instrument
    whole = limits_from(*rules)
    extra = rule(scope, of, its, id="more")
    found = together(*rules, extra).limits
    had: Any = mapping_of(whole)
    has: Any = None if found is None else {**mapping_of(found)}
    if has is not None:
        kept = had["instruments"]
        has["instruments"] = {name: one for name, one in has["instruments"].items() if name in kept}
    assert loosened(had, has) == []


# What another rule hides


def test_a_limit_cannot_be_raised_unseen_beneath_a_tighter_one() -> None:
    firm = rule(Reach.FIRM, "", {"max_open_orders": 1})
    higher = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "max_open_orders": 100_000})
    assert looser([OWN, firm], [higher, firm]) == []
    assert weakened(OWN, higher, [higher, firm], NOW) == [f"rule {OWN.id} max_open_orders"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"max_open_orders": 5}, {"max_open_orders": 4}, []),
        ({"max_open_orders": 5}, {"max_open_orders": 6}, [" max_open_orders"]),
        ({"max_open_orders": 5}, {"max_open_notional": "1"}, [" max_open_orders"]),
        ({"instruments": {SHARE: {"max_long": "5"}}}, {"enabled": False}, [f" instruments.{SHARE}.max_long"]),
        (
            {"instruments": {SHARE: {"initial_margin": "5"}}},
            {"instruments": {SHARE: {"max_long": "5"}}},
            [f" instruments.{SHARE}.initial_margin"],
        ),
    ],
)
def test_a_rule_that_says_less_is_weakened_by_that(
    old: dict[str, Any], new: dict[str, Any], words: list[str]
) -> None:
    before, after = rule(Reach.FIRM, "", old), rule(Reach.FIRM, "", new)
    assert weakened(before, after, [after], NOW) == [f"rule {before.id}{word}" for word in words]


def test_what_an_account_leaves_open_has_its_usual_value_when_it_is_compared() -> None:
    needed = ("max_open_orders", "max_open_notional", "message_windows")
    bare = rule(Reach.ACCOUNT, ACCOUNT, {name: WHOLE[name] for name in needed})
    for its, words in (
        ({"enabled": True}, ["enabled"]),
        ({"duplicate_window_s": "0.5"}, ["duplicate_window_s"]),
        ({"duplicate_window_s": "2"}, []),
        ({"stream_stale_max_s": "10"}, []),
    ):
        more = rule(Reach.ACCOUNT, ACCOUNT, {**bare.limits, **its})
        assert weakened(bare, more, [more], NOW) == [f"rule {bare.id} {word}" for word in words]


def test_an_instrument_that_comes_weakens_an_accounts_own_rule_and_one_that_goes_does_not() -> None:
    less = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "instruments": {SHARE: WHOLE["instruments"][SHARE]}})
    assert weakened(less, OWN, [OWN], NOW) == [f"rule {OWN.id} instruments.{FUTURE}"]
    assert weakened(OWN, less, [less], NOW) == []


def test_a_rule_of_one_instrument_is_compared_as_one() -> None:
    before, after = (rule(Reach.INSTRUMENT, SHARE, {"max_long": most}) for most in ("5", "6"))
    assert weakened(before, after, [after], NOW) == [f"rule {before.id} max_long"]
    assert weakened(after, before, [before], NOW) == []


def test_a_rule_that_goes_is_weakened_unless_it_was_all_that_the_account_had() -> None:
    firm = rule(Reach.FIRM, "", {"max_open_orders": 1})
    second = rule(Reach.ACCOUNT, ACCOUNT, {"max_open_orders": 1}, id="second")
    assert weakened(firm, None, [OWN], NOW) == [f"rule {firm.id}"]
    assert weakened(second, None, [OWN], NOW) == ["rule second"]
    assert weakened(OWN, None, [firm], NOW) == []


def test_what_held_for_longer_or_for_others_or_was_enforced_is_weakened_by_less() -> None:
    hour = timedelta(hours=1)
    firm = rule(Reach.FIRM, "", {"max_open_orders": 1})
    for changes in (
        {"mode": Mode.SHADOW},
        {"effective_from": NOW + hour},
        {"effective_to": NOW + hour},
        {"scope": Reach.TENANT, "of": "acme"},
    ):
        changed = msgspec.structs.replace(firm, **changes)
        assert weakened(firm, changed, [changed], NOW) == [f"rule {firm.id}"]
    shadow = msgspec.structs.replace(firm, mode=Mode.SHADOW)
    over = msgspec.structs.replace(firm, effective_to=NOW)
    for one in (shadow, over):
        assert weakened(one, None, [], NOW) == []
        assert weakened(one, firm, [firm], NOW) == []
    longer = msgspec.structs.replace(firm, effective_from=NOW - hour, owner="another")
    assert weakened(firm, longer, [longer], NOW) == []


def test_how_much_would_be_compared_is_known_without_comparing() -> None:
    hour = timedelta(hours=1)
    firm = rule(Reach.FIRM, "", {"max_open_orders": 1})
    dated = msgspec.structs.replace(firm, effective_from=NOW + hour, effective_to=NOW + 2 * hour)
    anna = rule(Reach.USER, "anna", {"max_open_orders": 1})
    mean = rule(Reach.STRATEGY, "mean", {"max_open_orders": 1})

    def asked(*after: Rule) -> int:
        return comparisons({OWN.id: OWN}, {one.id: one for one in (OWN, *after)}, NOW)

    assert asked() == 1
    assert asked(firm) == 1
    assert asked(dated) == 3
    assert asked(dated, anna) == 6
    assert asked(anna, mean) == 3
