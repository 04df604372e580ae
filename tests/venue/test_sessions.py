"""The end of a session: what is good for the day does not live into the next one."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from ordergate.venue import sessions
from ordergate.venue.sessions import Sessions
from tests.venue.pit import Pit
from tests.venue.test_player import FakeClock, until

MIDNIGHT = timedelta(hours=12)  # the clock begins at noon


async def _while_ending(ended: Sessions, holds: Callable[[], bool]) -> None:
    running = asyncio.create_task(ended.run())
    try:
        await until(holds)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_good_for_the_day_expires_at_midnight() -> None:
    pit, clock = Pit(), FakeClock()
    day = pit.submit("ann", "buy 1 AAPL 190.00")
    good = pit.submit("ann", "buy 1 AAPL 190.00", time_in_force="gtc")
    await _while_ending(Sessions(pit.exchange, clock=clock), lambda: pit.now(day).status != "new")
    expired = pit.now(day)
    assert (expired.status, expired.expired_at) == ("expired", day.created_at + MIDNIGHT)
    assert pit.now(good).status == "new"


async def test_an_order_of_the_new_day_outlives_a_look_at_the_clock() -> None:
    pit, clock = Pit(), FakeClock()
    today = pit.submit("ann", "buy 1 AAPL 190.00")
    await _while_ending(Sessions(pit.exchange, clock=clock), lambda: clock.waits > 2)
    assert pit.now(today).status == "new"


def test_what_is_left_of_earlier_days_expires_at_once() -> None:
    pit, clock = Pit(), FakeClock()
    left = pit.submit("ann", "buy 1 AAPL 190.00")
    clock.passed_ns = round(MIDNIGHT.total_seconds()) * 1_000_000_000
    Sessions(pit.exchange, clock=clock).end_past()
    assert pit.now(left).status == "expired"


class Hindered:
    """A floor whose log cannot be written the first time."""

    def __init__(self) -> None:
        self.asked = 0

    def end_session(self, symbol: str | None, now: datetime, *, before: datetime | None = None) -> int:
        self.asked += 1
        if self.asked == 1:
            raise OSError("no space left")
        return 0


async def test_a_session_that_could_not_be_ended_is_ended_at_the_next_look() -> None:
    floor, clock = Hindered(), FakeClock()
    await _while_ending(Sessions(floor, clock=clock), lambda: floor.asked > 1)
    assert clock.passed_ns == round(sessions.LOOK_S) * 1_000_000_000
