"""How much is used of the limits that add up: exposure, losses, and the part of one instrument.

The figures are those that R12, R18 and R19 compare. Where the control would refuse for want of an input the
use is not known. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO
from ordergate.core.risk.aggregates import daily_volume, part_of_worth, valuation_in
from ordergate.core.risk.limit_parts import TradingDay
from ordergate.core.risk.limits import InstrumentLimits, Limits
from ordergate.core.risk.losses import lock_on, losses, sums_in
from ordergate.core.risk.profit import ProfitLog, Sums
from ordergate.core.risk.valuation import Totals, Valuation
from ordergate.core.risk.view import Booked, InputMissing, cash_in

_HUNDRED: Final = Decimal(100)

Amounts = tuple[Decimal | None, Decimal | None]
"""What is used, and the most that may be; None where it is not known."""


class Exposed(NamedTuple):
    """Gross, and net on the side that is the larger; None where it is not known."""

    gross: Decimal | None
    net: Decimal | None


_NOT_KNOWN: Final = Exposed(None, None)


def exposure_used(seen: Booked) -> Exposed:
    """The account's own."""
    valuation = _valuation(seen)
    return _NOT_KNOWN if valuation is None else _of(valuation.own)


def shared_exposure_used(limits: Limits, seen: Booked) -> Iterator[tuple[str, Amounts]]:
    """That of every group of accounts; not known while one of them is absent."""
    valuation = _valuation(seen)
    for name, limit in limits.shared_exposure.items():
        totals = None if valuation is None else valuation.shared.get(name)
        exposed = _NOT_KNOWN if totals is None or totals.absent else _of(totals)
        if limit.max_gross is not None:
            yield f"{name}.max_gross", (exposed.gross, limit.max_gross)
        if limit.max_net is not None:
            yield f"{name}.max_net", (exposed.net, limit.max_net)


def losses_used(limits: Limits, seen: Booked, profit: ProfitLog | None) -> Iterator[tuple[str, Amounts]]:
    """What is lost; all of it where a breach still holds, whatever the market has done since."""
    said = limits.losses
    if said is None or limits.trading_day is None:
        return
    valuation = _valuation(seen)
    sums = None if profit is None else _sums(seen, profit, limits.trading_day)
    if valuation is None or sums is None:
        for name in ("max_daily_loss", "max_drawdown", "max_weekly_loss"):
            most = getattr(said, name)
            if most is not None:
                yield name, (None, most)
        return
    for loss in losses(said, sums, valuation.own.unrealised, seen.account):
        lost = max(loss.lost, ZERO)
        if lock_on(loss, seen.account, seen.now) is not None:
            lost = max(lost, loss.limit)
        yield f"max_{loss.reason.replace('-', '_')}", (lost, loss.limit)


def trades_used(limits: Limits, seen: Booked, profit: ProfitLog | None) -> Iterator[tuple[str, Amounts]]:
    """What has traded today, and what is open and still may."""
    if limits.losses is None or limits.losses.max_trades is None or limits.trading_day is None:
        return
    trades = None
    if profit is not None:
        trades = Decimal(profit.of(limits.trading_day, seen.now).day.trades + len(profit.untraded))
    yield "max_trades", (trades, Decimal(limits.losses.max_trades))


def concentration_used(its: InstrumentLimits, limits: Limits, seen: Booked, symbol: Symbol) -> Amounts | None:
    """What the percentage comes to now, and the exposure in the instrument."""
    if its.max_concentration_percent is None:
        return None
    valuation = _valuation(seen)
    if valuation is None:
        return None, None
    try:
        worth = cash_in(seen) + valuation.own.worth
    except InputMissing:
        return None, None
    return valuation.share(symbol).gross, part_of_worth(worth, its.max_concentration_percent)


def volume_used(its: InstrumentLimits, limits: Limits, seen: Booked, symbol: Symbol) -> Amounts | None:
    """What the percentage comes to now, and the larger of both sides that are open."""
    if its.max_volume_percent is None:
        return None
    volume, opened = daily_volume(its, limits, seen.now), seen.exposure.of(symbol)
    most = None if volume is None else volume * its.max_volume_percent / _HUNDRED
    return max(opened.buy_quantity, opened.sell_quantity), most


def _sums(seen: Booked, profit: ProfitLog, rule: TradingDay) -> Sums | None:
    try:
        return sums_in(seen, profit, rule)
    except InputMissing:
        return None


def _of(totals: Totals) -> Exposed:
    return Exposed(totals.gross, max(totals.up, -totals.down, ZERO))


def _valuation(seen: Booked) -> Valuation | None:
    """What everything is worth, where it is known and so is every open order's value."""
    if seen.exposure.has_unpriced:
        return None
    try:
        return valuation_in(seen)
    except InputMissing:
        return None
