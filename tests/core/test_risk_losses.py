"""Enough lost, or traded, for today or this week: then only what makes a position smaller passes."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import HighWaterRaised, LossLimitReached
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import evolve
from ordergate.core.orders.terms import Side
from ordergate.core.risk.limit_parts import LossLimits, TradingDay
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.losses import STEPS, higher_water, lock_until, locks, losses
from ordergate.core.risk.profit import QUARTERS_KEPT, ProfitLog
from ordergate.core.risk.view import RiskView
from tests.core.examples import ACCOUNT, FUTURE, NOW, SHARE, account, completed, filled, later, terms, working
from tests.core.risk_examples import failures, limits, replace_failures, replacement, spoiled, view

DAY = {"zone": "America/Chicago", "ends_at": "17:00"}
RULE = TradingDay(zone="America/Chicago", ends_at=time(17))
HOUR = timedelta(hours=1)


def losing(**changes: object) -> Limits:
    return limits({"losses": changes, "trading_day": DAY})


def having(seen: RiskView, realised: int | str, at: datetime = NOW, trades: int = 0) -> RiskView:
    assert seen.profit is not None
    seen.profit.book(at, Decimal(realised), began=False)
    for _ in range(trades):
        seen.profit.book(at, Decimal(0), began=True)
    return seen


def no_of(seen: RiskView, **asked: Any) -> FailedControl | None:
    return failures(terms(**asked), seen).get("R18")


@pytest.mark.parametrize(("realised", "passes"), [("-499.99", True), ("-500", False), ("-500.01", False)])
@pytest.mark.parametrize("name", ["max_daily_loss", "max_drawdown", "max_weekly_loss"])
def test_r18_at_the_limit_it_is_reached(realised: str, passes: bool, name: str) -> None:
    no = no_of(having(view(losing(**{name: "500"})), realised))
    assert (no is None) is passes
    if no is not None:
        reason = {"max_daily_loss": "daily-loss", "max_drawdown": "drawdown"}.get(name, "weekly-loss")
        assert (no.reason, no.limit, no.value) == (reason, "500", realised[1:])
        assert no.inputs == {"profit": realised, "day": "2026-01-05", "unrealised": "0"}


def test_r18_what_is_open_counts_as_it_stands() -> None:
    holding = account(positions={SHARE: (10, 150), FUTURE: (1, 4800)})
    seen = having(view(losing(max_daily_loss="500"), holding=holding), 1)
    assert seen.valuation is not None
    assert seen.valuation.own.unrealised == -500
    assert no_of(seen) is None
    seen.valuation.mark(FUTURE, Decimal("4799.75"))  # a quarter of a point, times fifty
    no = no_of(seen)
    assert no is not None
    assert (no.value, no.headroom, no.inputs["unrealised"]) == ("511.5", "-11.5", "-512.5")


def test_r18_only_what_makes_a_position_smaller_still_passes() -> None:
    holding = account(positions={SHARE: (10, 100)})
    order = working(terms(Side.SELL, 4), 1)
    seen = having(view(losing(max_daily_loss="500"), holding=holding, orders=[order]), -600)
    assert no_of(seen, side=Side.SELL, quantity=6) is None
    assert no_of(seen, side=Side.SELL, quantity=7) is not None
    assert no_of(seen) is not None
    assert "R18" not in replace_failures(order, replacement(10), seen)
    assert "R18" in replace_failures(order, replacement(11), seen)


def test_r18_a_new_day_begins_at_nothing_and_a_week_goes_on() -> None:
    limited = losing(max_daily_loss="500", max_weekly_loss="800")
    seen = having(view(limited, now=NOW), -600, NOW)
    assert no_of(seen) is not None
    evening = datetime.fromisoformat("2026-01-05T17:00:00-06:00").astimezone(NOW.tzinfo)
    seen = spoiled(having(seen, 0, evening), now=evening, reference=None)
    assert seen.valuation is not None
    seen.valuation.looked_up(evening, frozenset())
    assert no_of(seen) is None
    having(seen, -200, evening)
    no = no_of(seen)
    assert no is not None
    assert no.reason == "weekly-loss"
    sunday = datetime.fromisoformat("2026-01-11T17:00:00-06:00").astimezone(NOW.tzinfo)
    seen.valuation.looked_up(sunday, frozenset())
    assert no_of(spoiled(seen, now=sunday)) is None


def raised(profit: int, day: date = date(2026, 1, 5)) -> HighWaterRaised:
    return HighWaterRaised(account=ACCOUNT, at=NOW, day=day, profit=Decimal(profit))


def test_r18_the_drawdown_is_measured_from_the_highest_profit_of_this_day() -> None:
    holding = accounts.evolve(account(), raised(1000))
    assert no_of(having(view(losing(max_drawdown="500"), holding=holding), 501)) is None
    no = no_of(having(view(losing(max_drawdown="500"), holding=holding), 500))
    assert no is not None
    assert (no.reason, no.value) == ("drawdown", "500")
    yesterday = accounts.evolve(account(), raised(1000, date(2026, 1, 4)))
    assert no_of(having(view(losing(max_drawdown="500"), holding=yesterday), 500)) is None


@pytest.mark.parametrize(
    ("profit", "known", "written"),
    [
        ("0", 0, None),
        ("-5", 0, None),
        ("0.01", 0, "25"),
        ("25", 0, "25"),
        ("25.01", 25, "50"),
        ("25", 25, None),
        ("24", 25, None),
    ],
)
def test_the_highest_profit_is_written_in_steps_and_never_too_low(
    profit: str, known: int, written: str | None
) -> None:
    limited = LossLimits(max_drawdown=Decimal(500))
    log = ProfitLog()
    log.book(NOW, Decimal(profit), began=False)
    books = accounts.evolve(account(), raised(known)) if known else account()
    higher = higher_water(limited, log.of(RULE, NOW), Decimal(0), books)
    assert higher == (None if written is None else Decimal(written))
    assert STEPS == 20
    assert higher_water(LossLimits(max_daily_loss=Decimal(5)), log.of(RULE, NOW), Decimal(0), books) is None
    assert higher_water(LossLimits(max_drawdown=Decimal(0)), log.of(RULE, NOW), Decimal(9), books) is None


def reached(reason: str = "daily-loss", limit: int = 500, until: datetime | None = None) -> Account:
    event = LossLimitReached(
        account=ACCOUNT,
        at=NOW,
        reason=reason,
        limit=Decimal(limit),
        lost=Decimal(limit),
        until=until or later(3600),
    )
    return accounts.evolve(account(), event)


def test_r18_a_limit_that_was_reached_stays_reached_until_the_day_is_over() -> None:
    seen = view(losing(max_daily_loss="500"), holding=reached())
    no = no_of(seen)
    assert no is not None
    assert (no.reason, no.value, no.headroom) == ("daily-loss", "0", "500")
    assert no.inputs["until"] == later(3600).isoformat()
    assert no.inputs["reached_at"] == NOW.isoformat()
    assert no_of(view(losing(max_daily_loss="500"), holding=reached(until=NOW))) is None
    assert no_of(view(losing(max_drawdown="500"), holding=reached())) is None


@pytest.mark.parametrize(("limit", "passes"), [("499", False), ("500", False), ("501", True)])
def test_r18_only_a_looser_limit_lifts_what_was_reached(limit: str, passes: bool) -> None:
    assert (no_of(view(losing(max_daily_loss=limit), holding=reached())) is None) is passes


@pytest.mark.parametrize(
    ("limit", "at", "holds"),
    [("500", NOW, True), ("500", later(3600), False), ("501", NOW, False), (None, NOW, False)],
)
def test_a_breach_holds_whatever_the_account_is_worth_until_its_time_or_a_looser_limit(
    limit: str | None, at: datetime, holds: bool
) -> None:
    told = LossLimits(max_daily_loss=None if limit is None else Decimal(limit), max_weekly_loss=Decimal(100))
    locked = reached()
    assert list(locks(told, locked, at)) == ([locked.loss_locks["daily-loss"]] if holds else [])


def test_a_week_that_has_lost_enough_is_over_when_its_last_day_is() -> None:
    log = ProfitLog()
    log.book(NOW, Decimal(-500), began=False)
    limited = LossLimits(max_daily_loss=Decimal(1), max_weekly_loss=Decimal(1))
    daily, weekly = losses(limited, log.of(RULE, NOW), Decimal(0), account())
    assert lock_until(daily, RULE).day == date(2026, 1, 5)
    assert lock_until(weekly, RULE).day == date(2026, 1, 11)
    assert daily.is_reached
    assert weekly.lost == 500


@pytest.mark.parametrize(("traded", "passes"), [(0, True), (1, True), (2, False)])
def test_r18_an_open_order_may_become_a_trade_and_counts_as_one(traded: int, passes: bool) -> None:
    seen = having(view(losing(max_trades=3), orders=[working(number=1)]), 0, trades=traded)
    no = no_of(seen)
    assert (no is None) is passes
    if no is not None:
        assert (no.reason, no.limit, no.value, no.headroom) == ("trade-count", "3", "4", "-1")
        assert no.inputs == {"traded": "2", "open": "1"}


def test_r18_a_replacement_is_no_trade_of_its_own() -> None:
    order = working(number=1)
    seen = having(view(losing(max_trades=0), orders=[order]), 0, trades=5)
    assert "R18" not in replace_failures(order, replacement(11), seen)


def test_an_order_becomes_a_trade_with_its_first_fill_and_ends_without_one() -> None:
    log = ProfitLog()
    order = working()
    log.watch(order)
    assert log.untraded == {order.id}
    log.watch(evolve(order, filled(4)))
    assert log.untraded == set()
    log.watch(order)
    log.watch(evolve(order, completed(10)))
    assert log.untraded == set()


@pytest.mark.parametrize("spoil", [{"valuation": None}, {"profit": None}])
def test_r18_what_is_not_known_is_a_no_and_still_lets_close(spoil: dict[str, None]) -> None:
    holding = account(positions={SHARE: (10, 100)})
    seen = spoiled(view(losing(max_daily_loss="500"), holding=holding), **spoil)
    no = no_of(seen)
    assert no is not None
    assert no.reason == "valuation-stale"
    assert no_of(seen, side=Side.SELL) is None


def test_r18_losses_are_of_a_day_and_need_one() -> None:
    with pytest.raises(ValueError, match="limits losses needs trading_day"):
        limits({"losses": {"max_daily_loss": "1"}})
    with pytest.raises(ValueError, match=r"limits\.losses has no field max_los"):
        limits({"losses": {"max_los": "1"}, "trading_day": DAY})
    assert no_of(having(view(limits({"trading_day": DAY})), -10_000)) is None


HAPPENED = st.lists(st.tuples(st.integers(0, 30), st.integers(-50, 50), st.booleans()), max_size=40)


@given(HAPPENED)
def test_sums_kept_equal_sums_counted_anew(happened: list[tuple[int, int, bool]]) -> None:
    log, at = ProfitLog(), NOW - timedelta(days=3)
    made: list[tuple[datetime, int, bool]] = []
    for hours, realised, began in happened:
        at += hours * HOUR
        made.append((at, realised, began))
        log.book(at, Decimal(realised), began=began)
        sums = log.of(RULE, at)
        recent = [one for one in made if at - one[0] < timedelta(days=7)]
        today = [one for one in recent if sums.span.holds(one[0])]
        week = [one for one in recent if RULE.span_of(one[0]).week == sums.span.week]
        assert sums.day.realised == sum(one[1] for one in today)
        assert sums.day.trades == sum(one[2] for one in today)
        assert sums.week.realised == sum(one[1] for one in week)


@pytest.mark.parametrize("ahead", [timedelta(days=9), timedelta(days=400)], ids=str)
def test_a_clock_that_ran_ahead_for_a_day_has_nothing_that_was_lost_forgotten(ahead: timedelta) -> None:
    log, quarter = ProfitLog(), timedelta(minutes=15)
    log.book(NOW - 3 * HOUR, Decimal(-400), began=True)
    for number in range(96):
        log.book(NOW + ahead + number * quarter, Decimal(0), began=False)
        log.of(RULE, NOW + ahead)
    log.book(NOW, Decimal(-100), began=True)
    made = log.of(RULE, NOW).day
    assert (made.realised, made.trades) == (Decimal(-500), 2)


def test_no_more_is_kept_than_what_a_week_and_a_day_have() -> None:
    log = ProfitLog()
    for quarter in range(QUARTERS_KEPT + 50):
        log.book(NOW + quarter * timedelta(minutes=15), Decimal(1), began=True)
    assert len(log._quarters) == QUARTERS_KEPT
    assert log.untraded == set()


def test_what_is_open_counts_for_the_week_and_for_the_highest_profit_too() -> None:
    log = ProfitLog()
    log.book(NOW, Decimal(10), began=False)
    limited = LossLimits(max_weekly_loss=Decimal(1), max_drawdown=Decimal(100))
    drawdown, weekly = losses(limited, log.of(RULE, NOW), Decimal(-40), account())
    assert (drawdown.lost, weekly.lost, weekly.profit) == (Decimal(30), Decimal(30), Decimal(-30))
    assert higher_water(limited, log.of(RULE, NOW), Decimal(40), account()) == 50


def test_a_refusal_says_what_was_lost_and_what_still_passes() -> None:
    lost = no_of(having(view(losing(max_daily_loss="500")), -500))
    assert lost is not None
    assert lost.detail == (
        "The day has lost as much as it may. Orders that make a position smaller still pass."
    )
    traded = no_of(having(view(losing(max_trades=1)), 0, trades=1))
    assert traded is not None
    assert traded.detail == "2 trades of the day would be over the limit 1"


def test_sums_are_kept_while_the_day_and_its_rule_are_the_same() -> None:
    log = ProfitLog()
    log.book(NOW, Decimal(5), began=True)
    kept = log.of(RULE, NOW)
    assert kept.rule is RULE
    assert log.of(RULE, NOW + HOUR) is kept
    other = TradingDay(zone="UTC", ends_at=time(0))
    assert log.of(other, NOW) is not kept
    assert log.of(other, NOW).rule is other
    assert log.of(other, NOW + timedelta(days=1)).day == (Decimal(0), 0)


def test_what_is_booked_late_counts_for_the_day_and_the_week_in_which_it_was() -> None:
    log = ProfitLog()
    sums = log.of(RULE, NOW)
    before, begins, week = timedelta(microseconds=1), sums.span.begins, sums.week_begins
    log.book(begins - before, Decimal(1), began=True)
    log.book(begins, Decimal(2), began=False)
    log.book(week, Decimal(4), began=True)
    log.book(week - before, Decimal(8), began=True)
    seen = log.of(RULE, NOW)
    anew = ProfitLog()
    anew.show(log.kept(), ())
    for one in (seen, anew.of(RULE, NOW)):
        day, of_week = one.day.realised, one.week.realised
        assert (day, of_week) == ((Decimal(6), Decimal(6)) if begins == week else (Decimal(2), Decimal(7)))
