"""When each instrument's market is in its session, from exchange calendars: holidays, short days, DST.

The sessions are read once, from yesterday until `YEARS` ahead, as plain moments in UTC. Beyond them the
hours are not known, and what is not known is refused by risk. Decides about no order.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.risk.limit_parts import Hours
from ordergate.core.risk.view import MarketHours
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("hours")

ANY: Final = Hours.ANY
YEARS: Final = 2
ALWAYS: Final = "24/7"
ALWAYS_OPEN: Final = MarketHours(is_open=True)


class NoCalendar(Exception):
    """An instrument names a calendar that nobody knows."""


class Sessions:
    """The sessions of one calendar, in order; a break at noon makes two of one day."""

    def __init__(self, spans: Sequence[tuple[datetime, datetime]]) -> None:
        self._opens = [opens for opens, _ in spans]
        self._closes = [closes for _, closes in spans]

    def at(self, now: datetime) -> MarketHours | None:
        """None before the first session and after the last: what comes there was not read."""
        place = bisect_right(self._opens, now) - 1
        if place < 0 or (place == len(self._opens) - 1 and now >= self._closes[place]):
            return None
        if now < self._closes[place]:
            return MarketHours(is_open=True, until=self._closes[place])
        return MarketHours(is_open=False, until=self._opens[place + 1])


def of(
    instruments: Mapping[Symbol, Instrument], now: datetime
) -> Callable[[Symbol, datetime], MarketHours | None]:
    """Reads the calendars of these instruments. Raises NoCalendar."""
    names = {symbol: instrument.calendar for symbol, instrument in instruments.items()}
    sessions = {name: Sessions(read(name, now)) for name in set(names.values()) - {ALWAYS}}

    def hours(symbol: Symbol, moment: datetime) -> MarketHours | None:
        name = names.get(symbol)
        if name == ALWAYS:
            return ALWAYS_OPEN
        return None if name is None else sessions[name].at(moment)

    return hours


class WhenNeeded:
    """The same, read when it is first asked for: by a rule that was made while the gateway runs.

    Until that is done, a second or two later, the hours are not known.
    """

    def __init__(self, instruments: Mapping[Symbol, Instrument], clock: Clock) -> None:
        self._instruments = instruments
        self._clock = clock
        self._found: Callable[[Symbol, datetime], MarketHours | None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def __call__(self, symbol: Symbol, moment: datetime) -> MarketHours | None:
        if self._found is not None:
            return self._found(symbol, moment)
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read(), name="market-hours")
        return None

    async def _read(self) -> None:
        try:
            self._found = await asyncio.to_thread(of, self._instruments, self._clock.now())
        except NoCalendar as error:
            log.error("hours.unknown", why=str(error))


def read(name: str, now: datetime) -> list[tuple[datetime, datetime]]:
    """The sessions of a calendar of the library's, such as XNYS or CMES. Raises NoCalendar."""
    import exchange_calendars

    begin = (now - timedelta(days=7)).date().isoformat()
    end = (now + timedelta(days=365 * YEARS)).date().isoformat()
    try:
        calendar = exchange_calendars.get_calendar(name, start=begin, end=end)
    except (exchange_calendars.errors.InvalidCalendarName, ValueError) as error:
        raise NoCalendar(f"there is no trading calendar {name!r}: {error}") from error
    spans: list[tuple[datetime, datetime]] = []
    for row in calendar.schedule.itertuples():
        pauses = row.break_start == row.break_start  # a day without a break has no time there
        ends = (row.break_start, row.break_end) if pauses else ()
        edges = [_moment(edge) for edge in (row.open, *ends, row.close)]
        spans += list(zip(edges[::2], edges[1::2], strict=True))
    return spans


def _moment(stamp: Any) -> datetime:
    plain: datetime = stamp.to_pydatetime()
    return plain.astimezone(UTC)
