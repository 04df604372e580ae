"""The parts of an account's limits that have several fields of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ordergate.core.ids import Symbol

MIDNIGHT: Final = time(0)
_HUNDRED: Final = Decimal(100)
_DAY: Final = timedelta(days=1)


class Restriction(StrEnum):
    """Why a symbol is on the list. What is hard to borrow may be sold, but not short."""

    RESTRICTED = "restricted"
    HALTED = "halted"
    HARD_TO_BORROW = "hard-to-borrow"


class RestrictedList(msgspec.Struct, frozen=True, kw_only=True):
    """Symbols that may not be traded, as `source` said at `as_of`. An old list allows no opening order."""

    as_of: datetime
    source: str
    max_age_hours: int
    symbols: Mapping[Symbol, Restriction] = {}


class ExposureLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a group of accounts may be exposed to together, in their currency."""

    max_gross: Decimal | None = None
    max_net: Decimal | None = None

    def __post_init__(self) -> None:
        if self.max_gross is None and self.max_net is None:
            raise ValueError("needs max_gross or max_net")


class Span(msgspec.Struct, frozen=True, gc=False):
    """One trading day: from `begins` until just before `ends`, flat from `flat_from` on (UTC)."""

    day: date
    begins: datetime
    ends: datetime
    flat_from: datetime | None

    def holds(self, moment: datetime) -> bool:
        return self.begins <= moment < self.ends

    @property
    def week(self) -> tuple[int, int]:
        """Year and number of the week that the day counts to."""
        return self.day.isocalendar()[:2]


class TradingDay(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """When a trading day ends, on the wall clock of `zone`, and from when on it must be flat."""

    zone: str
    ends_at: time
    flatten_by: time | None = None

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
            raise ValueError(f"zone {self.zone!r} is not a time zone such as America/Chicago") from fault
        if self.ends_at.minute % 15:
            raise ValueError("ends_at must be a whole quarter of an hour")

    @cached_property
    def _clock(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def span_of(self, moment: datetime) -> Span:
        """The trading day that a moment is in. It bears the date on which it ends.

        One that ends at midnight bears the date before that. The latest is kept: nearly always it is
        asked for again.
        """
        kept: Span | None = self.__dict__.get("span")
        if kept is None or not kept.holds(moment):
            kept = self.__dict__["span"] = self._work_out(moment)
        return kept

    def _work_out(self, moment: datetime) -> Span:
        local = moment.astimezone(self._clock)
        ending = local.date()
        if local.time() >= self.ends_at:
            ending += _DAY
        if moment < self._at(ending - _DAY, self.ends_at):
            ending -= _DAY  # the clock was put forward over the end, and shows more than there was
        elif moment >= self._at(ending, self.ends_at):
            ending += _DAY  # it was put back over the end, and shows the same hour again
        begins, ends = self._at(ending - _DAY, self.ends_at), self._at(ending, self.ends_at)
        flat_from = None if self.flatten_by is None else self._flat_from(ending)
        day = ending - _DAY if self.ends_at == MIDNIGHT else ending
        return Span(day, begins, ends, flat_from)

    def _flat_from(self, ending: date) -> datetime:
        """A time of day later than the end belongs to the evening before."""
        assert self.flatten_by is not None
        before = self.flatten_by >= self.ends_at
        return self._at(ending - _DAY if before else ending, self.flatten_by)

    def _at(self, day: date, moment: time) -> datetime:
        return datetime.combine(day, moment, self._clock).astimezone(UTC)


class LossLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be lost, realised and unrealised together, and how many trades a day may have.

    `max_drawdown` is measured from the day's highest profit. After a breach only orders that make a
    position smaller pass, until the day, or the week, is over.
    """

    max_daily_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    max_weekly_loss: Decimal | None = None
    max_trades: int | None = None


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """For its first `days` a strategy's version may do only `percent` of what the limits allow."""

    days: int
    percent: Decimal

    def __post_init__(self) -> None:
        if self.percent > _HUNDRED:
            raise ValueError("percent must be at most 100")


class OutsideSession(StrEnum):
    """What becomes of an order outside its market's session: a no, or kept for the next one."""

    REJECT = "reject"
    QUEUE = "queue"


class Hours(StrEnum):
    """When an account may open positions."""

    ANY = "any"
    SESSION = "session"
