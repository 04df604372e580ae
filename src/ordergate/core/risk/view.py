"""What a decision depends on, all of it: nothing else is known to a control."""

from __future__ import annotations

from collections.abc import Callable, Set
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.durations import in_seconds
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO, text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.fx import Fx, Rate
from ordergate.core.risk.limits import InstrumentLimits, Limits
from ordergate.core.risk.memories import PricesSeen, Strategies
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.resting import Resting
from ordergate.core.risk.trading_state import Stop
from ordergate.core.risk.valuation import Valuation


class ReferencePrice(msgspec.Struct, frozen=True, gc=False):
    """What the market says an instrument is worth. `at` is when the gateway learned it (UTC)."""

    price: Decimal
    at: datetime
    source: str


class BuyingPower(msgspec.Struct, frozen=True, gc=False):
    """The broker's own figure, in the account's currency. `at` is when it was asked for."""

    amount: Decimal
    at: datetime


class Freshness(msgspec.Struct, frozen=True):
    """Since when the account's picture may be out of date, and why; None while it is current."""

    stale_since: datetime | None
    why: str = ""


class Top(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask, and when the gateway learned them (UTC). None on a side without orders."""

    bid: Decimal | None
    ask: Decimal | None
    at: datetime


class MarketHours(msgspec.Struct, frozen=True, gc=False):
    """Whether the instrument's market is in its session, and until when that stays so, if it is known."""

    is_open: bool
    until: datetime | None = None


HoursOf = Callable[[Symbol, datetime], MarketHours | None]
"""Those of an instrument's market at a moment; None where no calendar says."""


class RiskView(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One account, one instrument, one moment, as its lane hands them to risk.

    `exposure`, `buckets`, `recent` and what follows `freshness` are the lane's own; no control changes
    them. `rivals` are the resting orders of every account of the same owner, this one's first, and
    `grouped` this one's orders that belong to groups. `fx` is there where anything is in another currency
    than the limits. `began_us` is the process's own clock when all this was put together, `took_us` says how
    long ago that is, and `offset_us` how far the machine's clock was off of late. What several
    controls ask for is worked out once and kept beside the fields.
    """

    now: datetime
    account: Account
    instrument: Instrument
    exposure: Exposure
    limits: Limits | None
    reference: ReferencePrice | None
    kill: Stop | None
    buying_power: BuyingPower | None
    buckets: MessageBuckets
    recent: RecentOrders
    freshness: Freshness | None = None
    top: Top | None = None
    hours: MarketHours | None = None
    valuation: Valuation | None = None
    profit: ProfitLog | None = None
    prices_seen: PricesSeen | None = None
    strategies: Strategies | None = None
    rivals: tuple[Resting, ...] = ()
    grouped: Set[OrderId] = frozenset()
    fx: Fx | None = None
    began_us: int = 0
    took_us: Callable[[], int] | None = None
    offset_us: int | None = None


class Booked(Protocol):
    """What an account holds, has open and is worth at one moment."""

    @property
    def now(self) -> datetime: ...
    @property
    def account(self) -> Account: ...
    @property
    def exposure(self) -> Exposure: ...
    @property
    def valuation(self) -> Valuation | None: ...
    @property
    def buying_power(self) -> BuyingPower | None: ...
    @property
    def fx(self) -> Fx | None: ...


class Proposal(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What risk is asked about: the terms as they would be.

    `standing` is the order that a replace would change and `asked` what it would become; both
    are None for a new order. `asked_as` is what the client asked for where the terms are not that, and
    `may_wait` is true of an order that can be held until others are gone.
    """

    terms: Terms
    asked_as: Terms | None = None
    may_wait: bool = False
    standing: Order | None = None
    asked: Replacement | None = None

    @property
    def said(self) -> Terms:
        """The terms in the client's own words."""
        return self.terms if self.asked_as is None else self.asked_as


class InputMissing(Exception):
    """A control cannot be answered, and what cannot be answered is refused."""

    def __init__(self, reason: Reason, detail: str, inputs: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.inputs = inputs or {}

    def as_failure(self, control: str) -> FailedControl:
        return FailedControl(control=control, reason=self.reason, detail=str(self), inputs=self.inputs)


def limits_in(view: RiskView) -> Limits:
    if view.limits is None:
        raise InputMissing(Reason.NO_LIMITS, "no limits are configured for the account")
    return view.limits


def instrument_limits_in(view: RiskView) -> InstrumentLimits:
    limits = limits_in(view).instruments.get(view.instrument.symbol)
    if limits is None:
        raise InputMissing(Reason.NO_LIMITS, f"no limits are configured for {view.instrument.symbol}")
    return limits


def reference_in(view: RiskView) -> Decimal:
    """The reference price, if it is fresh. One from the future is as wrong as one too old."""
    found: Decimal | None = view.__dict__.get("fresh_reference")
    if found is None:
        found = view.__dict__["fresh_reference"] = _fresh_reference(view)
    return found


def _fresh_reference(view: RiskView) -> Decimal:
    reference = view.reference
    if reference is None:
        raise InputMissing(Reason.NO_REFERENCE_PRICE, f"no price of {view.instrument.symbol} is known")
    if not (reference.price.is_finite() and reference.price > 0):
        raise InputMissing(Reason.NO_REFERENCE_PRICE, f"the last price was {reference.price}")
    age = view.now - reference.at
    if abs(age) > limits_in(view).reference_price_max_age:
        raise InputMissing(
            Reason.STALE_REFERENCE_PRICE,
            f"the price of {view.instrument.symbol} is {in_seconds(age)} s old",
            {"reference_source": reference.source, "reference_at": reference.at.isoformat()},
        )
    return reference.price


def reference_said(view: RiskView) -> dict[str, str]:
    """The price that was judged by, its age and its source, as inputs of a refusal."""
    reference = view.reference
    if reference is None:
        return {}
    return {
        "reference_price": text(reference.price),
        "reference_age_s": in_seconds(view.now - reference.at),
        "reference_source": reference.source,
    }


def home_of(seen: Booked) -> str:
    """The currency that everything is compared in: the limits', which is the account's unless they say so."""
    return seen.account.currency if seen.fx is None else seen.fx.home


def rate_in(seen: Booked, currency: str) -> Rate | None:
    """What to multiply by; None where nothing is to be converted. One from the future is as wrong as one

    too old. Raises InputMissing.
    """
    fx = seen.fx
    home = seen.account.currency if fx is None else fx.home
    if currency == home:
        return None
    checked: dict[str, Rate] = seen.__dict__.setdefault("checked_rates", {})
    rate = checked.get(currency)
    if rate is None:
        rate = checked[currency] = _usable_rate(seen, fx, currency, home)
    return rate


def _usable_rate(seen: Booked, fx: Fx | None, currency: str, home: str) -> Rate:
    rate = None if fx is None else fx.rates.get(currency)
    if fx is None or rate is None:
        raise InputMissing(Reason.NO_FX_RATE, f"no rate from {currency} to {home} is known")
    age = seen.now - rate.at
    if abs(age) > fx.max_age:
        raise InputMissing(
            Reason.STALE_FX_RATE, f"the rate from {currency} to {home} is {in_seconds(age)} s old"
        )
    return rate


def dear(value: Decimal, rate: Rate | None) -> Decimal:
    """What is exposed or owed, in the home currency."""
    return value if rate is None else rate.dear(value)


def cheap(value: Decimal, rate: Rate | None) -> Decimal:
    """What is owned or was made, in the home currency."""
    return value if rate is None else rate.cheap(value)


def cash_in(seen: Booked) -> Decimal:
    """The account's cash in every currency. Raises InputMissing."""
    account = seen.account
    if seen.fx is None and not account.foreign_cash:
        return account.cash
    cash = cheap(account.cash, rate_in(seen, account.currency))
    if not account.foreign_cash:
        return cash
    abroad = (cheap(amount, rate_in(seen, currency)) for currency, amount in account.foreign_cash.items())
    return cash + sum(abroad, ZERO)
