"""One set of rules tried on an account's past: what each control says, and which cannot be answered from it.

What risk remembers under these rules is kept here: messages, recent orders, the prices of the market at
which orders were accepted, and the loss limits that were reached.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import HighWaterRaised, LossLimitReached
from ordergate.core.ids import Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import Terms, asked_as
from ordergate.core.risk.judge import (
    Verdict,
    verdicts,
    verdicts_of_held,
    verdicts_of_leg,
    verdicts_of_release,
)
from ordergate.core.risk.keeping import as_closed, kept_until
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.memories import PricesSeen
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.reducing import reduces
from ordergate.core.risk.utilization import Standing
from ordergate.core.risk.view import RiskView
from ordergate.engine.accounts.lanes import Narrower
from ordergate.engine.limits.past import Manner, Met, NewOrder, Past, as_of_then, said_of
from ordergate.engine.worth.valuing import to_write_down

_NEVER_WRITTEN: Final = frozenset({Reason.CONTROL_ERROR, Reason.VALUATION_STALE, Reason.EXPOSURE_UNKNOWN})
"""A price that no event has, or what other accounts are exposed to: the market and they were there."""


class Judged(NamedTuple):
    """What refuses, by control, and the controls whose answer is not known; never what is in shadow."""

    failed: dict[str, e.FailedControl]
    unknown: frozenset[str]


class Trial:
    def __init__(self, limits: Narrower, past: Past, *, asked_at: datetime) -> None:
        own = limits.limits(None, None)
        self._limits = limits
        self._past = past
        self._asked_at = asked_at
        self._buckets = MessageBuckets(own)
        self._recent = RecentOrders()
        self._prices_seen = PricesSeen(limits.drift_window)
        self._locks: dict[str, LossLimitReached] = {}
        self._high: HighWaterRaised | None = None

    def judged(self, met: Met) -> Judged:
        """Each control's answer; what passes is remembered as if it had been accepted."""
        view = self._view(met)
        enforced = [one for one in _answers(met, view) if not one.shadow]
        failures = [one.failed for one in enforced if one.failed is not None]
        unknown = {one.control for one in failures if self._cannot_say(one, met, view)}
        if self._misses_rivals(met, view) and not any(one.control == "R21" for one in failures):
            unknown.add("R21")
        failed = {one.control: one for one in failures if one.control not in unknown}
        if not failed:
            self._remember(met.event, met.manner, view.limits)
        return Judged(failed, frozenset(unknown))

    def follow(self, event: NewOrder) -> None:
        """An order from before those that are judged: what it got is what is remembered."""
        if isinstance(event, e.OrderAccepted):
            limits = self._limits.limits(event.actor, event.terms.strategy)
            self._remember(event, self._past.manner(event), limits)

    def keep(self, event: e.OrderHeld) -> None:
        """One that is kept is not to be repeated either."""
        limits = self._limits.limits(event.actor, event.terms.strategy)
        if limits is not None:
            self._recent.remember(event.terms, event.at)

    def message(self, at: datetime) -> None:
        self._buckets.order_sent(at)

    def look(self, at: datetime) -> None:
        """What is lost now, as it is looked up once a second; a limit that is reached holds for its time."""
        limits, books = self._limits.limits(None, None), self._past.books
        if limits is None or limits.losses is None or books.account is None:
            return
        limits = as_of_then(limits, Symbol(""), at)
        self._past.look(at)
        fx = self._past.converted(limits, at)
        seen = Standing(
            now=at,
            account=self._account(books.account, at),
            exposure=books.exposure,
            buckets=self._buckets,
            valuation=books.valuation,
            profit=books.profit,
            fx=fx,
        )
        for event in to_write_down(seen, books.profit, limits):
            if isinstance(event, LossLimitReached):
                self._locks[event.reason] = event
            else:
                self._high = event

    def _view(self, met: Met) -> RiskView:
        seen, symbol = met.view, met.view.instrument.symbol
        limits = self._limits.limits(met.event.actor, met.event.terms.strategy)
        limits = None if limits is None else as_of_then(limits, symbol, seen.now)
        return msgspec.structs.replace(
            seen,
            account=self._account(seen.account, seen.now),
            limits=limits,
            buckets=self._buckets,
            recent=self._recent,
            prices_seen=self._prices_seen,
            fx=self._past.converted(limits, seen.now, seen.instrument.currency),
        )

    def _account(self, account: Account, now: datetime) -> Account:
        """The account, with the losses that it would have been stopped by under these rules."""
        if not self._locks and self._high is None:
            return account
        high, theirs = self._high, account.high_water
        if high is None or (theirs is not None and (theirs.day, theirs.profit) > (high.day, high.profit)):
            high = theirs
        locks = {**account.loss_locks, **{why: one for why, one in self._locks.items() if now < one.until}}
        return msgspec.structs.replace(account, loss_locks=locks, high_water=high)

    def _remember(self, event: NewOrder, manner: Manner, limits: Limits | None) -> None:
        if limits is None:
            return
        if manner is Manner.ALONE:
            self._recent.remember(asked_for(event), event.at)
        if event.reference_price is not None:
            window = limits.drift_window or timedelta()
            self._prices_seen.remember(event.terms.symbol, event.reference_price, event.at, window)

    # What the journal does not say

    def _misses_rivals(self, met: Met, view: RiskView) -> bool:
        """It may meet an order of another account of the owner: those are in no journal of this one."""
        limits = view.limits
        return (
            self._past.others.has_kin
            and limits is not None
            and limits.self_match_refused
            and "R21" not in limits.shadow
            and not asked_for(met.event).type.needs_stop_price
            and not (met.manner is Manner.LEG and reduces(met.event.terms, view))
        )

    def _cannot_say(self, failed: e.FailedControl, met: Met, view: RiskView) -> bool:
        """Whether it only fails because the journal lacks what the gateway had, or may have had."""
        match failed.reason:
            case Reason.NO_REFERENCE_PRICE:
                return met.event.reference_price is None and met.event.basis is None
            case Reason.NO_QUOTE:
                said = said_of(met.event, failed.control)
                return said is None or said.reason != failed.reason
            case Reason.NO_FX_RATE:
                lacks = view.limits is not None and self._past.lacks_a_rate(view.limits, view.now)
                return lacks or self._past.has_unlisted
            case Reason.UNPRICED_EXPOSURE:
                return self._past.has_unlisted
            case Reason.HOURS_UNKNOWN:
                return self._past.hours(view.instrument.symbol, self._asked_at) is not None
            case reason:
                return reason in _NEVER_WRITTEN


def _answers(met: Met, view: RiskView) -> tuple[Verdict, ...]:
    """As it was asked then: alone, with its group, or at the moment that it was kept for."""
    terms = met.event.terms
    if met.manner is Manner.LEG:
        return verdicts_of_leg(terms, view)
    if met.manner is Manner.RELEASE:
        return verdicts_of_release(terms, view)
    asked = asked_for(met.event)
    if kept_until(asked, view) is not None:
        return verdicts_of_held(asked, as_closed(view))
    return verdicts(terms, view, asked_as=asked)


def asked_for(event: NewOrder) -> Terms:
    return asked_as(event.terms, event.converted_from) if isinstance(event, e.OrderAccepted) else event.terms
