"""Limits are read strictly, written back exactly and named by their content."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.risk.limits import (
    NO_LIMITS_HASH,
    RateWindow,
    config_hash,
    limits_of,
    mapping_of,
)
from tests.core.examples import FUTURE, SHARE
from tests.core.risk_examples import FUTURE_LIMITS, LIMITS, SHARE_LIMITS, limits

PERMISSIONS = {"order_types", "sides", "times_in_force"}
LISTED = {"as_of": "2026-01-05T08:00:00Z", "source": "desk", "max_age_hours": 24}
AMOUNTS = st.decimals(min_value=0, max_value=10**8, places=2).map(lambda value: format(value, "f"))


def test_limits_say_what_was_written() -> None:
    read = limits()
    assert read.message_windows == (RateWindow(100, 1), RateWindow(1000, 60))
    assert read.duplicate_window == timedelta(seconds=1)
    assert read.instruments[SHARE].collar_percent == 5
    assert read.instruments[SHARE].initial_margin is None
    assert read.instruments[FUTURE].initial_margin == 10_000


def test_an_account_is_off_until_it_is_switched_on() -> None:
    off = {name: value for name, value in LIMITS.items() if name != "enabled"}
    assert limits_of({**off, "instruments": {}}).enabled is False


WINDOWS = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 86_400)).map(list), min_size=1, max_size=8)


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**6), st.booleans(), WINDOWS)
def test_limits_are_read_back_as_they_were_written(
    money: str, quantity: str, count: int, enabled: bool, windows: list[list[int]]
) -> None:
    read = limits(
        {"max_open_notional": money, "max_open_orders": count, "enabled": enabled,
         "message_windows": windows, "duplicate_window_s": "0.000001"},
        share={"max_long": quantity},
    )  # fmt: skip
    again = limits_of(mapping_of(read))
    assert again == read
    assert config_hash(again) == config_hash(read)


def test_any_change_changes_the_hash() -> None:
    changed = [
        limits(),
        limits({"version": 2}),
        limits({"enabled": False}),
        limits({"duplicate_window_s": "2"}),
        limits({"far_passive_refused": True}),
        limits({"message_windows": [[101, 1], [1000, 60]]}),
        limits(share={"max_long": "1001"}),
        limits(share={"collar_ticks": 5}),
        limits(future={"initial_margin": "10001"}),
    ]
    assert len({config_hash(each) for each in changed}) == len(changed)
    assert config_hash(limits(share={"max_long": "1000.00"})) == config_hash(limits())


def test_no_limits_have_a_name_too() -> None:
    assert config_hash(None) == NO_LIMITS_HASH


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 0}, "limits.version must be a whole number of at least 1"),
        ({"version": True}, "limits.version must be a whole number"),
        ({"version": "1"}, "limits.version must be a whole number"),
        ({"version": None}, "limits.version is required"),
        ({"enabled": 1}, "limits.enabled must be true or false"),
        ({"max_open_orders": -1}, "limits.max_open_orders must be a whole number of at least 0"),
        ({"max_open_orders": 1.0}, "limits.max_open_orders must be a whole number"),
        ({"max_open_notional": 1.5}, "limits.max_open_notional must be a decimal string"),
        ({"max_open_notional": 1}, "limits.max_open_notional must be a decimal string"),
        ({"max_open_notional": "1e5"}, "limits.max_open_notional must be a plain decimal"),
        ({"max_open_notional": "-1"}, "limits.max_open_notional must not be negative"),
        ({"max_open_notinal": "1"}, "limits has no field max_open_notinal"),
        ({"message_windows": []}, "limits.message_windows must be a list of 1 to 8 pairs"),
        ({"message_windows": [[1, 1]] * 9}, "limits.message_windows must be a list of 1 to 8 pairs"),
        ({"message_windows": [[1]]}, "limits.message_windows must hold pairs"),
        ({"message_windows": [[1.0, 1]]}, "limits.message_windows must hold pairs"),
        ({"message_windows": [[0, 1]]}, "limits.message_windows allows 1 to"),
        ({"message_windows": [[1, 86_401]]}, "limits.message_windows allows 1 to"),
        ({"message_windows": "11"}, "limits.message_windows must be a list"),
        ({"duplicate_window_s": "0.0000001"}, "limits.duplicate_window_s must be 0 to 86400 seconds"),
        ({"duplicate_window_s": "86401"}, "limits.duplicate_window_s must be 0 to 86400 seconds"),
        ({"duplicate_window_s": 1}, "limits.duplicate_window_s must be a decimal string"),
        ({"buying_power_haircut_percent": "100.01"}, "must be at most 100"),
        ({"instruments": []}, "limits.instruments must be a mapping"),
        ({"restricted": {**LISTED, "as_of": "yesterday"}}, "limits.restricted.as_of must be a time"),
        ({"restricted": {**LISTED, "as_of": "2026-01-05T08:00:00"}}, "as_of must be a time with"),
        ({"restricted": {**LISTED, "as_of": 5}}, "limits.restricted.as_of must be a time"),
        ({"restricted": {**LISTED, "source": ""}}, "limits.restricted.source must be a text of 1 to 64"),
        ({"restricted": {**LISTED, "symbols": {"AAPL": "maybe"}}}, "AAPL must be one of restricted"),
        ({"restricted": []}, "limits.restricted must be a mapping"),
        ({"shadow": "R06"}, "limits.shadow must be a list of texts"),
        ({"shadow": [6]}, "limits.shadow must be a list of texts"),
        ({"order_types": "limit"}, "limits.order_types must be a list of market, limit, stop, stop_limit"),
        ({"order_types": ["teleport"]}, "limits.order_types must be one of market"),
        ({"sides": [1]}, "limits.sides must be one of buy, sell"),
        ({"hours": "never"}, "limits.hours must be one of any, session"),
        ({"shared_exposure": {"firm": {}}}, "limits.shared_exposure.firm needs max_gross or max_net"),
        ({"instruments": None}, "limits.instruments is required"),
        ({"instruments": {1: {}}}, "limits.instruments must be a mapping"),
        ({"instruments": {"AAPL": 5}}, "limits.instruments.AAPL must be a mapping"),
        ({"instruments": {"AAPL": {}}}, "limits.instruments.AAPL.max_order_quantity is required"),
        ({"instruments": {"AAPL": {**SHARE_LIMITS, "max": "1"}}}, "limits.instruments.AAPL has no field max"),
        ({"instruments": {"AAPL": {**SHARE_LIMITS, "max_long": 5}}},
         "limits.instruments.AAPL.max_long must be"),
        ({"instruments": {"AAPL": {**SHARE_LIMITS, "collar_ticks": "5"}}},
         "limits.instruments.AAPL.collar_ticks"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_and_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        limits(changes)


@pytest.mark.parametrize("mapping", [None, 5, "limits", [], {1: 2}])
def test_what_is_no_mapping_is_refused(mapping: Any) -> None:
    with pytest.raises(ValueError, match="limits must be a mapping"):
        limits_of(mapping)


@pytest.mark.parametrize("name", sorted(set(LIMITS) - {"enabled", "cancel_windows", *PERMISSIONS}))
def test_what_may_be_left_out_has_a_cautious_value(name: str) -> None:
    mapping = {key: value for key, value in LIMITS.items() if key != name}
    mapping["instruments"] = {SHARE: dict(SHARE_LIMITS), FUTURE: dict(FUTURE_LIMITS)}
    required = {"version", "max_open_orders", "max_open_notional", "message_windows"}
    if name in required:
        with pytest.raises(ValueError, match=f"limits.{name} is required"):
            limits_of(mapping)
        return
    read = limits_of(mapping)
    assert read == limits()
    assert read.cancel_windows == (RateWindow(100, 1),)


@pytest.mark.parametrize("name", ["max_order_quantity", "max_order_notional", "max_long", "max_short"])
def test_every_instrument_limit_is_required(name: str) -> None:
    mapping = {key: value for key, value in SHARE_LIMITS.items() if key != name}
    with pytest.raises(ValueError, match=f"limits.instruments.AAPL.{name} is required"):
        limits({"instruments": {"AAPL": mapping}})


def test_an_instrument_without_a_collar_is_refused() -> None:
    mapping = {key: value for key, value in SHARE_LIMITS.items() if key != "collar_percent"}
    with pytest.raises(ValueError, match="needs collar_percent or collar_ticks"):
        limits({"instruments": {"AAPL": mapping}})


def test_an_amount_is_never_rounded_on_its_way_in() -> None:
    assert limits({"max_open_notional": "0.000000001"}).max_open_notional == Decimal("1E-9")


def test_every_new_limit_is_read_back_as_it_was_written() -> None:
    read = limits(
        {
            "restricted": {**LISTED, "symbols": {"AAPL": "halted"}},
            "drift_window_s": "60",
            "shared_exposure": {"firm": {"max_gross": "5"}},
            "losses": {"max_daily_loss": "5", "max_trades": 3},
            "trading_day": {"zone": "America/Chicago", "ends_at": "17:00", "flatten_by": "15:10"},
            "hours": "session",
            "canary": {"days": 5, "percent": "10"},
            "shadow": ["R08", "R06"],
            "soft": ["R16"],
        },
        share={"order_types": ["limit"], "average_daily_volume_at": "2026-01-05T09:00:00+01:00"},
    )
    assert limits_of(mapping_of(read)) == read
    written = mapping_of(read)
    assert (written["shadow"], written["hours"]) == (["R06", "R08"], "session")
    assert written["trading_day"] == {"zone": "America/Chicago", "ends_at": "17:00", "flatten_by": "15:10"}
    assert read.instruments[SHARE].average_daily_volume_at == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert "order_types" not in mapping_of(limits({"order_types": []}))


def test_a_newcomer_may_be_allowed_everything_and_no_more_than_that() -> None:
    assert limits({"canary": {"days": 1, "percent": "100"}}).canary is not None
    with pytest.raises(ValueError, match="percent must be at most 100"):
        limits({"canary": {"days": 1, "percent": "100.1"}})
