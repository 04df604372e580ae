"""The control that stops an account which has lost enough, or traded enough, for today or this week.

Profit is what was realised since the day began, fees paid, and what the open positions have made or
lost against their cost. After a breach, only orders that make a position smaller pass. A breach of a
loss limit is journalled and stays until the day, or the week, is over, whatever the market does then:
it ends early only when another limit is set, looser than the one that was reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import LossLimitReached
from ordergate.core.money import ZERO, text
from ordergate.core.orders.events import FailedControl
from ordergate.core.risk.aggregates import valuation_in
from ordergate.core.risk.limit_parts import LossLimits, Span, TradingDay
from ordergate.core.risk.profit import Made, ProfitLog, Sums
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import only_reduces
from ordergate.core.risk.view import Booked, InputMissing, Proposal, RiskView, cheap, limits_in, rate_in

STEPS: Final = 20


class Loss(NamedTuple):
    """One loss limit and how far it is used. `span` is of today."""

    reason: Reason
    lost: Decimal
    limit: Decimal
    profit: Decimal
    span: Span

    @property
    def is_reached(self) -> bool:
        return self.lost >= self.limit


def refuse_after_losses(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R18. Daily loss, drawdown from the day's highest profit, weekly loss, trades of the day."""
    limits = limits_in(view)
    if limits.losses is None or limits.trading_day is None or only_reduces(proposal, view):
        return None
    if view.profit is None:
        raise InputMissing(Reason.VALUATION_STALE, "what the account has realised is not known")
    unrealised = valuation_in(view).own.unrealised
    sums = sums_in(view, view.profit, limits.trading_day)
    for loss in losses(limits.losses, sums, unrealised, view.account):
        locked = lock_on(loss, view.account, view.now)
        if locked is not None:
            return _refused(loss, {"reached_at": locked.at.isoformat(), "until": locked.until.isoformat()})
        if loss.is_reached:
            return _refused(loss, {"unrealised": text(unrealised)})
    return _many_trades(limits.losses, sums, view.profit, replacing=proposal.standing is not None)


def sums_in(seen: Booked, profit: ProfitLog, rule: TradingDay) -> Sums:
    """What was made today and this week, in every currency, at the rates of now. Raises InputMissing."""
    sums = profit.of(rule, seen.now)
    if seen.fx is None and not profit.abroad:
        return sums
    home = rate_in(seen, seen.account.currency)
    day, week = cheap(sums.day.realised, home), cheap(sums.week.realised, home)
    for currency, log in profit.abroad.items():
        rate, there = rate_in(seen, currency), log.of(rule, seen.now)
        day += cheap(there.day.realised, rate)
        week += cheap(there.week.realised, rate)
    made = Made(day, sums.day.trades), Made(week, sums.week.trades)
    return Sums(sums.span, sums.rule, sums.week_begins, *made)


def lock_on(loss: Loss, account: Account, now: datetime) -> LossLimitReached | None:
    """The breach that holds still, unless the limit is looser now than the one that was reached."""
    return _lock(account, loss.reason, loss.limit, now)


def locks(limits: LossLimits, account: Account, now: datetime) -> Iterator[LossLimitReached]:
    """Every breach that holds still, whatever the account is worth by now."""
    for reason, limit in (
        (Reason.DAILY_LOSS, limits.max_daily_loss),
        (Reason.DRAWDOWN, limits.max_drawdown),
        (Reason.WEEKLY_LOSS, limits.max_weekly_loss),
    ):
        locked = None if limit is None else _lock(account, reason, limit, now)
        if locked is not None:
            yield locked


def _lock(account: Account, reason: Reason, limit: Decimal, now: datetime) -> LossLimitReached | None:
    locked = account.loss_locks.get(reason)
    if locked is None or now >= locked.until or limit > locked.limit:
        return None
    return locked


def losses(limits: LossLimits, sums: Sums, unrealised: Decimal, account: Account) -> Iterator[Loss]:
    """Every loss limit that there is, with what is lost so far."""
    today, week = sums.day.realised + unrealised, sums.week.realised + unrealised
    if limits.max_daily_loss is not None:
        yield Loss(Reason.DAILY_LOSS, -today, limits.max_daily_loss, today, sums.span)
    if limits.max_drawdown is not None:
        lost = high_water(account, sums.span) - today
        yield Loss(Reason.DRAWDOWN, lost, limits.max_drawdown, today, sums.span)
    if limits.max_weekly_loss is not None:
        yield Loss(Reason.WEEKLY_LOSS, -week, limits.max_weekly_loss, week, sums.span)


def high_water(account: Account, span: Span) -> Decimal:
    """The day's highest profit as the journal knows it; a day begins at nothing."""
    kept = account.high_water
    return kept.profit if kept is not None and kept.day == span.day else ZERO


def higher_water(limits: LossLimits, sums: Sums, unrealised: Decimal, account: Account) -> Decimal | None:
    """What the day's highest profit is to be from now on; None where it need not be written.

    It is written in steps of a twentieth of the drawdown, and rounded up: a restart makes the limit a
    step tighter at most, and never looser.
    """
    if limits.max_drawdown is None or limits.max_drawdown == ZERO:
        return None
    today, step = sums.day.realised + unrealised, limits.max_drawdown / STEPS
    if today <= high_water(account, sums.span):
        return None
    steps = today // step
    return (steps if steps * step == today else steps + 1) * step


def lock_until(loss: Loss, rule: TradingDay) -> Span:
    """The last trading day that a breach counts for: today, or the last of the week."""
    span = loss.span
    if loss.reason is not Reason.WEEKLY_LOSS:
        return span
    while (later := rule.span_of(span.ends)).week == loss.span.week:
        span = later
    return span


def _refused(loss: Loss, inputs: dict[str, str]) -> FailedControl:
    return FailedControl(
        control="R18",
        reason=loss.reason,
        detail=f"{loss.reason.meaning} Orders that make a position smaller still pass.",
        limit=text(loss.limit),
        value=text(loss.lost),
        headroom=text(loss.limit - loss.lost),
        inputs={"profit": text(loss.profit), "day": loss.span.day.isoformat(), **inputs},
    )


def _many_trades(
    limits: LossLimits, sums: Sums, profit: ProfitLog, *, replacing: bool
) -> FailedControl | None:
    """An open order may still become a trade; a replacement is none of its own."""
    if limits.max_trades is None or replacing:
        return None
    trades = sums.day.trades + len(profit.untraded) + 1
    if trades <= limits.max_trades:
        return None
    return FailedControl(
        control="R18",
        reason=Reason.TRADE_COUNT,
        detail=f"{trades} trades of the day would be over the limit {limits.max_trades}",
        limit=str(limits.max_trades),
        value=str(trades),
        headroom=str(limits.max_trades - trades),
        inputs={"traded": str(sums.day.trades), "open": str(len(profit.untraded))},
    )
