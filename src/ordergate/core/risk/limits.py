"""What an account may do at most, as data with a version.

A limit that is not written down is not a licence: an account without limits, an account that
is not enabled, an instrument without limits and a type of order that is not permitted are all
refused by the controls. What only some accounts need (loss limits, trading hours, and the like)
is in force where it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from ordergate.core.risk.fx import FxTable
from ordergate.core.risk.limit_fields import RateWindow, plain, read
from ordergate.core.risk.limit_parts import (
    Canary,
    ExposureLimit,
    Hours,
    LossLimits,
    OutsideSession,
    RestrictedList,
    TradingDay,
)
from ordergate.core.risk.tally import COUNTED_FOR, COUNTED_MAX

__all__ = ["InstrumentLimits", "Limits", "RateWindow"]

NO_LIMITS_HASH: Final = "none"
HARD: Final = "hard"

# What may be calibrated in shadow, or called soft. Who may trade what, and form, are neither.
COUNTED_FOR_S: Final = int(COUNTED_FOR.total_seconds())

ADJUSTABLE: Final = frozenset(f"R{number:02}" for number in (*range(6, 17), 18, 19, 21, 22, 25, 27, 28))


class InstrumentLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done in one instrument.

    Where both collars are given the tighter one holds. `initial_margin` and `maintenance_margin` are in
    the limits' currency for one contract; a future without the first cannot be traded. Permissions
    given here narrow the account's.
    """

    max_order_quantity: Decimal
    max_order_notional: Decimal
    max_long: Decimal
    max_short: Decimal
    collar_percent: Decimal | None = None
    collar_ticks: int | None = None
    drift_percent: Decimal | None = None
    market_spread_percent: Decimal | None = None
    market_to_limit_percent: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    max_concentration_percent: Decimal | None = None
    max_volume_percent: Decimal | None = None
    max_open_orders: int | None = None
    max_open_notional: Decimal | None = None
    average_daily_volume: Decimal | None = None
    average_daily_volume_at: datetime | None = None
    order_types: tuple[OrderType, ...] | None = None
    sides: tuple[Side, ...] | None = None
    times_in_force: tuple[TimeInForce, ...] | None = None
    venues: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.collar_percent is None and self.collar_ticks is None:
            raise ValueError("needs collar_percent or collar_ticks")
        if self.market_to_limit_percent is not None and self.market_to_limit_percent >= 100:
            raise ValueError("market_to_limit_percent must be less than 100")


class Limits(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The limits of one account. Amounts are in `currency`, which is the account's where it is not said.

    `hard` is there where rules of soft severity are among those that these come from: what the others come
    to by themselves. What passes there and not here is a soft no. It is compiled, and never written.
    """

    version: int
    currency: str | None = None
    fx_rates: FxTable | None = None
    fx_max_age: timedelta | None = None
    enabled: bool = False
    enabled_until: datetime | None = None
    max_open_orders: int
    max_open_notional: Decimal
    message_windows: tuple[RateWindow, ...]
    cancel_windows: tuple[RateWindow, ...] = ()
    duplicate_window: timedelta = timedelta(seconds=1)
    duplicate_soft_window: timedelta = timedelta(seconds=10)
    reference_price_max_age: timedelta = timedelta(seconds=5)
    buying_power_max_age: timedelta = timedelta(seconds=60)
    buying_power_haircut_percent: Decimal = Decimal(10)
    far_passive_refused: bool = False
    stream_stale_max: timedelta = timedelta(seconds=10)
    reduce_when_stale: bool = False
    order_types: tuple[OrderType, ...] = ()
    sides: tuple[Side, ...] = ()
    times_in_force: tuple[TimeInForce, ...] = ()
    venues: frozenset[str] = frozenset()
    restricted: RestrictedList | None = None
    drift_window: timedelta | None = None
    market_quote_max_age: timedelta = timedelta(seconds=5)
    max_gross_exposure: Decimal | None = None
    max_net_exposure: Decimal | None = None
    shared_exposure: Mapping[str, ExposureLimit] = {}
    losses: LossLimits | None = None
    trading_day: TradingDay | None = None
    hours: Hours = Hours.ANY
    outside_session: OutsideSession = OutsideSession.REJECT
    extended_hours_allowed: bool = False
    mark_max_age: timedelta | None = None
    volume_max_age_days: int = 7
    self_match_refused: bool = False
    self_match_cancels_oldest: bool = False
    losses_cancel_all: bool = False
    error_windows: tuple[RateWindow, ...] = ()
    execution_windows: tuple[RateWindow, ...] = ()
    canary: Canary | None = None
    identity_required: bool = False
    shadow: frozenset[str] = frozenset()
    soft: frozenset[str] = frozenset()
    instruments: Mapping[Symbol, InstrumentLimits]
    hard: Limits | None = None

    def __post_init__(self) -> None:
        if self.buying_power_haircut_percent > 100:
            raise ValueError("buying_power_haircut_percent must be at most 100")
        if self.losses is not None and self.trading_day is None:
            raise ValueError("losses needs trading_day: of what day they are")
        for name, controls in (("shadow", self.shadow), ("soft", self.soft)):
            if strange := sorted(controls - ADJUSTABLE):
                raise ValueError(f"{name} cannot have {', '.join(strange)}")
        for name, windows in (("error", self.error_windows), ("execution", self.execution_windows)):
            if any(one.count > COUNTED_MAX or one.seconds > COUNTED_FOR_S for one in windows):
                most = f"{COUNTED_MAX} in {COUNTED_FOR_S} s"
                raise ValueError(f"{name}_windows: no more than {most} are counted")
        if self.drift_window is not None and not self.drift_window:
            raise ValueError("drift_window_s must be more than zero")

    @cached_property
    def own_exposure(self) -> ExposureLimit | None:
        """The account's own limit of exposure, if it has one."""
        if self.max_gross_exposure is None and self.max_net_exposure is None:
            return None
        return ExposureLimit(max_gross=self.max_gross_exposure, max_net=self.max_net_exposure)

    @cached_property
    def duplicate_memory(self) -> timedelta:
        """For how long an accepted order is compared with: not at all where the window is none."""
        if not self.duplicate_window:
            return self.duplicate_window
        return max(self.duplicate_window, self.duplicate_soft_window)

    @cached_property
    def digest(self) -> str:
        canonical = msgspec.json.encode(mapping_of(self), order="sorted")
        return hashlib.sha256(canonical).hexdigest()


def config_hash(limits: Limits | None) -> str:
    """What names these limits in every decision: the SHA-256 of their canonical form."""
    return NO_LIMITS_HASH if limits is None else limits.digest


def mapping_of(limits: Limits) -> dict[str, object]:
    """The limits as plain data; `limits_of` reads the same limits back from it, unless some are soft."""
    return plain(limits)


def limits_of(mapping: object) -> Limits:
    """Read limits from plain data. Raises ValueError naming the field that is wrong."""
    if isinstance(mapping, Mapping) and HARD in mapping:
        raise ValueError(f"limits has no field {HARD}: how severe a limit is its rule says")
    return read(Limits, mapping, "limits")


def instrument_limits_of(mapping: object) -> InstrumentLimits:
    """Read what may be done in one instrument. Raises ValueError naming the field that is wrong."""
    return read(InstrumentLimits, mapping, "instrument")
