"""D3: a primary goes with a statement under way. What it alone had is lost, what was answered is not."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Final, TypeVar

import msgspec
import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.journal.session import Backend
from ordergate.ports.journal import Taken
from ordergate.simulation.database import Server
from ordergate.simulation.ground import Ground
from ordergate.simulation.journal import SimJournal
from ordergate.simulation.plan import Plan, Strike, draw
from ordergate.simulation.town import run
from tests.journal.making import ALICE, opened, taken

T = TypeVar("T")

GOES_S: Final = 1.0
AWAY_S: Final = 3.0
LOST, REPLICATED = 0.1, 0.9


class Process:
    """A gateway that lives for ever."""

    name = "gateway"
    alive = True
    recovering = False
    answers = True

    def die(self, fault: str, what: str) -> None:
        raise AssertionError(f"{fault}: {what}")


class World:
    """A server whose primary goes once, and one process that writes to it."""

    def __init__(self, dose: float) -> None:
        strike = Strike(number=1, fault="D3", at=GOES_S, lasts=AWAY_S, dose=dose, account=0)
        calm = draw(1, ())
        self.ground = Ground(Plan(seed=1, setting=calm.setting, strikes=(strike,)), keep_trace=True)
        self.ground.weather.begin()
        self.server = Server(self.ground)
        self.journal = SimJournal(self.server, Process(), queued_units_max=16)
        self.committed: list[tuple[float, int]] = []
        self.server.on_commit = lambda linked: self.committed.append((self.time, linked.head))

    @property
    def time(self) -> float:
        return self.ground.loop.time()

    @property
    def backend(self) -> Backend | None:
        """The one that has the fence."""
        return None if self.server.holder is None else self.server.holder.backend

    @property
    def rows(self) -> list[int]:
        return [sealed.seq for _, sealed in self.server.store.books[ALICE].events]

    def start(self, work: Callable[[], Coroutine[None, None, T]]) -> asyncio.Task[T]:
        return self.ground.loop.create_task(work(), context=self.ground.world)

    def pass_until(self, when: float) -> None:
        self.ground.loop.run_until(when)

    async def wait_until(self, when: float) -> None:
        """For virtual time to pass."""
        over: asyncio.Future[None] = self.ground.loop.create_future()
        self.ground.loop.call_at(max(when, self.time), over.set_result, None)
        await over

    async def write(self) -> float:
        """Open an account, and add one event when the primary is about to go; when that was answered."""
        await self.journal.start()
        owner = await taken(self.journal, ALICE)
        await self.journal.append(owner.unit(opened(ALICE)))
        await self.wait_until(GOES_S + 0.1)
        await self.journal.append(owner.unit(opened(ALICE)))
        return self.time


@pytest.fixture
def primary_lost() -> Iterator[World]:
    """The standby does not have what was under way."""
    world = World(LOST)
    yield world
    world.ground.loop.bury()


@pytest.fixture
def primary_replicated() -> Iterator[World]:
    """The standby has it, and nobody was told so."""
    world = World(REPLICATED)
    yield world
    world.ground.loop.bury()


def test_what_the_primary_alone_had_is_lost_and_is_written_again_once(primary_lost: World) -> None:
    world = primary_lost
    written = world.start(world.write)
    world.pass_until(GOES_S + AWAY_S - 0.1)
    assert world.ground.weather.hits == {"D3": 1}
    assert world.rows == [1]
    assert not written.done()
    world.pass_until(20.0)
    assert world.rows == [1, 2]
    assert written.result() > GOES_S + AWAY_S  # by the new primary, and not before


def test_what_the_standby_had_is_found_and_not_written_twice(primary_replicated: World) -> None:
    world = primary_replicated
    written = world.start(world.write)
    world.pass_until(GOES_S + AWAY_S - 0.1)
    assert world.rows == [1, 2]
    assert not written.done()
    world.pass_until(20.0)
    assert world.rows == [1, 2]
    assert [head for _, head in world.committed] == [1, 2]
    assert written.done()


def test_an_epoch_that_was_raised_on_the_lost_primary_alone_is_raised_again(primary_lost: World) -> None:
    world = primary_lost

    async def take() -> Taken:
        await world.journal.start()
        await world.wait_until(GOES_S + 0.1)
        return await world.journal.take(ALICE)

    took = world.start(take)
    world.pass_until(GOES_S + AWAY_S - 0.1)
    assert ALICE not in world.server.store.books
    world.pass_until(20.0)
    assert took.result().epoch == world.server.store.books[ALICE].epoch == 1


def test_a_new_primary_knows_no_session_of_the_old_one_and_reuses_its_ids(primary_lost: World) -> None:
    world = primary_lost
    world.start(world.write)
    fences: list[Backend | None] = []
    for when in (GOES_S, GOES_S + AWAY_S - 0.1, 20.0):
        world.pass_until(when)
        fences.append(world.backend)
    before, between, after = fences
    assert before is not None
    assert between is None
    assert after is not None
    assert (before.pid == after.pid, before == after) == (True, False)


def test_a_statement_that_is_longer_under_way_than_the_spell_lasts_keeps_nobody_away(
    primary_lost: World,
) -> None:
    world = primary_lost
    written = world.start(world.write)
    world.pass_until(GOES_S)
    world.ground.clogged_until["database"] = GOES_S + AWAY_S + 1.0
    world.pass_until(30.0)
    assert world.ground.weather.hits == {"D3": 1}
    assert not world.server.failover.is_under_way
    assert written.done()


@pytest.mark.parametrize("asked_s", [GOES_S + 0.5, GOES_S + 0.1])
def test_nobody_reads_while_there_is_no_primary(primary_lost: World, asked_s: float) -> None:
    world = primary_lost
    world.start(world.write)
    world.pass_until(asked_s)

    async def read() -> object:
        return await world.server.read(lambda: world.rows)

    asked = world.start(read)
    world.pass_until(GOES_S + AWAY_S - 0.1)
    assert isinstance(asked.exception(), JournalUnavailable)


def test_a_world_of_failovers_keeps_every_promise() -> None:
    """Alone, and more of them than any plan has."""
    calm = draw(5, ())
    strikes = tuple(
        Strike(number=n, fault="D3", at=2.0 + 4.0 * n, lasts=1.0 + n % 3, dose=n % 10 / 10, account=0)
        for n in range(1, 12)
    )
    result = run(msgspec.structs.replace(calm, strikes=strikes))
    assert result.violations == ()
    assert result.hits["D3"] >= 4
