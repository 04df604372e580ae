"""A database server in memory: one fence, statements that take time, and answers that get lost.

A statement that has arrived is decided by the server whether or not anybody still listens, and a
session's end waits for its last statement: that is what makes looking up a lost commit exact. What is
answered or can be seen a synchronous standby has as well: a failover loses nothing else (D3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from ordergate.core.faults import AppendConflict, Fault, JournalUnavailable, KeyTaken
from ordergate.core.ids import AccountId
from ordergate.journal.memory_store import Store
from ordergate.journal.session import Backend, FenceHeld
from ordergate.journal.tails import Linked
from ordergate.ports.journal import Taken
from ordergate.simulation.failover import Failover
from ordergate.simulation.ground import Ground
from ordergate.simulation.notary import Notary
from ordergate.simulation.plan import Strike

T = TypeVar("T")

FENCE_WAIT_S: Final = 5.0
_POLL_S: Final = 0.05
_LINE_DEAD_S: Final = 11.0


class Process(Protocol):
    """A gateway, as far as a server sees it."""

    name: str
    alive: bool

    @property
    def recovering(self) -> bool: ...

    @property
    def answers(self) -> bool: ...

    def die(self, fault: str, what: str) -> None:
        """End at once, as the fault wants it."""
        ...


class Held(Protocol):
    """A session that holds the fence."""

    backend: Backend
    process: Process

    def end_backend(self) -> None: ...

    def lose_server(self) -> None:
        """Its server is gone: what was under way there is decided by nobody."""
        ...


class Server:
    """The database. What it has written it keeps."""

    def __init__(self, ground: Ground) -> None:
        self.store = Store()
        self.notary = Notary(ground.plan.seed, self.store)
        self.holder: Held | None = None
        self.owners: dict[AccountId, str] = {}
        self.taken_s: dict[AccountId, float] = {}
        self.on_commit: Callable[[Linked], None] = lambda linked: None
        self.at_the_door: dict[str, Callable[[], None]] = {}
        self.loop = ground.loop
        self.weather = ground.weather
        self.failover = Failover(ground.weather)
        self._ground = ground
        self._chance = ground.chance("database")
        self._clients = ground.chance("clients at the database")
        self._latency_s = ground.plan.setting.commit_latency_s
        self._pids = 0

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """The server and the wire go on, whoever dies."""
        self._ground.later(seconds, call)

    def trip_s(self) -> float:
        """How long a message is on its way now."""
        return self._latency_s * self._chance.uniform(0.5, 1.5) + self._ground.clog_s("database")

    @property
    def unreachable(self) -> bool:
        spell = self.weather.spell("N1")
        return spell is not None and spell.dose < 0.35

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def fail_over(self, strike: Strike) -> None:
        """Every connection ends, and nobody is served until the new primary is."""
        self.failover.begin(strike)
        if self.holder is not None:
            self.holder.lose_server()
        self.holder = None
        self._pids = 0  # it gives out the same process ids again

    def take(self, account: AccountId, process: Process) -> tuple[Taken, bytes]:
        """The account is the process's from now on."""
        if self.owners.get(account) != process.name:
            self.taken_s[account] = self.loop.time()
        self.owners[account] = process.name
        return self.store.take(account)

    def write(self, batch: Sequence[Linked]) -> Fault | None:
        """All units or none. What only this last guard keeps out should never have come so far."""
        fault = self.store.write(batch)
        if isinstance(fault, KeyTaken):
            self._ground.witness.say("I4", f"what a key buys was decided twice: {fault}")
        if isinstance(fault, AppendConflict):
            self._ground.witness.say("I16", f"an owner wrote out of its turn: {fault}")
        if fault is None:
            for linked in batch:
                self.on_commit(linked)
        return fault

    async def fence(self, previous: Backend | None) -> None:
        """Connect and wait until nobody holds the fence, as `journal.session.open_session` does.

        `previous` is the session before, which is ended. Raises FenceHeld or JournalUnavailable.
        """
        deadline, term = self.loop.time() + FENCE_WAIT_S, self.failover.term
        while True:
            await asyncio.sleep(2 * self.trip_s())
            if self.unreachable:
                self.weather.seen("N1", "the database cannot be reached")
            if self.unreachable or self.failover.is_under_way:
                await asyncio.sleep(1.0)
                raise JournalUnavailable("PostgreSQL cannot be reached")
            self._still_served(term)
            holder = self.holder
            if holder is None:
                return
            if previous is not None and holder.backend == previous:
                holder.end_backend()
            elif self.loop.time() > deadline:
                raise FenceHeld(f"another gateway writes this journal ({holder.backend.pid})")
            await asyncio.sleep(_POLL_S)

    def lost_process(self, process: Process, *, host_gone: bool = False) -> None:
        """The process died: the server notices at once, or when the line has been dead for long."""
        holder = self.holder
        if holder is None or holder.process is not process:
            return
        if host_gone:
            self.later(_LINE_DEAD_S, lambda: self._give_up(holder))
        else:
            self.later(self.trip_s(), holder.end_backend)

    def _give_up(self, holder: Held) -> None:
        """A host that is back by now has answered what was asked of its line."""
        if not holder.process.answers:
            holder.end_backend()

    def clients_trip_s(self) -> float:
        """The same for what clients read: their throws move nobody else's."""
        return self._latency_s * self._clients.uniform(0.5, 1.5) + self._ground.clog_s("database")

    async def read(self, read: Callable[[], T], trip_s: Callable[[], float] | None = None) -> T:
        """A question on one of the reading connections, answered as things are when it arrives."""
        trip_s = trip_s or self.trip_s
        term = self.failover.term
        await asyncio.sleep(trip_s())
        if self.unreachable:
            self.weather.seen("N1", "a question to the database was lost")
        if self.unreachable or self.failover.is_under_way:
            await asyncio.sleep(2.0)
            raise JournalUnavailable("PostgreSQL was lost")
        slow = self.weather.spell("D5")
        if slow is not None:
            self.weather.seen("D5", "a question")
            await asyncio.sleep(min(0.5 + slow.dose, slow.lasts))
        self._still_served(term)
        found = read()
        await asyncio.sleep(trip_s())
        self._still_served(term)
        return found

    def _still_served(self, term: int) -> None:
        """A connection ends with the primary that it was to. Raises JournalUnavailable."""
        if self.failover.term != term:
            raise JournalUnavailable("PostgreSQL was lost: another server is the primary now")
