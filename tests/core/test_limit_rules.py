"""Rules are read strictly, and compiled to the tightest of all that apply."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from ordergate.core.risk.compiling import USUAL, loosenings
from ordergate.core.risk.limits import InstrumentLimits, Limits, config_hash, limits_of, mapping_of
from ordergate.core.risk.rules import STAND_INS, STAND_INS_OF_INSTRUMENT, Mode, Reach, Rule, read
from ordergate.core.risk.tightest import OF_ACCOUNT, OF_INSTRUMENT, loosened
from tests.core.examples import FUTURE, NOW, SHARE
from tests.core.limit_rules import ACCOUNT, OWN, SUBJECT, WHOLE, limits_from, rule, together
from tests.core.risk_examples import INSTRUMENTS, limits


def named(kind: type[msgspec.Struct]) -> set[str]:
    """The fields as a file writes them."""
    lengths = (timedelta, timedelta | None)
    fields = msgspec.structs.fields(kind)
    return {f"{field.name}_s" if field.type in lengths else field.name for field in fields}


def test_every_limit_says_how_the_tightest_is_found() -> None:
    assert set(OF_ACCOUNT) == named(Limits) - {"version", "instruments", "hard"}
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
    ("error_windows", [[5, 60]], None),
    ("execution_windows", [[5, 60]], None),
    ("duplicate_window_s", "2", "0.5"),
    ("duplicate_soft_window_s", "20", "5"),
    ("reference_price_max_age_s", "4", "6"),
    ("buying_power_max_age_s", "59", "61"),
    ("buying_power_haircut_percent", "11", "9"),
    ("far_passive_refused", True, False),
    ("stream_stale_max_s", "9", "11"),
    ("reduce_when_stale", False, True),
    ("order_types", ["limit"], ["limit", "market", "stop", "stop_limit"]),
    ("sides", ["buy"], ["buy", "sell"]),
    ("times_in_force", ["day"], ["day", "gtc", "ioc", "fok"]),
    ("venues", [], ["XNAS"]),
    ("restricted", LISTED, None),
    ("drift_window_s", "60", None),
    ("market_quote_max_age_s", "4", "6"),
    ("max_gross_exposure", "7", None),
    ("max_net_exposure", "7", None),
    ("shared_exposure", {"firm": {"max_gross": "7"}}, None),
    ("trading_day", {"zone": "America/Chicago", "ends_at": "17:00"}, None),
    ("hours", "session", "any"),
    ("outside_session", "reject", "queue"),
    ("extended_hours_allowed", False, True),
    ("mark_max_age_s", "7", None),
    ("fx_max_age_s", "7", None),
    ("volume_max_age_days", 6, 8),
    ("self_match_refused", True, False),
    ("self_match_cancels_oldest", False, True),
    ("losses_cancel_all", True, False),
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
    others = {"losses", "enabled_until", "currency", "fx_rates"}
    assert {name for name, _, _ in TIGHTER} | others == set(OF_ACCOUNT)


def test_amounts_are_in_one_currency_and_any_other_is_another_limit() -> None:
    plain: Any = mapping_of(limits_from(OWN))
    dollars, euros = (rule(Reach.FIRM, "", {"currency": one}) for one in ("USD", "EUR"))
    assert limits_from(OWN, dollars).currency == "USD"
    assert loosened(plain, mapping_of(limits_from(OWN, dollars))) == ["currency"]
    assert loosened(mapping_of(limits_from(OWN, dollars)), plain) == ["currency"]
    desk = msgspec.structs.replace(euros, id="desk", scope=Reach.DESK, of="rates")
    assert together(OWN, dollars, desk).limits is None
    assert "currency" in together(OWN, dollars, desk).why


FX_RATES: dict[str, Any] = {
    "base": "USD",
    "rates": {
        "EUR": {"rate": "1.25", "as_of": "2026-01-05T00:00:00+00:00", "source": "desk"},
        "BTC": {"symbol": "BTC/USD"},
    },
}


def test_rates_of_several_rules_are_one_table_and_any_other_rate_waits_for_another_person() -> None:
    plain: Any = mapping_of(limits_from(OWN))
    firm = rule(Reach.FIRM, "", {"fx_rates": FX_RATES})
    pounds = {"GBP": {**FX_RATES["rates"]["EUR"], "rate": "1.5"}}
    desk = rule(Reach.DESK, "rates", {"fx_rates": {"base": "USD", "rates": pounds}})
    found: Any = mapping_of(limits_from(OWN, firm, desk))
    assert found["fx_rates"] == {"base": "USD", "rates": {**FX_RATES["rates"], **pounds}}
    assert loosened(plain, found) == loosened(found, plain) == ["fx_rates"]
    for other in (
        {"base": "EUR", "rates": {}},
        {"base": "USD", "rates": {"EUR": {**FX_RATES["rates"]["EUR"], "rate": "1.26"}}},
    ):
        assert together(OWN, firm, rule(Reach.DESK, "rates", {"fx_rates": other})).limits is None


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"base": "USD", "rates": {"USD": FX_RATES["rates"]["EUR"]}}, "its base"),
        ({"base": "USD", "rates": {"EUR": {"rate": "1.25"}}}, "needs rate, as_of and source"),
        ({"base": "USD", "rates": {"EUR": {"rate": "1", "symbol": "EUR/USD"}}}, "so no rate"),
        ({"base": "USD", "rates": {"EUR": {**FX_RATES["rates"]["EUR"], "rate": "0"}}}, "more than zero"),
        ({"base": "USD"}, "rates is required"),
    ],
)
def test_a_rate_is_a_whole_figure_or_the_price_of_a_symbol(said: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        rule(Reach.FIRM, "", {"fx_rates": said})


@pytest.mark.parametrize("said", [{"currency": "USD"}, {"fx_rates": FX_RATES}])
def test_who_asks_has_no_currency_of_his_own(said: Any) -> None:
    with pytest.raises(ValueError, match="the account's"):
        rule(Reach.USER, "anna", said)


def test_until_when_an_account_is_enabled_is_its_own_and_the_earlier_is_tighter() -> None:
    early, late = "2026-01-05T15:00:00+00:00", "2026-01-06T15:00:00+00:00"
    plain: Any = mapping_of(limits_from(OWN))
    assert loosened(plain, {**plain, "enabled_until": early}) == ["enabled_until"]
    assert loosened({**plain, "enabled_until": early}, {**plain, "enabled_until": late}) == ["enabled_until"]
    assert loosened({**plain, "enabled_until": late}, {**plain, "enabled_until": early}) == []
    assert loosened({**plain, "enabled_until": late}, plain) == []
    with pytest.raises(ValueError, match="each is enabled by itself"):
        rule(Reach.FIRM, "", {"enabled_until": late})


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
    moved = rule(Reach.ACCOUNT, ACCOUNT, {**own.limits, "trading_day": {**day, "zone": "UTC"}})
    assert loosenings([own], [moved], [SUBJECT], INSTRUMENTS, NOW) == [f"{ACCOUNT} trading_day"]


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
    ("market_to_limit_percent", "1", None),
    ("maintenance_margin", "5", None),
    ("max_concentration_percent", "5", None),
    ("max_volume_percent", "5", None),
    ("max_open_orders", 5, None),
    ("max_open_notional", "5", None),
    ("average_daily_volume", "5", None),
    ("average_daily_volume_at", "2026-01-05T00:00:00+00:00", None),
    ("order_types", ["limit"], None),
    ("sides", ["buy"], None),
    ("times_in_force", ["day"], None),
    ("venues", ["XNAS"], None),
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


def test_of_two_lists_everything_on_either_is_restricted_as_long_as_the_older_is_fresh() -> None:
    def listing(hour: int, source: str, age: int, **symbols: str) -> dict[str, Any]:
        return {"restricted": {
            "as_of": f"2026-01-05T{hour:02}:00:00+00:00", "source": source, "max_age_hours": age,
            "symbols": symbols,
        }}  # fmt: skip

    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, **listing(9, "desk", 24, A="hard-to-borrow", B="halted")})
    firm = rule(Reach.FIRM, "", listing(8, "compliance", 48, A="restricted", B="hard-to-borrow", C="halted"))
    found: Any = mapping_of(limits_from(own, firm))
    assert found["restricted"] == {
        "as_of": "2026-01-05T08:00:00+00:00",
        "source": "compliance and desk",
        "max_age_hours": 24,
        "symbols": {"A": "restricted", "B": "halted", "C": "halted"},
    }


def test_of_each_group_of_accounts_the_lowest_exposure_holds() -> None:
    first = {"firm": {"max_gross": "9", "max_net": "5"}}
    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "shared_exposure": first})
    more = {"firm": {"max_gross": "8"}, "desk": {"max_net": "3"}}
    found: Any = mapping_of(limits_from(own, rule(Reach.FIRM, "", {"shared_exposure": more})))
    assert found["shared_exposure"] == {
        "firm": {"max_gross": "8", "max_net": "5"}, "desk": {"max_net": "3"},
    }  # fmt: skip


def test_rules_that_cannot_be_brought_together_say_which_field() -> None:
    own = rule(Reach.ACCOUNT, ACCOUNT, {**WHOLE, "trading_day": {"zone": "UTC", "ends_at": "00:00"}})
    other = rule(Reach.FIRM, "", {"trading_day": {"zone": "UTC", "ends_at": "01:00"}})
    assert together(own, other).why == "trading_day is not the same in all rules"
