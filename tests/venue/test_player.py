"""Playing a tape: in time, faster, step by step, again from its beginning, and never for too long at once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ordergate.venue.exchange import Exchange
from ordergate.venue.tape.player import TURN_PACKETS_MAX, Player, WallClock
from ordergate.venue.tape.records import Packet
from ordergate.venue.tape.synthetic import SyntheticTape
from ordergate.venue.words import Listing, Ticket, VenueOrder
from tests.venue.listings import AAPL, ES, NOON, recorded_day

S = 1_000_000_000


class FakeClock:
    """Time passes only by waiting, and then at once."""

    def __init__(self) -> None:
        self.passed_ns = 0
        self.waits = 0

    def now(self) -> datetime:
        return NOON + timedelta(microseconds=self.passed_ns / 1_000)

    def monotonic_ns(self) -> int:
        return self.passed_ns

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        self.waits += 1
        await asyncio.sleep(0)
        if not event.is_set():
            self.passed_ns += round(timeout_s * S)


class Stage:
    """Remembers what was played and when."""

    def __init__(self, clock: FakeClock) -> None:
        self.played: list[tuple[int, int]] = []  # tape's time and ours
        self.cleared = 0
        self._clock = clock

    def play(self, symbol: str, packet: Packet, now: datetime) -> None:
        self.played.append((packet.at_ns, self._clock.passed_ns))

    def clear_tape(self, symbol: str, now: datetime) -> None:
        self.cleared += 1


class Tape:
    def __init__(self, times: Sequence[int], opens_at_ns: int | None = None) -> None:
        self.times = times
        self.opens_at_ns = opens_at_ns
        self.listing: Listing = AAPL

    def packets(self) -> Iterator[Packet]:
        return (Packet(at, ()) for at in self.times)


async def until(holds: Callable[[], bool]) -> None:
    """Let the others run until this holds."""
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stage(clock: FakeClock) -> Stage:
    return Stage(clock)


async def test_packets_come_when_they_are_due(stage: Stage, clock: FakeClock) -> None:
    await Player(stage, Tape([10 * S, 11 * S, 14 * S]), clock=clock, loop=False).run()
    assert stage.played == [(10 * S, 0), (11 * S, 1 * S), (14 * S, 4 * S)]


async def test_at_ten_times_the_speed_it_takes_a_tenth_of_the_time(stage: Stage, clock: FakeClock) -> None:
    await Player(stage, Tape([0, 10 * S, 30 * S]), clock=clock, speed=10, loop=False).run()
    assert [ours for _, ours in stage.played] == [0, 1 * S, 3 * S]


async def test_as_fast_as_possible_takes_no_time_and_still_lets_others_run(
    stage: Stage, clock: FakeClock
) -> None:
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(somebody_else())
    times = [at * S for at in range(10 * TURN_PACKETS_MAX)]
    await Player(stage, Tape(times), clock=clock, speed=0, loop=False).run()
    task.cancel()
    assert clock.passed_ns == 0
    assert len(stage.played) == len(times)
    assert turns >= 9


async def test_everything_before_the_open_happens_at_once(stage: Stage, clock: FakeClock) -> None:
    await Player(stage, Tape([0, 50 * S, 60 * S, 61 * S], 60 * S), clock=clock, loop=False).run()
    assert [ours for _, ours in stage.played] == [0, 0, 0, 1 * S]


async def test_playing_may_begin_before_or_after_the_open(stage: Stage, clock: FakeClock) -> None:
    await Player(stage, Tape([0, 50 * S, 60 * S], 60 * S), clock=clock, offset_s=-10.0, loop=False).run()
    assert [ours for _, ours in stage.played] == [0, 0, 10 * S]


async def test_at_the_end_the_tape_begins_again(stage: Stage, clock: FakeClock) -> None:
    player = Player(stage, Tape([0, 1 * S]), clock=clock)
    task = asyncio.create_task(player.run())
    await until(lambda: player.state().rounds >= 3)
    task.cancel()
    assert stage.cleared == 3
    assert stage.played[:5] == [(0, 0), (S, S), (0, S), (S, 2 * S), (0, 2 * S)]


async def test_a_paused_tape_moves_only_by_steps(stage: Stage, clock: FakeClock) -> None:
    player = Player(stage, Tape([0, 1 * S, 2 * S, 3 * S]), clock=clock, loop=False, paused=True)
    task = asyncio.create_task(player.run())
    await until(lambda: clock.waits >= 5)
    assert [at for at, _ in stage.played] == [0]
    assert player.step(2) == 2
    assert player.state().at_ns == 2 * S
    player.resume()
    async with asyncio.timeout(10):
        await task
    assert [at for at, _ in stage.played] == [0, 1 * S, 2 * S, 3 * S]
    assert player.state().ended


def test_stepping_needs_no_event_loop_and_stops_at_the_end(stage: Stage, clock: FakeClock) -> None:
    player = Player(stage, Tape([0, 1 * S]), clock=clock)
    assert player.step(5) == 1
    assert [at for at, _ in stage.played] == [0, 1 * S]


def test_speeds_and_steps_have_bounds(stage: Stage, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="speed"):
        Player(stage, Tape([0]), clock=clock, speed=-1)
    player = Player(stage, Tape([0]), clock=clock)
    for speed in (float("nan"), float("inf"), -0.1):
        with pytest.raises(ValueError, match="speed"):
            player.set_speed(speed)
    with pytest.raises(ValueError, match="steps"):
        player.step(-1)


async def test_an_empty_tape_ends_and_does_not_spin(stage: Stage, clock: FakeClock) -> None:
    async with asyncio.timeout(10):
        await Player(stage, Tape([]), clock=clock).run()
    assert stage.played == []


async def test_the_wall_clock_returns_early_when_the_event_is_set() -> None:
    event = asyncio.Event()
    event.set()
    async with asyncio.timeout(10):
        await WallClock().wait(event, 3_600)
    event.clear()
    await WallClock().wait(event, 0.001)


async def test_our_order_stays_in_the_book_when_the_tape_begins_again(clock: FakeClock) -> None:
    exchange = Exchange([AAPL])
    exchange.open_account("ann", Decimal(1_000_000), NOON)
    tape = SyntheticTape(AAPL, seed=5, price=Decimal(190), packets_max=50)
    player = Player(exchange, tape, clock=clock, speed=0)
    player.begin()
    far = Ticket(
        client_order_id="1", symbol="AAPL", side="buy", type="limit", qty=Decimal(5), limit_price=Decimal(100)
    )
    order = exchange.submit("ann", far, NOON)
    assert isinstance(order, VenueOrder)
    task = asyncio.create_task(player.run())
    await until(lambda: player.state().rounds >= 2)
    task.cancel()
    assert exchange.order("ann", order.id) == order


async def test_the_recorded_day_is_played_to_its_end_with_our_orders_in_it(
    shared_dir: Path, clock: FakeClock
) -> None:
    exchange = Exchange([ES])
    exchange.open_account("ann", Decimal(10_000_000), NOON)
    player = Player(exchange, recorded_day(shared_dir), clock=clock, speed=60, loop=False)
    player.begin()
    quote = exchange.quote("ESH4")
    assert quote is not None
    assert quote.ask is not None
    ask = Ticket(
        client_order_id="1", symbol="ESH4", side="sell", type="limit", qty=Decimal(40), limit_price=quote.ask
    )
    order = exchange.submit("ann", ask, NOON)
    assert isinstance(order, VenueOrder)
    assert order.status == "new"
    async with asyncio.timeout(60):
        await player.run()
    done = exchange.order("ann", order.id)
    assert done is not None
    assert done.status == "filled"
    assert len(exchange.executions("ann")) > 1
    assert {execution.price for execution in exchange.executions("ann")} == {quote.ask}
    assert 59 <= clock.passed_ns / S <= 61  # an hour of trading
