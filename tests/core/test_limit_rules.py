"""Rules are read strictly, compiled to the tightest of all that apply, and compared without a hole."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import AccountId
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.compiling import USUAL, Compiled, Subject, compiled, loosenings, weakened
from ordergate.core.risk.limits import InstrumentLimits, Limits, config_hash, limits_of, mapping_of
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.rules import STAND_INS, STAND_INS_OF_INSTRUMENT, Mode, Reach, Rule, read
from ordergate.core.risk.tightest import OF_ACCOUNT, OF_INSTRUMENT, loosened
from tests.core.examples import FUTURE, NOW, SHARE, terms
from tests.core.risk_examples import INSTRUMENTS, failures, limits, spoiled, view

ACCOUNT = AccountId("P-ONE")
SUBJECT = Subject(ACCOUNT, tenant="acme", desk="rates")
WHOLE: dict[str, Any] = {name: value for name, value in mapping_of(limits()).items() if name != "version"}


def rule(scope: Reach, of: str, its: dict[str, Any], **more: Any) -> Rule:
    name = more.pop("id", f"{scope}:{of or 'all'}")
    return read(Rule(id=name, scope=scope, of=of, limits=its, owner="risk", **more))


OWN = rule(Reach.ACCOUNT, ACCOUNT, WHOLE)


def together(*rules: Rule, asking: Subject = SUBJECT, at: datetime = NOW, shadows: bool = False) -> Compiled:
    return compiled(rules, asking, INSTRUMENTS, at, shadows=shadows)


def limits_from(*rules: Rule, asking: Subject = SUBJECT, at: datetime = NOW) -> Limits:
    found = together(*rules, asking=asking, at=at)
    assert found.limits is not None, found.why
    return found.limits


def named(kind: type[msgspec.Struct]) -> set[str]:
    """The fields as a file writes them."""
    lengths = (timedelta, timedelta | None)
    fields = msgspec.structs.fields(kind)
    return {f"{field.name}_s" if field.type in lengths else field.name for field in fields}


def test_every_limit_says_how_the_tightest_is_found() -> None:
    assert set(OF_ACCOUNT) == named(Limits) - {"version", "instruments"}
    assert set(OF_INSTRUMENT) == named(InstrumentLimits)
    assert all(field.words for field in (*OF_ACCOUNT.values(), *OF_INSTRUMENT.values()))


def test_what_a_rule_leaves_open_can_be_filled_in_while_it_is_read() -> None:
    assert limits_of(STAND_INS).instruments == {}
    read_back = limits_of({**STAND_INS, "instruments": {SHARE: dict(STAND_INS_OF_INSTRUMENT)}})
    assert set(read_back.instruments) == {SHARE}


def test_the_limits_of_a_file_are_the_limits_of_the_rule_made_of_it() -> None:
    assert limits_from(OWN) == limits()
    assert config_hash(limits_from(OWN)) == config_hash(limits())


def test_an_account_without_a_rule_of_its_own_has_no_limits() -> None:
    firm = rule(Reach.FIRM, "", WHOLE)
    assert together(firm).limits is None
    assert together().limits is None
    assert "own" in together(firm).why


def test_what_does_not_come_to_whole_limits_is_no_limits() -> None:
    lacking = {name: value for name, value in WHOLE.items() if name != "max_open_notional"}
    own = rule(Reach.ACCOUNT, ACCOUNT, lacking)
    assert together(own).limits is None
    assert "max_open_notional" in together(own).why
    firm = rule(Reach.FIRM, "", {"max_open_notional": "5"})
    assert limits_from(own, firm).max_open_notional == 5


def test_a_rule_on_who_asks_fills_in_nothing() -> None:
    lacking = {name: value for name, value in WHOLE.items() if name != "max_open_notional"}
    own = rule(Reach.ACCOUNT, ACCOUNT, lacking)
    anna = rule(Reach.USER, "anna", {"max_open_notional": "5"})
    asking = msgspec.structs.replace(SUBJECT, user="anna")
    assert together(own, anna, asking=asking).limits is None
    margin = rule(Reach.USER, "anna", {"instruments": {SHARE: {"initial_margin": "1"}}})
    assert limits_from(OWN, margin, asking=asking).instruments[SHARE].initial_margin is None


def test_nobody_but_the_account_itself_switches_it_on_or_names_what_it_trades() -> None:
    off = {name: value for name, value in WHOLE.items() if name != "enabled"}
    own = rule(Reach.ACCOUNT, ACCOUNT, {**off, "instruments": {}})
    firm = rule(Reach.FIRM, "", {"enabled": True, "instruments": WHOLE["instruments"]})
    found = limits_from(own, firm)
    assert found.enabled is False
    assert found.instruments == {}
    assert limits_from(OWN, rule(Reach.FIRM, "", {"enabled": False})).enabled is False


LISTED = {
    "as_of": "2026-01-05T00:00:00+00:00",
    "source": "desk",
    "max_age_hours": 24,
    "symbols": {"AAPL": "halted"},
}
TIGHTER = [
    ("enabled", False, True),
    ("max_open_orders", 7, 101),
    ("max_open_notional", "7", "10000001"),
    ("message_windows", [[50, 1]], [[101, 1]]),
    ("cancel_windows", [[50, 1]], [[101, 1]]),
    ("duplicate_window_s", "2", "0.5"),
    ("reference_price_max_age_s", "4", "6"),
    ("buying_power_max_age_s", "59", "61"),
    ("buying_power_haircut_percent", "11", "9"),
    ("far_passive_refused", True, False),
    ("stream_stale_max_s", "9", "11"),
    ("reduce_when_stale", False, True),
    ("order_types", ["limit"], ["limit", "market", "stop", "stop_limit"]),
    ("sides", ["buy"], ["buy", "sell"]),
    ("times_in_force", ["day"], ["day", "gtc", "ioc", "fok"]),
    ("restricted", LISTED, None),
    ("drift_window_s", "60", None),
    ("market_quote_max_age_s", "4", "6"),
    ("max_gross_exposure", "7", None),
    ("max_net_exposure", "7", None),
    ("shared_exposure", {"firm": {"max_gross": "7"}}, None),
    ("trading_day", {"zone": "America/Chicago", "ends_at": "17:00"}, None),
    ("hours", "session", "any"),
    ("extended_hours_allowed", False, True),
    ("mark_max_age_s", "7", None),
    ("volume_max_age_days", 6, 8),
    ("self_match_refused", True, False),
    ("canary", {"days": 5, "percent": "10"}, None),
    ("identity_required", True, False),
    ("shadow", [], ["R06"]),
    ("soft", [], ["R06"]),
]


@pytest.mark.parametrize(("name", "tighter", "looser"), TIGHTER, ids=[one[0] for one in TIGHTER])
def test_of_two_values_the_tighter_holds_and_comes_from_the_rule_that_said_it(
    name: str, tighter: Any, looser: Any
) -> None:
    plain: Any = mapping_of(limits_from(OWN))
    firm = rule(Reach.FIRM, "", {name: tighter})
    narrowed: Any = mapping_of(limits_from(OWN, firm))
    changed = narrowed.get(name) != plain.get(name)
    assert loosened(plain, narrowed) == []
    assert (loosened(narrowed, plain) == [name]) is changed
    if looser is not None:
        assert mapping_of(limits_from(OWN, rule(Reach.FIRM, "", {name: looser}))) == plain
    if changed:
        assert together(OWN, firm).origins[name] == firm.id


def test_every_field_of_an_account_is_among_the_tightened() -> None:
    assert {name for name, _, _ in TIGHTER} | {"losses"} == set(OF_ACCOUNT)


def test_of_losses_the_lowest_of_each_holds_and_days_that_differ_come_to_no_limits() -> None:
    day = {"zone": "America/Chicago", "ends_at": "17:00"}
    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "trading_day": day, "losses": {"max_daily_loss": "5"}})
    firm = rule(Reach.FIRM, "", {"losses": {"max_daily_loss": "7", "max_weekly_loss": "9"}})
    found: Any = mapping_of(limits_from(own, firm))
    assert found["losses"] == {"max_daily_loss": "5", "max_weekly_loss": "9"}
    assert loosened(mapping_of(limits_from(own)), found) == []
    assert loosened(found, mapping_of(limits_from(own))) == ["losses"]
    other = rule(Reach.FIRM, "", {"trading_day": {**day, "ends_at": "16:00"}})
    assert together(own, other).limits is None
    assert looser([own], [rule(Reach.ACCOUNT, ACCOUNT, {**own.limits, "trading_day": {**day, "zone": "UTC"}})])


OF_ONE = [
    ("max_order_quantity", "7", "1001"),
    ("max_order_notional", "7", "100001"),
    ("max_long", "7", "1001"),
    ("max_short", "7", "1001"),
    ("collar_percent", "1", "6"),
    ("collar_ticks", 3, None),
    ("initial_margin", "5", None),
    ("drift_percent", "1", None),
    ("market_spread_percent", "1", None),
    ("maintenance_margin", "5", None),
    ("max_concentration_percent", "5", None),
    ("max_volume_percent", "5", None),
    ("average_daily_volume", "5", None),
    ("average_daily_volume_at", "2026-01-05T00:00:00+00:00", None),
    ("order_types", ["limit"], None),
    ("sides", ["buy"], None),
    ("times_in_force", ["day"], None),
]


@pytest.mark.parametrize(("name", "tighter", "looser"), OF_ONE, ids=[one[0] for one in OF_ONE])
@pytest.mark.parametrize("scope", [Reach.INSTRUMENT, Reach.ASSET_CLASS, Reach.DESK, Reach.TENANT])
def test_an_instruments_limits_are_tightened_from_every_side(
    scope: Reach, name: str, tighter: Any, looser: Any
) -> None:
    def about(value: Any) -> Rule:
        of = {
            Reach.INSTRUMENT: str(SHARE),
            Reach.ASSET_CLASS: "equity",
            Reach.DESK: "rates",
            Reach.TENANT: "acme",
        }
        one = {name: value}
        direct = scope in (Reach.INSTRUMENT, Reach.ASSET_CLASS)
        return rule(scope, of[scope], one if direct else {"instruments": {SHARE: one}})

    plain: Any = mapping_of(limits_from(OWN))
    its = limits_from(OWN, about(tighter))
    found: Any = mapping_of(its)
    assert found["instruments"][SHARE][name] == tighter
    assert its.instruments[FUTURE] == limits_from(OWN).instruments[FUTURE]
    if looser is not None:
        assert mapping_of(limits_from(OWN, about(looser))) == plain


def test_every_field_of_an_instrument_is_among_the_tightened() -> None:
    assert {name for name, _, _ in OF_ONE} == set(OF_INSTRUMENT)


@pytest.mark.parametrize(
    ("scope", "of"),
    [(Reach.TENANT, "other"), (Reach.DESK, "other"), (Reach.ACCOUNT, "P-OTHER"), (Reach.USER, "anna")],
)
def test_a_rule_about_somebody_else_has_no_say(scope: Reach, of: str) -> None:
    assert limits_from(OWN, rule(scope, of, {"max_open_orders": 1})) == limits_from(OWN)


def test_a_rule_on_a_user_or_a_strategy_holds_for_what_they_ask() -> None:
    anna = rule(Reach.USER, "anna", {"max_open_orders": 5})
    mean = rule(Reach.STRATEGY, "mean", {"max_open_orders": 3})
    by_anna = msgspec.structs.replace(SUBJECT, user="anna")
    both = msgspec.structs.replace(by_anna, strategy="mean")
    assert limits_from(OWN, anna, mean).max_open_orders == 100
    assert limits_from(OWN, anna, mean, asking=by_anna).max_open_orders == 5
    assert limits_from(OWN, anna, mean, asking=both).max_open_orders == 3


def test_a_rule_holds_from_its_beginning_until_just_before_its_end() -> None:
    first, last = NOW, NOW + timedelta(hours=1)
    dated = rule(Reach.FIRM, "", {"max_open_orders": 1}, effective_from=first, effective_to=last)
    tick = timedelta(microseconds=1)
    found = [
        limits_from(OWN, dated, at=moment).max_open_orders
        for moment in (first - tick, first, last - tick, last)
    ]
    assert found == [100, 1, 1, 100]


def test_a_rule_in_shadow_binds_nobody_and_can_be_looked_at() -> None:
    shadow = rule(Reach.FIRM, "", {"max_open_orders": 1}, mode=Mode.SHADOW)
    assert limits_from(OWN, shadow).max_open_orders == 100
    found = together(OWN, shadow, shadows=True).limits
    assert found is not None
    assert found.max_open_orders == 1


def test_what_nobody_says_has_its_usual_value_and_says_so() -> None:
    own = {name: value for name, value in WHOLE.items() if name != "duplicate_window_s"}
    found = together(rule(Reach.ACCOUNT, ACCOUNT, own))
    assert found.limits is not None
    assert found.limits.duplicate_window == timedelta(seconds=1)
    assert found.origins["duplicate_window_s"] == USUAL


def test_more_windows_than_can_be_counted_are_no_limits() -> None:
    many = [[1, seconds] for seconds in range(2, 10)]
    found = together(OWN, rule(Reach.FIRM, "", {"message_windows": many}))
    assert found.limits is None
    assert "message_windows" in found.why


@pytest.mark.parametrize(
    ("scope", "of", "its", "says"),
    [
        (Reach.FIRM, "x", {"enabled": True}, "of must name nothing"),
        (Reach.DESK, "", {"enabled": True}, "of must name a desk"),
        (Reach.FIRM, "", {}, "at least one limit"),
        (Reach.FIRM, "", {"max_open_order": 1}, "limits has no field max_open_order"),
        (Reach.FIRM, "", {"max_open_notional": 1.5}, "must be a decimal string"),
        (Reach.FIRM, "", {"version": 3}, "counted by the gateway"),
        (Reach.FIRM, "", {"instruments": []}, "limits.instruments must be a mapping"),
        (Reach.FIRM, "", {"instruments": {"X": 5}}, "limits.instruments.X must be a mapping"),
        (Reach.FIRM, "", {"instruments": {"X": {"max_lon": "1"}}}, "limits.instruments.X has no field"),
        (Reach.USER, "anna", {"message_windows": [[1, 1]]}, "counted by account"),
        (Reach.STRATEGY, "mean", {"duplicate_window_s": "3"}, "counted by account"),
        (Reach.INSTRUMENT, "AAPL", {"enabled": True}, "limits has no field enabled"),
        (Reach.ASSET_CLASS, "equity", {"max_long": -1}, "limits.max_long must be"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    scope: Reach, of: str, its: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        rule(scope, of, its)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "-x"},
        {"id": "x" * 65},
        {"owner": ""},
        {"effective_from": NOW, "effective_to": NOW},
        {"effective_from": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
)
def test_a_rule_needs_a_name_an_owner_and_sensible_times(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        read(msgspec.structs.replace(OWN, **changes))


def test_amounts_are_written_in_one_way() -> None:
    assert rule(Reach.FIRM, "", {"max_open_notional": "5.00"}).limits == {"max_open_notional": "5"}


# What loosens


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
