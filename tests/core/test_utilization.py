"""What is shown as used is what the controls compare, for every limit that bounds a level."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.core.accounts.account import evolve as evolve_account
from ordergate.core.accounts.events import HighWaterRaised, LossLimitReached
from ordergate.core.money import text
from ordergate.core.orders.terms import Side
from ordergate.core.risk.limits import Limits, limits_of
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.tightest import OF_ACCOUNT, OF_INSTRUMENT, Kind
from ordergate.core.risk.utilization import CONTROL, FUNDS, Standing, Use, levels, measured, utilization
from ordergate.core.risk.valuation import Totals
from ordergate.core.risk.view import BuyingPower, RiskView
from tests.core.examples import FUTURE, NOW, SHARE, account, later, terms, working
from tests.core.risk_examples import FUTURE_LIMITS, LIMITS, failures, limits, spoiled, valued, view


def seen_of(limited: Limits, *, orders: int = 0, held: int = 0, sent: int = 0) -> tuple[Standing, list[Use]]:
    opened = [working(terms(Side.BUY, 10, 100), number) for number in range(1, orders + 1)]
    looked = view(limited, holding=account(10_000, {SHARE: (held, 100)} if held else {}), orders=opened)
    buckets = MessageBuckets(limited)
    for _ in range(sent):
        buckets.order_sent(NOW)
    standing = Standing(now=NOW, account=looked.account, exposure=looked.exposure, buckets=buckets)
    return standing, utilization(limited, standing, {"max_open_orders": "firm"})


def one(uses: list[Use], limit: str, symbol: str | None = None) -> Use:
    return next(use for use in uses if (use.limit, use.symbol) == (limit, symbol))


def shown(use: Use) -> tuple[str | None, str | None, str | None]:
    return use.used, use.value, use.headroom


def standing_of(seen: RiskView) -> Standing:
    return Standing(
        now=seen.now,
        account=seen.account,
        exposure=seen.exposure,
        buckets=seen.buckets,
        valuation=seen.valuation,
        profit=seen.profit,
        buying_power=seen.buying_power,
    )


def uses_of(seen: RiskView) -> list[Use]:
    assert seen.limits is not None
    return utilization(seen.limits, standing_of(seen), {})


def test_every_limit_on_a_level_has_a_use() -> None:
    assert measured() == levels()


def test_uses_are_counted_as_the_controls_count_them() -> None:
    _, uses = seen_of(limits(), orders=3, held=5, sent=7)
    orders = one(uses, "max_open_orders")
    assert (orders.used, orders.value, orders.headroom, orders.percent) == ("3", "100", "97", "3")
    assert orders.rule == "firm"
    assert one(uses, "max_open_notional").used == "3000"
    assert one(uses, "max_long", SHARE).used == "35"
    assert one(uses, "max_short", SHARE).used == "0"
    windows = [use for use in uses if use.limit == "message_windows"]
    assert [(use.window_s, use.used, use.value) for use in windows] == [(1, "7", "100"), (60, "7", "1000")]
    assert one(uses, "cancel_windows").used == "0"


def test_a_limit_on_one_order_is_listed_without_a_use() -> None:
    _, uses = seen_of(limits())
    largest = one(uses, "max_order_quantity", SHARE)
    assert (largest.value, largest.used, largest.headroom) == ("1000", None, None)
    assert one(uses, "collar_ticks", FUTURE).value == "40"
    assert not any(use.limit in ("enabled", "initial_margin") for use in uses)


def test_headroom_is_what_still_passes_and_one_more_is_refused() -> None:
    limited = limits({"max_open_notional": "3500"}, share={"max_long": "36"})
    _, uses = seen_of(limited, orders=3)
    room = one(uses, "max_long", SHARE).headroom
    assert room == "6"
    looked = view(limited, orders=[working(terms(Side.BUY, 10, 100), number) for number in (1, 2, 3)])
    assert "R11" not in failures(terms(Side.BUY, int(room), 100), looked)
    assert "R11" in failures(terms(Side.BUY, int(room) + 1, 100), looked)
    money = one(uses, "max_open_notional").headroom
    assert money is not None
    fits = int(Decimal(money) / 100)
    assert "R14" not in failures(terms(Side.BUY, fits, 100), looked)
    assert "R14" in failures(terms(Side.BUY, fits + 1, 100), looked)


def test_what_is_not_known_is_not_guessed_and_none_of_nothing_has_no_percent() -> None:
    unpriced = msgspec.structs.replace(working(terms(Side.SELL, 10, None), 1), reference_price=None)
    looked = view(limits({"max_open_orders": 0}), orders=[unpriced])
    standing = Standing(
        now=NOW, account=looked.account, exposure=looked.exposure, buckets=MessageBuckets(limits())
    )
    assert looked.exposure.has_unpriced
    uses = utilization(limits({"max_open_orders": 0}), standing, {})
    assert one(uses, "max_open_notional").used is None
    orders = one(uses, "max_open_orders")
    assert (orders.used, orders.headroom, orders.percent) == ("1", "-1", None)
    assert text(Decimal(orders.headroom or "0")) == "-1"


# What adds up

DAY = {"zone": "UTC", "ends_at": "00:00"}


def test_every_limit_that_is_shown_says_which_control_compares_it() -> None:
    fields = (*OF_ACCOUNT.items(), *OF_INSTRUMENT.items())
    ours = {name for name, field in fields if field.kind is not Kind.SETTING}
    assert set(CONTROL) == ours | {FUNDS}


def test_exposure_is_used_by_what_is_held_and_open_on_the_larger_side() -> None:
    limited = limits({
        "max_gross_exposure": "5000",
        "max_net_exposure": "4000",
        "shared_exposure": {"firm": {"max_gross": "9000", "max_net": "8000"}, "desk": {"max_net": "7000"}},
    })  # fmt: skip
    seen = view(
        limited,
        holding=account(10_000, {SHARE: (10, 100)}),
        orders=[working(terms(Side.BUY, 5, 100), 1), working(terms(Side.SELL, 40, 100), 2)],
    )
    assert seen.valuation is not None
    firm = Totals()
    firm.gross, firm.up, firm.down = Decimal(6000), Decimal(2500), Decimal(-1000)
    desk = Totals([account().id])
    seen.valuation.shared = {"firm": firm, "desk": desk}
    uses = uses_of(seen)
    assert shown(one(uses, "max_gross_exposure")) == ("3000", "5000", "2000")
    assert shown(one(uses, "max_net_exposure")) == ("3000", "4000", "1000")
    assert shown(one(uses, "shared_exposure.firm.max_gross")) == ("6000", "9000", "3000")
    assert shown(one(uses, "shared_exposure.firm.max_net")) == ("2500", "8000", "5500")
    assert shown(one(uses, "shared_exposure.desk.max_net")) == (None, "7000", None)
    assert not any(use.limit == "shared_exposure.desk.max_gross" for use in uses)
    assert {use.control for use in uses if "exposure" in use.limit} == {"R12"}
    seen.valuation.shared = {}
    assert shown(one(uses_of(seen), "shared_exposure.firm.max_gross")) == (None, "9000", None)


def test_the_headroom_of_exposure_is_what_still_passes() -> None:
    limited = limits({"max_gross_exposure": "5000", "max_net_exposure": "4000"})
    seen = view(limited, holding=account(10_000, {SHARE: (10, 100)}))
    uses = uses_of(seen)
    net = one(uses, "max_net_exposure").headroom
    assert net == "3000"
    assert "R12" not in failures(terms(Side.BUY, 30, 100), seen)
    assert "R12" in failures(terms(Side.BUY, 31, 100), seen)


def test_funds_are_used_by_what_is_open_and_are_the_smaller_of_both_figures() -> None:
    orders = [working(terms(Side.BUY, 5, 100), 1)]
    seen = view(holding=account(10_000, {SHARE: (10, 100)}), orders=orders, power=4_000)
    funds = one(uses_of(seen), FUNDS)
    assert shown(funds) == ("500", "4000", "3500")
    assert (funds.percent, funds.control, funds.rule) == ("12.5", "R13", "")
    own = uses_of(spoiled(seen, buying_power=BuyingPower(Decimal(10**6), NOW)))
    assert one(own, FUNDS).value == "10000"
    old = spoiled(seen, buying_power=None)
    assert one(uses_of(old), FUNDS).value == "9000"  # less the haircut
    room = int(Decimal(funds.headroom or 0) / 100)
    assert "R13" not in failures(terms(Side.BUY, room, 100), seen)
    assert "R13" in failures(terms(Side.BUY, room + 1, 100), seen)


def test_a_short_position_and_a_margin_tie_funds_up() -> None:
    short = view(holding=account(10_000, {SHARE: (-10, 100)}), power=None)
    assert one(uses_of(short), FUNDS).value == "7200"  # 10 000 less 2 x 10 x 100, less the haircut
    margin = view(holding=account(50_000, {FUTURE: (2, 4800)}), symbol=FUTURE, price=4800, power=None)
    assert one(uses_of(margin), FUNDS).value == "27000"


def test_without_a_margin_or_a_price_of_what_is_open_funds_are_not_known() -> None:
    unpriced = msgspec.structs.replace(working(terms(Side.SELL, 10, None), 1), reference_price=None)
    funds = one(uses_of(view(orders=[unpriced])), FUNDS)
    assert (*shown(funds), funds.percent) == (None, None, None, None)


def test_funds_that_are_less_than_nothing_have_no_percent() -> None:
    funds = one(uses_of(view(holding=account(-10))), FUNDS)
    assert (*shown(funds), funds.percent) == ("0", "-10", "-10", None)


LOSING = limits(
    {
        "losses": {"max_daily_loss": "500", "max_drawdown": "800", "max_weekly_loss": "900", "max_trades": 5},
        "trading_day": DAY,
    }
)


def losing(realised: int, *, trades: int = 0) -> RiskView:
    seen = view(LOSING, holding=account(10_000, {SHARE: (10, 100)}), price=90)
    assert seen.profit is not None
    seen.profit.book(NOW, Decimal(realised), began=False)
    for _ in range(trades):
        seen.profit.book(NOW, Decimal(0), began=True)
    return seen


def test_losses_are_used_by_what_is_realised_and_open() -> None:
    uses = uses_of(losing(-150, trades=2))
    assert shown(one(uses, "losses.max_daily_loss")) == ("250", "500", "250")
    assert shown(one(uses, "losses.max_drawdown")) == ("250", "800", "550")
    assert shown(one(uses, "losses.max_weekly_loss")) == ("250", "900", "650")
    assert shown(one(uses, "losses.max_trades")) == ("2", "5", "3")
    assert {use.control for use in uses if use.limit.startswith("losses")} == {"R18"}


def test_a_gain_uses_nothing_of_a_loss_and_a_trade_that_may_still_come_counts() -> None:
    seen = view(LOSING, orders=[working(terms(), 1)])
    assert seen.profit is not None
    seen.profit.book(NOW, Decimal(50), began=True)
    uses = uses_of(seen)
    assert shown(one(uses, "losses.max_daily_loss")) == ("0", "500", "500")
    assert shown(one(uses, "losses.max_trades")) == ("2", "5", "3")


def test_a_breach_that_still_holds_has_used_everything() -> None:
    seen = losing(0)
    reached = LossLimitReached(
        account=seen.account.id,
        at=NOW,
        reason=Reason.DAILY_LOSS,
        limit=Decimal(500),
        lost=Decimal(600),
        until=later(3600),
    )
    locked = spoiled(seen, account=evolve_account(seen.account, reached))
    assert shown(one(uses_of(locked), "losses.max_daily_loss")) == ("500", "500", "0")
    valuation = valued(locked.account, locked.exposure, {SHARE: 90}, later(3600))
    over = spoiled(locked, now=later(3600), valuation=valuation)
    assert shown(one(uses_of(over), "losses.max_daily_loss")) == ("100", "500", "400")


def test_the_drawdown_is_from_the_days_highest_profit() -> None:
    seen = losing(100)
    raised = HighWaterRaised(account=seen.account.id, at=NOW, day=NOW.date(), profit=Decimal(400))
    high = spoiled(seen, account=evolve_account(seen.account, raised))
    assert shown(one(uses_of(high), "losses.max_drawdown")) == ("400", "800", "400")


@pytest.mark.parametrize("lacking", ["valuation", "profit"])
def test_losses_that_are_not_known_are_not_guessed(lacking: str) -> None:
    uses = uses_of(spoiled(losing(-150), **{lacking: None}))
    for name in ("max_daily_loss", "max_drawdown", "max_weekly_loss"):
        assert one(uses, f"losses.{name}").used is None
    assert one(uses, "losses.max_trades").used == ("0" if lacking == "valuation" else None)
    fewer = limits({"losses": {"max_daily_loss": "1"}, "trading_day": DAY})
    told = uses_of(spoiled(losing(0), limits=fewer, **{lacking: None}))
    assert [use.limit for use in told if use.limit.startswith("losses")] == ["losses.max_daily_loss"]


def test_what_was_not_valued_of_late_uses_an_unknown_part() -> None:
    limited = limits({"max_gross_exposure": "5000", "max_net_exposure": "5000"})
    stale = spoiled(view(limited), now=later("5.000001"))
    assert shown(one(uses_of(stale), "max_gross_exposure")) == (None, "5000", None)
    assert shown(one(uses_of(stale), "max_net_exposure")) == (None, "5000", None)
    unpriced = msgspec.structs.replace(working(terms(Side.SELL, 10, None), 1), reference_price=None)
    assert one(uses_of(view(limited, orders=[unpriced])), "max_gross_exposure").used is None


PARTS = {
    "max_concentration_percent": "40",
    "max_volume_percent": "10",
    "average_daily_volume": "500",
    "average_daily_volume_at": NOW.isoformat(),
}


def test_a_percentage_is_shown_as_what_it_comes_to() -> None:
    orders = [working(terms(Side.BUY, 5, 100), 1), working(terms(Side.SELL, 7, 100), 2)]
    seen = view(limits(share=PARTS), holding=account(4_000, {SHARE: (10, 100)}), orders=orders)
    uses = uses_of(seen)
    assert shown(one(uses, "max_concentration_percent", SHARE)) == ("1500", "2000", "500")
    assert shown(one(uses, "max_volume_percent", SHARE)) == ("7", "50", "43")
    assert {one(uses, name, SHARE).control for name in list(PARTS)[:2]} == {"R19"}
    assert not any(use.limit == "max_volume_percent" and use.symbol == FUTURE for use in uses)
    more = view(limits(share=PARTS), orders=[*orders, working(terms(Side.BUY, 5, 100), 3)])
    assert one(uses_of(more), "max_volume_percent", SHARE).used == "10"


def test_a_part_of_what_is_not_known_has_no_value() -> None:
    seen = view(limits(share=PARTS), orders=[working(terms(Side.BUY, 5, 100), 1)])
    blind = one(uses_of(spoiled(seen, valuation=None)), "max_concentration_percent", SHARE)
    assert shown(blind) == (None, None, None)
    old = one(uses_of(spoiled(seen, now=later(8 * 86_400))), "max_volume_percent", SHARE)
    assert (*shown(old), old.percent) == (None, None, None, None)


def test_a_row_says_how_severe_a_no_of_it_would_be() -> None:
    limited = limits({"soft": ["R14"], "max_gross_exposure": "5"})
    standing = standing_of(view(limited))
    named = ("max_gross_exposure", "message_windows", f"instruments.{SHARE}.max_long")
    origins = dict.fromkeys(named, "desk")
    uses = utilization(limited, standing, origins, {"desk"})
    soft = {use.limit for use in uses if use.severity == "soft"}
    assert soft == {"max_open_orders", "max_open_notional", "max_gross_exposure", "max_long"}
    hard = {use.limit for use in utilization(limits(), standing, origins) if use.severity == "soft"}
    assert hard == set()


def test_funds_are_less_by_what_open_futures_have_lost() -> None:
    seen = view(holding=account(50_000, {FUTURE: (2, 4800)}), symbol=FUTURE, price=4790, power=None)
    assert one(uses_of(seen), FUNDS).value == "26100"  # less 2 x 50 x 10, less the haircut


def test_without_a_margin_a_future_ties_up_an_unknown_amount() -> None:
    its = {"maintenance_margin": "5"}
    bare = limits(future=its)
    seen = view(bare, holding=account(50_000, {FUTURE: (2, 4800)}), power=None)
    assert one(uses_of(seen), FUNDS).value == "44991"
    nothing = {name: value for name, value in FUTURE_LIMITS.items() if name != "initial_margin"}
    without = limits_of({**LIMITS, "instruments": {FUTURE: nothing}})
    blind = view(without, holding=account(50_000, {FUTURE: (2, 4800)}), power=None)
    assert shown(one(uses_of(blind), FUNDS)) == (None, None, None)


def test_what_is_open_in_one_instrument_uses_its_own_limits() -> None:
    orders = [working(terms(Side.SELL, 5, 100), 1), working(terms(Side.BUY, 2, 90), 2)]
    limited = limits(share={"max_open_orders": 4, "max_open_notional": "2000"})
    uses = uses_of(view(limited, orders=orders))
    assert shown(one(uses, "max_open_orders", SHARE)) == ("2", "4", "2")
    assert shown(one(uses, "max_open_notional", SHARE)) == ("680", "2000", "1320")
    assert not any(use.limit == "max_open_orders" and use.symbol == FUTURE for use in uses)
    unpriced = msgspec.structs.replace(working(terms(Side.SELL, 10, None), 3), reference_price=None)
    assert one(uses_of(view(limited, orders=[unpriced])), "max_open_notional", SHARE).used is None
