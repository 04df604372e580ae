"""Sessions of real exchanges: by the wall clock in every season, on short days, not beyond what was read."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from ordergate.core.ids import Symbol
from ordergate.core.risk.view import MarketHours
from ordergate.wiring.market_hours import ALWAYS_OPEN, NoCalendar, Sessions, WhenNeeded, of, read
from tests.core.examples import share
from tests.e2e.pacing import PACE
from tests.engine.stage import INSTRUMENT, HandClock


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.fixture(scope="module")
def new_york() -> Sessions:
    return Sessions(read("XNYS", at("2026-02-01T00:00:00Z")))


@pytest.mark.parametrize(
    ("moment", "is_open", "until"),
    [
        ("2026-03-06T09:29:59-05:00", False, "2026-03-06T09:30:00-05:00"),
        ("2026-03-06T09:30:00-05:00", True, "2026-03-06T16:00:00-05:00"),
        ("2026-03-06T16:00:00-05:00", False, "2026-03-09T09:30:00-04:00"),  # the clocks change in between
        ("2026-03-09T09:29:59-04:00", False, "2026-03-09T09:30:00-04:00"),
        ("2026-03-09T09:30:00-04:00", True, "2026-03-09T16:00:00-04:00"),
        ("2026-07-03T12:00:00-04:00", False, "2026-07-06T09:30:00-04:00"),  # the fourth is a Saturday
        ("2026-11-02T09:30:00-05:00", True, "2026-11-02T16:00:00-05:00"),
        ("2026-11-26T12:00:00-05:00", False, "2026-11-27T09:30:00-05:00"),
        ("2026-11-27T12:59:59-05:00", True, "2026-11-27T13:00:00-05:00"),  # a short day
        ("2026-11-27T13:00:00-05:00", False, "2026-11-30T09:30:00-05:00"),
    ],
)
def test_a_session_is_by_the_wall_clock_of_its_exchange(
    new_york: Sessions, moment: str, is_open: bool, until: str
) -> None:
    assert new_york.at(at(moment)) == MarketHours(is_open=is_open, until=at(until))


@pytest.mark.parametrize("moment", ["2025-12-31T12:00:00Z", "2030-01-01T12:00:00Z"])
def test_what_was_not_read_is_not_known(new_york: Sessions, moment: str) -> None:
    assert new_york.at(at(moment)) is None


def test_a_pause_at_noon_is_no_session() -> None:
    hong_kong = Sessions(read("XHKG", at("2026-03-01T00:00:00Z")))
    noon = hong_kong.at(at("2026-03-03T12:30:00+08:00"))
    assert noon == MarketHours(is_open=False, until=at("2026-03-03T13:00:00+08:00"))


def test_each_instrument_has_the_hours_of_its_calendar() -> None:
    coin = msgspec.structs.replace(share(), symbol=Symbol("BTC"), calendar="24/7")
    hours = of({INSTRUMENT.symbol: INSTRUMENT, coin.symbol: coin}, at("2026-01-05T00:00:00Z"))
    saturday = at("2026-01-10T12:00:00Z")
    assert hours(coin.symbol, saturday) == ALWAYS_OPEN
    closed = hours(INSTRUMENT.symbol, saturday)
    assert closed is not None
    assert not closed.is_open
    assert hours(Symbol("GONE"), saturday) is None


def test_a_calendar_that_nobody_knows_is_a_sentence() -> None:
    odd = msgspec.structs.replace(share(), calendar="XMARS")
    with pytest.raises(NoCalendar, match="no trading calendar 'XMARS'"):
        of({odd.symbol: odd}, at("2026-01-05T00:00:00Z"))


async def test_the_calendars_are_read_once_a_rule_asks_for_them() -> None:
    apple = msgspec.structs.replace(share(), symbol=Symbol("AAPL"), calendar="XNYS")
    clock = HandClock()
    hours = WhenNeeded({apple.symbol: apple}, clock)
    assert hours(apple.symbol, clock.now()) is None
    async with asyncio.timeout(60):
        while hours(apple.symbol, clock.now()) is None:
            await PACE.sleep(0.01)
    known = of({apple.symbol: apple}, clock.now())
    assert hours(apple.symbol, clock.now()) == known(apple.symbol, clock.now())


async def test_a_calendar_that_nobody_knows_leaves_the_hours_unknown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    strange = msgspec.structs.replace(share(), calendar="NOWHERE")
    clock = HandClock()
    hours = WhenNeeded({strange.symbol: strange}, clock)
    assert hours(strange.symbol, clock.now()) is None
    told = ""
    async with asyncio.timeout(60):
        while "hours.unknown" not in told:
            await PACE.sleep(0.01)
            told += capsys.readouterr().err
    assert hours(strange.symbol, clock.now()) is None
