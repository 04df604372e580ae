"""The market itself: how far it ran, whether its quote can be believed, whether it is open, by DST too."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.admission import admit, admit_leg, admit_overridden
from ordergate.core.orders.events import OrderAccepted
from ordergate.core.orders.terms import Side
from ordergate.core.risk.limit_parts import TradingDay
from ordergate.core.risk.memories import GRAINS, PricesSeen
from ordergate.core.risk.view import MarketHours, ReferencePrice, RiskView, Top
from tests.core.examples import NOW, SHARE, account, later, place, terms, working
from tests.core.risk_examples import (
    SAID_OF_PRICE,
    failures,
    limits,
    replace_failures,
    replacement,
    spoiled,
    view,
)

WINDOW = timedelta(seconds=60)
DRIFT = limits({"drift_window_s": "60", "duplicate_window_s": "0"}, share={"drift_percent": "4"})


def seen_at(*prices: int, now: datetime = NOW, price: int = 100) -> RiskView:
    """The market was at these prices when orders were accepted, one second after the other."""
    seen = view(DRIFT, price=price, now=now)
    assert seen.prices_seen is not None
    for second, each in enumerate(prices):
        seen.prices_seen.remember(SHARE, Decimal(each), later(second), WINDOW)
    return spoiled(seen, reference=ReferencePrice(Decimal(price), now, "quote"))


@pytest.mark.parametrize(("limit", "passes"), [("103.99", True), ("104", True), ("104.01", False)])
def test_r09_a_buy_is_held_against_the_lowest_price_of_the_window(limit: str, passes: bool) -> None:
    failed = failures(terms(limit=limit), seen_at(100, 102, 103, price=103))
    assert ("R09" not in failed) is passes
    if not passes:
        no = failed["R09"]
        assert (no.reason, no.limit, no.value, no.headroom) == ("price-drift", "104", "104.01", "-0.01")
        assert no.inputs == SAID_OF_PRICE | {
            "reference_price": "103", "anchor": "100", "since": NOW.isoformat(), "window_s": "60",
        }  # fmt: skip


@pytest.mark.parametrize(("limit", "passes"), [("96.01", True), ("96", True), ("95.99", False)])
def test_r09_a_sell_is_held_against_the_highest_price_of_the_window(limit: str, passes: bool) -> None:
    failed = failures(terms(Side.SELL, 10, limit), seen_at(100, 97, 96, price=96))
    assert ("R09" not in failed) is passes


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 105), (Side.SELL, 95)])
def test_r09_a_market_that_ran_away_takes_no_order_at_the_market(side: Side, price: int) -> None:
    assert "R09" in failures(terms(side, limit=None), seen_at(100, price=price))
    assert "R09" not in failures(terms(side, limit=None), seen_at(price=price))


@pytest.mark.parametrize(("seconds", "passes"), [(60, False), ("60.000001", True)])
def test_r09_what_left_the_window_is_forgotten(seconds: int | str, passes: bool) -> None:
    failed = failures(terms(limit=105), seen_at(100, now=later(seconds), price=105))
    assert ("R09" not in failed) is passes


def test_r09_without_a_memory_or_a_price_nothing_passes() -> None:
    assert failures(terms(), spoiled(view(DRIFT), prices_seen=None))["R09"].reason == "control-error"
    assert failures(terms(), spoiled(view(DRIFT), reference=None))["R09"].reason == "no-reference-price"


def test_r09_only_a_window_and_a_percentage_together_are_a_limit() -> None:
    for half in (limits({"drift_window_s": "60"}), limits(share={"drift_percent": "0"})):
        assert "R09" not in failures(terms(limit=104), view(half))
    with pytest.raises(ValueError, match="drift_window_s must be more than zero"):
        limits({"drift_window_s": "0"})


def test_r09_every_accepted_order_is_remembered_by_the_price_of_the_market() -> None:
    seen = view(DRIFT, price=100)
    assert isinstance(admit(place(terms()), seen), OrderAccepted)
    moved = spoiled(seen, reference=ReferencePrice(Decimal(105), NOW, "quote"))
    assert "R09" in failures(terms(limit=105), moved)
    assert isinstance(admit_leg(place(terms(Side.SELL, 10, 105), 1), moved), OrderAccepted)
    assert moved.prices_seen is not None
    highest = moved.prices_seen.strictest(SHARE, Side.SELL, NOW, WINDOW)
    assert highest is not None
    assert highest.price == 105


def test_r09_an_order_that_is_let_past_by_an_override_is_remembered_too() -> None:
    seen = view(DRIFT, price=100)
    event, _ = admit_overridden(place(terms()), seen, ["R06"])
    assert isinstance(event, OrderAccepted)
    assert "R09" in failures(
        terms(limit=105), spoiled(seen, reference=ReferencePrice(Decimal(105), NOW, "quote"))
    )


def test_r09_who_trades_under_a_short_window_takes_no_price_from_who_looks_further_back() -> None:
    memory = PricesSeen(WINDOW)
    memory.remember(SHARE, Decimal(100), NOW, timedelta(seconds=1))
    memory.remember(SHARE, Decimal(105), NOW + WINDOW, timedelta())
    assert memory.strictest(SHARE, Side.BUY, NOW + WINDOW, WINDOW) == (NOW, Decimal(100))


def test_r09_where_nobody_has_a_window_nothing_is_kept() -> None:
    memory = PricesSeen()
    memory.remember(SHARE, Decimal(100), NOW, timedelta())
    assert len(memory) == 0


def test_r09_a_price_of_a_clock_that_was_set_back_makes_none_before_it_older() -> None:
    memory = PricesSeen(WINDOW)
    memory.remember(SHARE, Decimal(105), NOW, WINDOW)
    memory.remember(SHARE, Decimal(100), NOW - timedelta(hours=1), WINDOW)
    seen = memory.strictest(SHARE, Side.SELL, NOW + timedelta(seconds=1), WINDOW)
    assert seen is not None
    assert seen.price == 105


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 200)), min_size=1, max_size=80))
def test_r09_what_is_remembered_is_never_looser_than_the_window_and_bounded(
    moves: list[tuple[int, int]],
) -> None:
    memory, history, at = PricesSeen(), [], NOW
    for milliseconds, price in moves:
        at += timedelta(milliseconds=milliseconds)
        history.append((at, Decimal(price)))
        memory.remember(SHARE, Decimal(price), at, WINDOW)
        within = [one for moment, one in history if moment >= at - WINDOW]
        lowest, highest = (memory.strictest(SHARE, side, at, WINDOW) for side in Side)
        assert lowest is not None
        assert highest is not None
        assert lowest.price <= min(within)
        assert highest.price >= max(within)
    assert len(memory) <= 2 * (GRAINS + 1)


SPREAD = limits(share={"market_spread_percent": "1"})


def quoted(bid: str | None, ask: str | None, age: float = 0) -> RiskView:
    top = Top(
        None if bid is None else Decimal(bid),
        None if ask is None else Decimal(ask),
        NOW - timedelta(seconds=age),
    )
    return spoiled(view(SPREAD), top=top)


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [
        ("99.51", "100.49", None),
        ("99.5", "100.5", None),
        ("99.49", "100.51", "wide-spread"),
        ("100", "100", None),
        ("100.01", "100", "crossed-quote"),
        (None, "100", "no-quote"),
        ("100", None, "no-quote"),
        ("0", "0.01", "no-quote"),
    ],
)
def test_r10_an_order_at_the_market_needs_a_whole_narrow_quote(
    bid: str | None, ask: str | None, reason: str | None
) -> None:
    failed = failures(terms(limit=None), quoted(bid, ask))
    assert [no.reason for no in failed.values()] == ([] if reason is None else [reason])
    assert "R10" not in failures(terms(), quoted(bid, ask))


def test_r10_the_numbers_of_a_wide_spread() -> None:
    no = failures(terms(limit=None), quoted("99", "101"))["R10"]
    assert (no.limit, no.value, no.headroom) == ("1", "2", "-1")
    assert no.inputs == {"bid": "99", "ask": "101", "quoted_at": NOW.isoformat()}


@pytest.mark.parametrize(("age", "fresh"), [(5, True), (5.000001, False), (-5, True), (-5.000001, False)])
def test_r10_a_quote_must_be_of_now(age: float, fresh: bool) -> None:
    failed = failures(terms(limit=None), quoted("99.9", "100.1", age))
    assert ("R10" not in failed) is fresh
    if not fresh:
        assert failed["R10"].reason == "stale-quote"
        assert list(failed["R10"].inputs) == ["quoted_at"]


def test_r10_without_a_quote_nothing_goes_at_the_market_where_a_spread_is_set() -> None:
    assert failures(terms(limit=None), view(SPREAD))["R10"].reason == "no-quote"
    assert failures(terms(limit=None), view()) == {}


def test_r10_a_crossed_quote_stops_market_orders_whatever_the_limits_are() -> None:
    crossed = Top(Decimal(101), Decimal(100), NOW)
    assert list(failures(terms(limit=None), spoiled(view(), top=crossed))) == ["R10"]


SESSION = limits({"hours": "session"})


@pytest.mark.parametrize(
    ("hours", "reason"),
    [
        (MarketHours(is_open=True, until=later(1)), None),
        (MarketHours(is_open=False, until=later(1)), "market-closed"),
        (MarketHours(is_open=False), "market-closed"),
        (None, "hours-unknown"),
    ],
)
def test_r22_nothing_passes_outside_the_session(hours: MarketHours | None, reason: str | None) -> None:
    failed = failures(terms(), spoiled(view(SESSION), hours=hours))
    assert [no.reason for no in failed.values()] == ([] if reason is None else [reason])
    assert failures(terms(), spoiled(view(), hours=hours)) == {}
    if hours is not None and reason is not None:
        opens = {} if hours.until is None else {"opens": hours.until.isoformat()}
        assert failed["R22"].inputs == opens


@pytest.mark.parametrize(("extended", "allowed"), [(True, True), (True, False), (False, True)])
def test_r22_extended_hours_need_the_order_and_the_limits_to_say_so(extended: bool, allowed: bool) -> None:
    limited = limits({"hours": "session", "extended_hours_allowed": allowed})
    asked = msgspec.structs.replace(terms(), extended_hours=extended)
    failed = failures(asked, spoiled(view(limited), hours=MarketHours(is_open=False)))
    assert ("R22" not in failed) is (extended and allowed)


CHICAGO = TradingDay(zone="America/Chicago", ends_at=time(17), flatten_by=time(15, 10))
FLAT = limits({"trading_day": {"zone": "America/Chicago", "ends_at": "17:00", "flatten_by": "15:10"}})


@pytest.mark.parametrize(
    ("clock", "passes"),
    [("15:09:59", True), ("15:10:00", False), ("16:59:59", False), ("17:00:00", True)],
)
@pytest.mark.parametrize("offset", ["-06:00", "-05:00"])
def test_r22_past_the_time_to_be_flat_only_flatter_until_the_day_ends(
    clock: str, passes: bool, offset: str
) -> None:
    """In winter and in summer by the same wall clock."""
    day = "2026-01-05" if offset == "-06:00" else "2026-07-06"
    now = datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(UTC)
    holding = account(positions={SHARE: (10, 100)})
    seen = spoiled(view(FLAT, holding=holding), now=now)
    assert ("R22" not in failures(terms(), seen)) is passes
    assert "R22" not in failures(terms(Side.SELL), seen)
    order = working(terms(Side.SELL, 10, 100))
    several = spoiled(view(FLAT, holding=holding, orders=[order]), now=now)
    assert "R22" not in replace_failures(order, replacement(10, 99), several)
    assert ("R22" not in replace_failures(order, replacement(11), several)) is passes


@pytest.mark.parametrize(
    ("moment", "day", "hours"),
    [
        ("2026-01-05T16:59:59-06:00", date(2026, 1, 5), 24),
        ("2026-01-05T17:00:00-06:00", date(2026, 1, 6), 24),
        ("2026-03-07T18:00:00-06:00", date(2026, 3, 8), 23),  # the night that loses an hour
        ("2026-10-31T18:00:00-05:00", date(2026, 11, 1), 25),  # the night that gains one
    ],
)
def test_a_trading_day_bears_the_date_on_which_it_ends(moment: str, day: date, hours: int) -> None:
    now = datetime.fromisoformat(moment).astimezone(UTC)
    span = CHICAGO.span_of(now)
    assert (span.day, span.ends - span.begins) == (day, timedelta(hours=hours))
    assert span.holds(now)
    assert span.holds(span.begins)
    assert not span.holds(span.ends)
    assert span.flat_from is not None
    assert span.begins < span.flat_from < span.ends


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made aware below
    st.sampled_from(["17:00", "00:00", "09:15", "01:30", "02:30"]),
)
def test_trading_days_follow_each_other_without_a_gap(moment: datetime, ends_at: str) -> None:
    rule = TradingDay(zone="America/New_York", ends_at=time.fromisoformat(ends_at), flatten_by=time(20))
    span = rule.span_of(moment.replace(tzinfo=UTC))
    following = rule.span_of(span.ends)
    assert span.holds(moment.replace(tzinfo=UTC))
    assert following.begins == span.ends
    assert following.day - span.day == timedelta(days=1)
    assert span.flat_from is not None
    assert span.begins <= span.flat_from < span.ends


@pytest.mark.parametrize(
    ("ends_at", "moment"),
    [
        ("02:30", "2026-03-08T07:10:00+00:00"),  # there is no half past two in that night
        ("02:30", "2026-03-08T07:29:59.999999+00:00"),
        ("01:30", "2026-11-01T05:45:00+00:00"),  # there are two half past one
        ("01:30", "2026-11-01T06:10:00+00:00"),
    ],
)
def test_a_day_that_ends_in_the_hour_that_is_lost_or_gained_holds_its_moments(
    ends_at: str, moment: str
) -> None:
    rule = TradingDay(zone="America/New_York", ends_at=time.fromisoformat(ends_at))
    now = datetime.fromisoformat(moment)
    assert rule.span_of(now).holds(now)


def test_a_day_that_ends_at_midnight_bears_its_own_date() -> None:
    rule = TradingDay(zone="UTC", ends_at=time(0))
    span = rule.span_of(datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert (span.day, span.week, span.flat_from) == (date(2026, 1, 5), (2026, 2), None)


@pytest.mark.parametrize(
    ("day", "says"),
    [
        ({"zone": "Mars/Olympus", "ends_at": "17:00"}, "limits.trading_day zone 'Mars/Olympus' is not"),
        ({"zone": "America/Chicago", "ends_at": "17:10"}, "ends_at must be a whole quarter of an hour"),
        ({"zone": "America/Chicago", "ends_at": "25:00"}, "ends_at must be a time of day"),
        ({"zone": "America/Chicago", "ends_at": 61200}, "ends_at must be a time of day"),
        ({"zone": 5, "ends_at": "17:00"}, "zone must be a text"),
        ({"zone": "America/Chicago"}, "ends_at is required"),
    ],
)
def test_a_trading_day_that_is_not_understood_is_refused(day: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        limits({"trading_day": day})


def test_r09_what_is_just_inside_the_window_is_still_remembered_when_more_comes() -> None:
    memory = PricesSeen()
    memory.remember(SHARE, Decimal(100), NOW, WINDOW)
    memory.remember(SHARE, Decimal(105), NOW + WINDOW, WINDOW)
    lowest = memory.strictest(SHARE, Side.BUY, NOW + WINDOW, WINDOW)
    assert lowest is not None
    assert lowest == (NOW, Decimal(100))
    memory.remember(SHARE, Decimal(106), NOW + 2 * WINDOW, WINDOW)
    assert memory.strictest(SHARE, Side.BUY, NOW + 2 * WINDOW, WINDOW) == (NOW + WINDOW, Decimal(105))


def test_a_refusal_by_the_market_says_what_it_saw() -> None:
    drift = failures(terms(limit=105), seen_at(100, price=105))["R09"]
    assert drift.detail == "105 is beyond 104, with the market at 100 within the window"
    crossed = failures(terms(limit=None), quoted("101", "100"))["R10"]
    assert (crossed.detail, crossed.limit) == ("the bid 101 is above the ask 100", None)
    wide = failures(terms(limit=None), quoted("99", "101"))["R10"]
    assert wide.detail == "the spread is too wide for a market order"
    no_quote = failures(terms(limit=None), quoted(None, "101"))["R10"]
    assert no_quote.detail == f"no whole quote of {SHARE} is known"
    closed = failures(terms(), spoiled(view(SESSION), hours=MarketHours(is_open=False)))["R22"]
    assert (closed.detail, closed.value) == (f"{SHARE} is not in a session of nyse", NOW.isoformat())
