"""How much of each limit is used: the same figures that the controls compare, for people to watch.

Levels have a use and a headroom; limits on one order have none, and are listed all the same. A use that
cannot be known is not guessed. Nothing is decided here, and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO, text
from ordergate.core.orders.events import Severity
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.fx import Fx
from ordergate.core.risk.holdings import funds_and_reserved, open_value
from ordergate.core.risk.limits import InstrumentLimits, Limits, RateWindow
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.rates import MessageBuckets, TokenBucket
from ordergate.core.risk.sums_used import (
    Amounts,
    concentration_used,
    exposure_used,
    losses_used,
    shared_exposure_used,
    trades_used,
    volume_used,
)
from ordergate.core.risk.tally import Nth, Tally, many
from ordergate.core.risk.tightest import OF_ACCOUNT, OF_INSTRUMENT, Kind
from ordergate.core.risk.valuation import Valuation
from ordergate.core.risk.view import BuyingPower, InputMissing, dear, rate_in

_HUNDRED: Final = Decimal(100)
_TENTH: Final = Decimal("0.1")
FUNDS: Final = "buying_power"
"""No limit that anybody set: what there is to trade with."""

CONTROL: Final[Mapping[str, str]] = {
    "max_order_quantity": "R06",
    "max_order_notional": "R07",
    "collar_percent": "R08",
    "collar_ticks": "R08",
    "drift_percent": "R09",
    "market_spread_percent": "R10",
    "market_to_limit_percent": "R10",
    "max_long": "R11",
    "max_short": "R11",
    "max_gross_exposure": "R12",
    "max_net_exposure": "R12",
    "shared_exposure": "R12",
    FUNDS: "R13",
    "max_open_orders": "R14",
    "max_open_notional": "R14",
    "message_windows": "R15",
    "cancel_windows": "R15",
    "error_windows": "R26",
    "execution_windows": "R17",
    "losses": "R18",
    "max_concentration_percent": "R19",
    "max_volume_percent": "R19",
}
"""Which control compares each limit, by the first part of its name."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One account at one moment, as its lane holds it. `strategy` is whose executions are asked about."""

    now: datetime
    account: Account
    exposure: Exposure
    buckets: MessageBuckets
    valuation: Valuation | None = None
    profit: ProfitLog | None = None
    buying_power: BuyingPower | None = None
    fx: Fx | None = None
    tally: Tally | None = None
    strategy: str | None = None


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `used` is None for a limit on one order, and where the use is not known; `value` is, where

    the limit itself is a part of something that is not. `rule` names the rule that the limit comes from,
    and `severity` is what a no of it would be. With a `user` or a `strategy` it is theirs alone, and tighter.
    """

    limit: str
    control: str
    symbol: str | None = None
    window_s: int | None = None
    value: str | None
    used: str | None = None
    headroom: str | None = None
    percent: str | None = None
    rule: str = ""
    severity: Severity = Severity.HARD
    user: str | None = None
    strategy: str | None = None


OfAccount = Callable[[Limits, Standing], Iterator[tuple[str, Amounts]]]
OfInstrument = Callable[[InstrumentLimits, Limits, Standing, Symbol], Amounts | None]


def _open_orders(limits: Limits, seen: Standing) -> Iterator[tuple[str, Amounts]]:
    yield "", (Decimal(seen.exposure.count), Decimal(limits.max_open_orders))


def _open_notional(limits: Limits, seen: Standing) -> Iterator[tuple[str, Amounts]]:
    try:
        value = None if seen.exposure.has_unpriced else open_value(seen)
    except InputMissing:
        value = None
    yield "", (value, limits.max_open_notional)


def _gross(limits: Limits, seen: Standing) -> Iterator[tuple[str, Amounts]]:
    if limits.max_gross_exposure is not None:
        yield "", (exposure_used(seen).gross, limits.max_gross_exposure)


def _net(limits: Limits, seen: Standing) -> Iterator[tuple[str, Amounts]]:
    if limits.max_net_exposure is not None:
        yield "", (exposure_used(seen).net, limits.max_net_exposure)


def _losses(limits: Limits, seen: Standing) -> Iterator[tuple[str, Amounts]]:
    yield from losses_used(limits, seen, seen.profit)
    yield from trades_used(limits, seen, seen.profit)


def _long(its: InstrumentLimits, limits: Limits, seen: Standing, symbol: Symbol) -> Amounts:
    """The position, and everything open that would add to it."""
    held = seen.account.position(symbol).quantity
    return max(held + seen.exposure.of(symbol).buy_quantity, ZERO), its.max_long


def _open_orders_in(its: InstrumentLimits, limits: Limits, seen: Standing, symbol: Symbol) -> Amounts | None:
    if its.max_open_orders is None:
        return None
    return Decimal(seen.exposure.of(symbol).orders), Decimal(its.max_open_orders)


def _open_notional_in(
    its: InstrumentLimits, limits: Limits, seen: Standing, symbol: Symbol
) -> Amounts | None:
    if its.max_open_notional is None:
        return None
    opened, instrument = seen.exposure.of(symbol), seen.exposure.instruments.get(symbol)
    if seen.exposure.has_unpriced:
        return None, its.max_open_notional
    value = opened.buy_value + opened.sell_value
    if value and instrument is not None:
        try:
            value = dear(value, rate_in(seen, instrument.currency))
        except InputMissing:
            return None, its.max_open_notional
    return value, its.max_open_notional


def _short(its: InstrumentLimits, limits: Limits, seen: Standing, symbol: Symbol) -> Amounts:
    held = seen.account.position(symbol).quantity
    return max(seen.exposure.of(symbol).sell_quantity - held, ZERO), its.max_short


LEVELS: Final[Mapping[str, OfAccount]] = {
    "max_open_orders": _open_orders,
    "max_open_notional": _open_notional,
    "max_gross_exposure": _gross,
    "max_net_exposure": _net,
    "shared_exposure": shared_exposure_used,
    "losses": _losses,
}
LEVELS_OF_INSTRUMENT: Final[Mapping[str, OfInstrument]] = {
    "max_long": _long,
    "max_short": _short,
    "max_concentration_percent": concentration_used,
    "max_volume_percent": volume_used,
    "max_open_orders": _open_orders_in,
    "max_open_notional": _open_notional_in,
}
WINDOWS: Final = ("message_windows", "cancel_windows", "error_windows", "execution_windows")


class _Rows:
    """Makes the rows of one account: whose limit each is, and how hard."""

    def __init__(self, limits: Limits, origins: Mapping[str, str], soft: Collection[str]) -> None:
        self._limits = limits
        self._origins = origins
        self._soft = soft

    def row(self, name: str, part: str, amounts: Amounts, symbol: Symbol | None = None) -> Use:
        used, most = amounts
        row = self.bare(name, part, None if most is None else text(most), symbol)
        if used is None or most is None:
            return row
        percent = None if most <= ZERO else text((used * _HUNDRED / most).quantize(_TENTH))
        headroom = text(most - used)
        return msgspec.structs.replace(row, used=text(used), headroom=headroom, percent=percent)

    def bare(self, name: str, part: str, value: str | None, symbol: Symbol | None = None) -> Use:
        """A limit without its use."""
        rule = self._origins.get(name if symbol is None else f"instruments.{symbol}.{name}", "")
        control = CONTROL[name]
        return Use(
            limit=f"{name}.{part}" if part else name,
            control=control,
            symbol=symbol,
            value=value,
            rule=rule,
            severity=self._severity(control, rule),
        )

    def _severity(self, control: str, rule: str) -> Severity:
        by_rule = rule in self._soft and control != "R15"
        return Severity.SOFT if by_rule or control in self._limits.soft else Severity.HARD


def utilization(
    limits: Limits, seen: Standing, origins: Mapping[str, str], soft: Collection[str] = ()
) -> list[Use]:
    """Every limit that bounds a level or an order, the account's first. `soft` are the rules that are."""
    rows = _Rows(limits, origins, soft)
    found = [
        rows.row(name, part, amounts)
        for name, level in LEVELS.items()
        for part, amounts in level(limits, seen)
    ]
    found.append(rows.row(FUNDS, "", _funds(limits, seen)))
    found += _windows(rows, "message_windows", seen.buckets.orders, seen.now)
    found += _windows(rows, "cancel_windows", seen.buckets.cancels, seen.now)
    if (tally := seen.tally) is not None:
        found += _counted(rows, "error_windows", limits.error_windows, tally.error, seen.now)
        executions = partial(tally.execution, seen.strategy)
        found += _counted(rows, "execution_windows", limits.execution_windows, executions, seen.now)
    for symbol, its in limits.instruments.items():
        for name, of_symbol in LEVELS_OF_INSTRUMENT.items():
            amounts = of_symbol(its, limits, seen, symbol)
            if amounts is not None:
                found.append(rows.row(name, "", amounts, symbol))
        found += _on_one_order(rows, its, symbol)
    return found


