"""Looks up what everything held is worth, once a second, and writes down what must outlast a restart.

The highest profit of the day and every loss limit that is reached become events. Between two looks risk
judges by the price of the instrument that is asked about, and by the others as of the last look. Decides
about no order, and closes nothing; where the limits say so everything open is canceled. What has to follow
from a limit that was reached is looked for every time, so that a crash right after it loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.accounts.events import AnyAccountEvent, HighWaterRaised, LossLimitReached
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.money import text
from ordergate.core.risk.aggregates import valuation_in
from ordergate.core.risk.fx import Fx
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.losses import higher_water, lock_on, lock_until, locks, losses, sums_in
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.trading_state import Trip
from ordergate.core.risk.utilization import Standing
from ordergate.core.risk.valuation import Valuation
from ordergate.core.risk.view import InputMissing
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.worth.converting import converted
from ordergate.engine.worth.prices import PriceBoard
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("valuing")

LOOK_S: Final = 1.0

Stop = Callable[[Seat, LossLimitReached, str], None]


class Valuing:
    def __init__(self, lanes: Lanes, prices: PriceBoard, alarms: Alarms, clock: Clock, *, stop: Stop) -> None:
        """`stop` cancels everything open of an account, and lets nothing new pass: once for a breach."""
        self._lanes = lanes
        self._prices = prices
        self._alarms = alarms
        self._clock = clock
        self._stop = stop
        self._joined: dict[AccountId, Valuation] = {}

    async def keep(self) -> None:
        """Look at every account, for ever."""
        while True:
            for seat in self._lanes:
                self.look(seat)
            await self._clock.sleep(LOOK_S)

    def look(self, seat: Seat) -> None:
        """Value one account now; one that is being recovered keeps its last value in the common sums."""
        account, valuation = seat.lane.books.account, seat.lane.books.valuation
        if account is None or not seat.lane.ready.is_set():
            return
        now = self._clock.now()
        fx = converted(account, valuation, seat.limits, self._prices.reference)
        self._join(seat, account, valuation)
        unknown = [symbol for symbol in valuation.symbols() if not self._mark(seat, valuation, symbol, now)]
        valuation.looked_up(now, frozenset(unknown))
        if seat.limits is not None and not unknown and not valuation.has_foreign:
            self._write_down(seat, account, seat.limits, now, fx)
        self._follow_locks(seat, now)

    def _join(self, seat: Seat, account: Account, valuation: Valuation) -> None:
        before = self._joined.get(account.id)
        if before is valuation and len(valuation.shared) == len(seat.groups):
            return
        if before is not None:
            before.leave()
        valuation.join(account.id, valuation.home or account.currency, seat.groups)
        self._joined[account.id] = valuation

    def _mark(self, seat: Seat, valuation: Valuation, symbol: Symbol, now: datetime) -> bool:
        """False when something is held and its price is not known, or older than it may be."""
        reference = self._prices.reference(symbol)
        if reference is not None:
            valuation.mark(symbol, reference.price)
        if not valuation.holds(symbol):
            return True
        oldest = None if seat.limits is None else seat.limits.mark_max_age
        return reference is not None and (oldest is None or abs(now - reference.at) <= oldest)

    def _write_down(self, seat: Seat, account: Account, limits: Limits, now: datetime, fx: Fx | None) -> None:
        books = seat.lane.books
        seen = Standing(
            now=now,
            account=account,
            exposure=books.exposure,
            buckets=seat.buckets,
            valuation=books.valuation,
            profit=books.profit,
            fx=fx,
        )
        events = to_write_down(seen, books.profit, limits)
        if events:
            self._record(seat, events)

    def _record(self, seat: Seat, events: Sequence[AnyAccountEvent]) -> None:
        try:
            seat.lane.record(events, correlation="losses")
        except Fault as fault:  # risk judges by the figures themselves until it can be written
            log.error("losses.unrecorded", account=seat.lane.account, why=str(fault))

    def _follow_locks(self, seat: Seat, now: datetime) -> None:
        """The alarm and the stop of every breach that holds, unless they were there already."""
        limits, account = seat.limits, seat.lane.books.account
        if limits is None or limits.losses is None or account is None or not seat.lane.ready.is_set():
            return
        for lock in locks(limits.losses, account, now):
            until, limit = lock.until.isoformat(), text(lock.limit)
            detail = f"{lock.reason}: {text(lock.lost)} lost, the limit is {limit}"
            lift = f"Until {until}, or a looser limit is set, only what makes a position smaller passes."
            if limits.losses_cancel_all:
                lift = f"{lift} The stop of the account: {Trip.LOSS_LIMIT.lift}"
            facts = {"until": until, "limit": limit, "lift": lift}
            self._alarms.sound(seat, AlarmNature.LOSS_LIMIT, f"{lock.reason} until {until}", detail, facts)
            if limits.losses_cancel_all:
                self._stop(seat, lock, detail)


def to_write_down(
    seen: Standing, profit: ProfitLog, limits: Limits
) -> list[HighWaterRaised | LossLimitReached]:
    """The day's highest profit, if it is a new one, and every loss limit that is reached and not held yet.

    Nothing where a rate of exchange is missing or old: what is lost is not known then.
    """
    account, now = seen.account, seen.now
    if limits.losses is None or limits.trading_day is None:
        return []
    try:
        unrealised = valuation_in(seen).own.unrealised
        sums = sums_in(seen, profit, limits.trading_day)
    except InputMissing:
        return []
    events: list[HighWaterRaised | LossLimitReached] = []
    higher = higher_water(limits.losses, sums, unrealised, account)
    if higher is not None:
        events.append(HighWaterRaised(account=account.id, at=now, day=sums.span.day, profit=higher))
    for loss in losses(limits.losses, sums, unrealised, account):
        if not loss.is_reached or lock_on(loss, account, now) is not None:
            continue
        events.append(
            LossLimitReached(
                account=account.id,
                at=now,
                reason=loss.reason,
                limit=loss.limit,
                lost=loss.lost,
                until=lock_until(loss, limits.trading_day).ends,
            )
        )
    return events
