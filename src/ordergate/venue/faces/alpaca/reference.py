"""The reference routes: assets, the clock and the calendar.

The venue trades whenever it runs, because its hours are those of the tape; so the clock is always
open, in sessions of one UTC day, and the calendar knows weekends but no holidays.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from ordergate.venue.faces.alpaca.calls import Answer, Call, Counter, answer, denied
from ordergate.venue.faces.alpaca.errors import Denial, asset_not_found, bad_field
from ordergate.venue.faces.alpaca.translate import asset_body, asset_id
from ordergate.venue.faces.alpaca.wire import CalendarBody, ClockBody

_DAY: Final = timedelta(days=1)
CALENDAR_DAYS_MAX: Final = 4_000
LAST_DAY: Final = date.max - 4 * _DAY  # after it a trade could not settle any more


def assets(counter: Counter, call: Call) -> Answer:
    shown = (asset_body(listing) for listing in counter.exchange.listings.values())
    asked = {name: call.query[name] for name in ("status", "asset_class", "exchange") if call.query.get(name)}
    if call.query.get("attributes"):
        return answer([])  # no listing here has any of Alpaca's attributes
    return answer(
        [asset for asset in shown if all(getattr(asset, name) == value for name, value in asked.items())]
    )


def asset(counter: Counter, call: Call) -> Answer:
    listing = counter.listing(call.target, asset_id)
    return denied(asset_not_found(call.target)) if listing is None else answer(asset_body(listing))


def clock(counter: Counter, call: Call) -> Answer:
    now = counter.now()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return answer(ClockBody(now, True, midnight + _DAY, midnight + _DAY))


def calendar(counter: Counter, call: Call) -> Answer:
    today = counter.now().date()
    start, end = _day(call, "start", today), _day(call, "end", today + 365 * _DAY)
    if isinstance(start, Denial):
        return denied(start)
    if isinstance(end, Denial):
        return denied(end)
    if end > LAST_DAY:
        return denied(bad_field("invalid end: out of range"))
    if (end - start).days > CALENDAR_DAYS_MAX:
        return denied(bad_field(f"no more than {CALENDAR_DAYS_MAX} days at once"))
    days = (start + n * _DAY for n in range((end - start).days + 1))
    return answer([_calendar_body(day) for day in days if day.weekday() < 5])


def _day(call: Call, name: str, default: date) -> date | Denial:
    text = call.query.get(name)
    if not text:
        return default
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return bad_field(f"invalid {name}: not a date")


def _calendar_body(day: date) -> CalendarBody:
    settles = day + _DAY
    while settles.weekday() >= 5:
        settles += _DAY
    return CalendarBody(date=day.isoformat(), settlement_date=settles.isoformat())