def _funds(limits: Limits, seen: Standing) -> Amounts:
    try:
        funds, reserved = funds_and_reserved(seen, limits)
    except InputMissing:
        return None, None
    return reserved, funds


def _on_one_order(rows: _Rows, its: InstrumentLimits, symbol: Symbol) -> Iterator[Use]:
    for name, field in OF_INSTRUMENT.items():
        value = getattr(its, name)
        if field.kind is Kind.ORDER and value is not None:
            yield rows.bare(name, "", text(value) if isinstance(value, Decimal) else str(value), symbol)


def _windows(rows: _Rows, name: str, bucket: TokenBucket, now: datetime) -> Iterator[Use]:
    left: list[tuple[RateWindow, int]] = bucket.left(now)
    for window, tokens in left:
        use = rows.row(name, "", (Decimal(window.count - tokens), Decimal(window.count)))
        yield msgspec.structs.replace(use, window_s=window.seconds)


def _counted(rows: _Rows, name: str, windows: Iterable[RateWindow], nth: Nth, now: datetime) -> Iterator[Use]:
    """How much of each window was counted, whatever has tripped and was lifted since."""
    for window in windows:
        since = now - timedelta(seconds=window.seconds)
        used = many(nth, window.count, since=since, after=None)
        use = rows.row(name, "", (Decimal(used), Decimal(window.count)))
        yield msgspec.structs.replace(use, window_s=window.seconds)


def measured() -> set[str]:
    """The limits that have a use here."""
    return {*LEVELS, *WINDOWS, *LEVELS_OF_INSTRUMENT}


def levels() -> set[str]:
    """The limits that bound a level, and so need one."""
    both = (*OF_ACCOUNT.items(), *OF_INSTRUMENT.items())
    return {name for name, field in both if field.kind is Kind.LEVEL}
