"""What the whole risk catalogue costs for one order, in microseconds.

Judges an order that passes every control, on an account with positions and open orders in several symbols,
with every limit that there is: in another currency than the account's, at venues by name, beneath soft
rules, with as many orders to compare with as are ever kept. It is an order at the market, which becomes a
limit order: no control has less to do with any other. Each is judged by a view of its own, as in a lane, so
nothing that was worked out for one serves the next. Prints the best and the median of many rounds, in
processor time: the machine is shared.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import process_time_ns
from typing import Final

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.positions import Lot, Position
from ordergate.core.ids import AccountId, Env, Symbol, order_id
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders.commands import PlaceOrder
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.judge import PRECEDENCE, Approved, evaluate, judge_place
from ordergate.core.risk.limits import Limits, limits_of
from ordergate.core.risk.memories import PricesSeen, Strategies
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.recent import RECENT_MAX, RecentOrders
from ordergate.core.risk.resting import Resting
from ordergate.core.risk.valuation import Totals, Valuation
from ordergate.core.risk.view import (
    BuyingPower,
    Freshness,
    MarketHours,
    Proposal,
    ReferencePrice,
    RiskView,
    Top,
)
from ordergate.engine.worth.converting import converted

NOW: Final = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
ACCOUNT: Final = AccountId("P-BENCH")
SYMBOLS: Final = tuple(Symbol(name) for name in ("ESH6", "NQH6", "CLG6", "GCG6", "ZNH6"))
VENUE: Final = "XCME"
ORDERS_PER_ROUND: Final = 20
ROUNDS: Final = 500


def view(home: str = "EUR") -> RiskView:
    """The account, in dollars, under limits in this currency."""
    instruments = {symbol: _future(symbol) for symbol in SYMBOLS}
    exposure, resting, profit = Exposure(instruments), Resting(instruments), ProfitLog()
    for number in range(50):
        order = _open_order(number)
        exposure.moved(None, order)
        resting.moved(order)
        profit.watch(order)
    limits = _limits(home)
    positions = {
        symbol: Position(symbol=symbol, lots=(Lot(Decimal(3), Decimal(4800)),), quantity=Decimal(3))
        for symbol in SYMBOLS
    }
    account = Account(
        id=ACCOUNT,
        broker="paper",
        broker_account="1",
        currency="USD",
        cash=Decimal("100000000"),
        positions=positions,
    )
    valuation = Valuation()
    for symbol in SYMBOLS:
        valuation.mark(symbol, Decimal("4800.125"))
        valuation.moved(symbol, account.position(symbol), exposure.of(symbol), instruments[symbol], "USD")
    fx = converted(account, valuation, limits, lambda _: None, "USD")
    valuation.join(ACCOUNT, home, {"firm": Totals()})
    valuation.looked_up(NOW, frozenset())
    prices_seen, strategies = PricesSeen(), Strategies()
    for second in range(300):
        at = NOW - timedelta(seconds=300 - second)
        prices_seen.remember(SYMBOLS[0], Decimal(4800) + second % 7, at, timedelta(seconds=300))
    strategies.saw(_terms(0), NOW - timedelta(days=1))
    return RiskView(
        now=NOW,
        account=account,
        instrument=instruments[SYMBOLS[0]],
        exposure=exposure,
        limits=limits,
        reference=ReferencePrice(Decimal("4800.125"), NOW, "quote"),
        kill=None,
        buying_power=BuyingPower(Decimal("100000000"), NOW),
        buckets=MessageBuckets(limits),
        recent=_recent(),
        freshness=Freshness(None),
        top=Top(Decimal("4800"), Decimal("4800.25"), NOW),
        hours=MarketHours(is_open=True),
        valuation=valuation,
        profit=profit,
        prices_seen=prices_seen,
        strategies=strategies,
        rivals=(resting, Resting(instruments)),
        fx=fx,
    )


def _limits(home: str) -> Limits:
    """Every limit, with soft rules above hard ones that let more pass."""
    told: dict[str, object] = {
        "version": 1,
        "currency": home,
        "fx_rates": {
            "base": "EUR",
            "rates": {"USD": {"rate": "0.92", "as_of": NOW.isoformat(), "source": "treasury"}},
        },
        "fx_max_age_s": "3600",
        "enabled_until": (NOW + timedelta(days=1)).isoformat(),
        "enabled": True,
        "max_open_orders": 10_000,
        "max_open_notional": "100000000000",
        "message_windows": [[1_000_000, 1], [1_000_000, 60]],
        "order_types": ["market", "limit", "stop", "stop_limit"],
        "sides": ["buy", "sell"],
        "times_in_force": ["day", "gtc", "ioc", "fok"],
        "venues": [VENUE, "XNAS"],
        "far_passive_refused": True,
        "duplicate_soft_window_s": "3600",
        "mark_max_age_s": "60",
        "restricted": {
            "as_of": NOW.isoformat(),
            "source": "compliance",
            "max_age_hours": 24,
            "symbols": {"GME": "restricted"},
        },
        "drift_window_s": "300",
        "max_gross_exposure": "100000000000",
        "max_net_exposure": "100000000000",
        "shared_exposure": {"firm": {"max_gross": "100000000000", "max_net": "100000000000"}},
        "losses": {
            "max_daily_loss": "1000000",
            "max_drawdown": "1000000",
            "max_weekly_loss": "1000000",
            "max_trades": 10_000,
        },
        "trading_day": {"zone": "America/Chicago", "ends_at": "17:00", "flatten_by": "15:10"},
        "hours": "session",
        "self_match_refused": True,
        "self_match_cancels_oldest": True,
        "soft": ["R06", "R07"],
        "shadow": ["R19"],
        "canary": {"days": 5, "percent": "50"},
        "identity_required": True,
        "instruments": {symbol: _instrument_limits() for symbol in SYMBOLS},
    }
    hard = limits_of({**told, "max_open_orders": 20_000})
    return msgspec.structs.replace(limits_of(told), hard=hard)


def _recent() -> RecentOrders:
    """As many as are ever kept, none of them equal to the order."""
    recent = RecentOrders()
    for number in range(RECENT_MAX - 1):
        asked = _terms(0)
        alike = msgspec.structs.replace(asked, quantity=Decimal(10_000 + number))
        recent.remember(alike, NOW - timedelta(seconds=1))
    return recent


def _as_asked() -> Terms:
    return msgspec.structs.replace(_terms(0), type=OrderType.MARKET, limit_price=None)


def command() -> PlaceOrder:
    return PlaceOrder(
        order_id=order_id(Env.PAPER, at_ms=1, entropy=1), terms=_as_asked(), actor="bench", asked_at=NOW
    )


def _terms(number: int) -> Terms:
    return Terms(
        account=ACCOUNT,
        symbol=SYMBOLS[number % len(SYMBOLS)],
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(2),
        limit_price=Decimal("4799.75"),
        time_in_force=TimeInForce.DAY,
        venue=VENUE,
        strategy="mean-reversion",
        strategy_version="2",
        user="ada",
    )


def _open_order(number: int) -> Order:
    return Order(
        id=order_id(Env.PAPER, at_ms=2, entropy=number),
        terms=_terms(number),
        status=Status.WORKING,
        reference_price=Decimal(4800),
        accepted_at=NOW,
        updated_at=NOW,
    )


def _future(symbol: Symbol) -> Instrument:
    return Instrument(
        symbol=symbol,
        name=symbol,
        asset_class=AssetClass.FUTURE,
        currency="USD",
        tick=Decimal("0.25"),
        lot=Decimal(1),
        multiplier=Decimal(50),
        calendar="24/7",
    )


def _instrument_limits() -> dict[str, object]:
    return {
        "max_order_quantity": "100",
        "max_order_notional": "100000000",
        "collar_percent": "2",
        "collar_ticks": 400,
        "max_long": "1000",
        "max_short": "1000",
        "initial_margin": "13000",
        "maintenance_margin": "12000",
        "drift_percent": "3",
        "market_spread_percent": "1",
        "market_to_limit_percent": "0.1",
        "max_open_orders": 1000,
        "max_open_notional": "10000000000",
        "venues": [VENUE],
        "max_concentration_percent": "90",
        "max_volume_percent": "5",
        "average_daily_volume": "1000000",
        "average_daily_volume_at": NOW.isoformat(),
    }


def microseconds(judged: Callable[[], object]) -> tuple[float, float]:
    """Best and median cost of one call."""
    costs = []
    for _ in range(ROUNDS):
        started = process_time_ns()
        for _ in range(ORDERS_PER_ROUND):
            judged()
        costs.append((process_time_ns() - started) / ORDERS_PER_ROUND / 1_000)
    return min(costs), statistics.median(costs)


def whole_catalogue(home: str = "EUR") -> tuple[float, float]:
    """Best and median cost of judging an order that every control lets pass."""
    seen, order = view(home), command()
    answer = judge_place(order, seen)
    assert isinstance(answer, Approved), answer
    assert answer.what.terms.type is OrderType.LIMIT
    return microseconds(lambda: judge_place(order, msgspec.structs.replace(seen)))


def main() -> None:
    seen, order = view(), command()
    proposal = Proposal(terms=order.terms, asked_as=order.terms, may_wait=True)
    best, median = whole_catalogue("USD")
    print(f"in one currency: {best:.1f} us best, {median:.1f} us median per order")
    best, median = whole_catalogue()
    print(f"risk catalogue: {best:.1f} us best, {median:.1f} us median per order")
    for control in PRECEDENCE:
        best, median = microseconds(lambda control=control: evaluate(control, proposal, seen))  # type: ignore[misc]  # bound now
        print(f"  {control.id} {control.name:<16} {best:6.2f} {median:6.2f}")


if __name__ == "__main__":
    main()
