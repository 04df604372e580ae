"""An account on which an ordinary order passes every control, to be spoiled one piece at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.ids import Symbol
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.judge import Denied, judge_place, judge_replace
from ordergate.core.risk.limits import Limits, limits_of
from ordergate.core.risk.memories import PricesSeen, Strategies
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.resting import Resting
from ordergate.core.risk.trading_state import Grade, Stop
from ordergate.core.risk.valuation import Valuation
from ordergate.core.risk.view import BuyingPower, Freshness, MarketHours, ReferencePrice, RiskView
from tests.core.examples import FUTURE, NOW, SHARE, account, future, place, share, terms, working

INSTRUMENTS: Final = {SHARE: share(), FUTURE: future()}

SHARE_LIMITS: Final[Mapping[str, object]] = {
    "max_order_quantity": "1000",
    "max_order_notional": "100000",
    "max_long": "1000",
    "max_short": "1000",
    "collar_percent": "5",
}
FUTURE_LIMITS: Final[Mapping[str, object]] = {
    "max_order_quantity": "100",
    "max_order_notional": "10000000",
    "max_long": "100",
    "max_short": "100",
    "collar_ticks": 40,
    "initial_margin": "10000",
}
LIMITS: Final[Mapping[str, object]] = {
    "version": 1,
    "enabled": True,
    "max_open_orders": 100,
    "max_open_notional": "10000000",
    "message_windows": [[100, 1], [1000, 60]],
    "cancel_windows": [[100, 1]],
    "order_types": ["market", "limit", "stop", "stop_limit"],
    "sides": ["buy", "sell"],
    "times_in_force": ["day", "gtc", "ioc", "fok"],
    "duplicate_window_s": "1",
    "reference_price_max_age_s": "5",
    "buying_power_max_age_s": "60",
    "buying_power_haircut_percent": "10",
}


SAID_OF_PRICE: Final = {"reference_price": "100", "reference_age_s": "0", "reference_source": "quote"}
"""What a refusal says of the price in these examples."""


def limits(
    changes: Mapping[str, object] | None = None,
    *,
    share: Mapping[str, object] | None = None,
    future: Mapping[str, object] | None = None,
) -> Limits:
    """The ordinary limits with some of them changed, the account's or an instrument's."""
    instruments = {
        SHARE: {**SHARE_LIMITS, **(share or {})},
        FUTURE: {**FUTURE_LIMITS, **(future or {})},
    }
    return limits_of({**LIMITS, "instruments": instruments, **(changes or {})})


def view(
    limited: Limits | None = None,
    *,
    symbol: Symbol = SHARE,
    holding: Account | None = None,
    orders: Sequence[Order] = (),
    price: int | str = 100,
    power: int | str | None = 1_000_000,
    now: datetime = NOW,
) -> RiskView:
    limited = limits() if limited is None else limited
    exposure, resting, profit = Exposure(INSTRUMENTS), Resting(INSTRUMENTS), ProfitLog()
    for order in orders:
        exposure.moved(None, order)
        resting.moved(order)
        profit.watch(order)
    books = account() if holding is None else holding
    return RiskView(
        now=now,
        account=books,
        instrument=INSTRUMENTS[symbol],
        exposure=exposure,
        limits=limited,
        reference=ReferencePrice(Decimal(price), NOW, "quote"),
        kill=None,
        buying_power=None if power is None else BuyingPower(Decimal(power), NOW),
        buckets=MessageBuckets(limited),
        recent=RecentOrders(),
        freshness=Freshness(None),
        valuation=valued(books, exposure, {symbol: price}, now),
        profit=profit,
        prices_seen=PricesSeen(),
        strategies=Strategies(),
        rivals=(resting,),
    )


def valued(
    books: Account, exposure: Exposure, marks: Mapping[Symbol, int | str], now: datetime = NOW
) -> Valuation:
    """What the account is worth at these prices, looked up now."""
    valuation = Valuation()
    for symbol, price in marks.items():
        valuation.mark(symbol, Decimal(price))
    for symbol in {*books.positions, *exposure.symbols()}:
        position, opened = books.position(symbol), exposure.of(symbol)
        valuation.moved(symbol, position, opened, INSTRUMENTS.get(symbol), books.currency)
    valuation.looked_up(now, frozenset())
    return valuation


# An order of the wrong form, under limits that let nothing through: every control has something to say.
HOPELESS: Final = msgspec.structs.replace(terms(limit="110.001"), type=OrderType.MARKET)
TIGHTEST: Final[Mapping[str, object]] = {
    "max_open_orders": 0,
    "message_windows": [[1, 60]],
    "enabled": False,
    "order_types": [],
    "restricted": {
        "as_of": NOW.isoformat(),
        "source": "compliance",
        "max_age_hours": 0,
        "symbols": {SHARE: "halted"},
    },
    "drift_window_s": "60",
    "max_gross_exposure": "0",
    "losses": {"max_daily_loss": "0"},
    "trading_day": {"zone": "UTC", "ends_at": "00:00"},
    "hours": "session",
    "stream_stale_max_s": "0",
    "self_match_refused": True,
    "canary": {"days": 1, "percent": "0"},
    "identity_required": True,
}
TIGHTEST_SHARE: Final[Mapping[str, object]] = {
    "max_order_quantity": "0",
    "max_order_notional": "0",
    "max_long": "0",
    "collar_percent": "0",
    "drift_percent": "0",
    "market_spread_percent": "0",
    "max_concentration_percent": "0",
}


def hopeless() -> RiskView:
    """Everything that could be wrong is."""
    seen = view(
        limits(TIGHTEST, share=TIGHTEST_SHARE),
        holding=account(0),
        orders=[working(terms(Side.SELL, 1, 100), 9)],
    )
    stale = Freshness(NOW - timedelta(minutes=1), "the stream is down")
    seen.buckets.order_sent(NOW)
    seen.recent.remember(HOPELESS, NOW)
    return spoiled(seen, kill=Stop(Grade.BLOCK_NEW), freshness=stale, hours=MarketHours(is_open=False))


def spoiled(seen: RiskView, **changes: object) -> RiskView:
    return msgspec.structs.replace(seen, **changes)


def failures(asked: Terms, seen: RiskView) -> dict[str, FailedControl]:
    """The controls that refuse a new order, by id."""
    answer = judge_place(place(asked), seen)
    return {failed.control: failed for failed in answer.failed} if isinstance(answer, Denied) else {}


def replace_failures(order: Order, asked: Replacement, seen: RiskView) -> dict[str, FailedControl]:
    answer = judge_replace(order, asked, seen)
    return {failed.control: failed for failed in answer.failed} if isinstance(answer, Denied) else {}


def replacement(
    quantity: int | str | Decimal, limit: int | str | Decimal | None = 100, stop: int | str | None = None
) -> Replacement:
    return Replacement(
        version=2,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
    )
