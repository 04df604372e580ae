"""One gateway process: the real engine, the real journal writer and the real hub, in one context.

It can be ended between any two steps, frozen and woken. What it says to the world goes through lines
that belong to the world.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from ordergate.api.stream.hub import Hub
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.core.access import Principal
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env, Paper, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.risk.limits import Limits
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.node import Node
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.engine.wire.dispatcher import Pace
from ordergate.engine.world import Served, World
from ordergate.journal.session import FenceHeld
from ordergate.ports.market_data import Quote, Trade
from ordergate.ports.views import Views
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.clock import WallClock
from ordergate.simulation.database import Server
from ordergate.simulation.ground import Ground
from ordergate.simulation.journal import SimJournal
from ordergate.simulation.line import BrokerLine
from ordergate.simulation.listing import LOGIN, TENANT
from ordergate.simulation.market_days import hours_in
from ordergate.simulation.views import SimViews
from ordergate.telemetry.metrics import Metrics

T = TypeVar("T")

TRIPS: Final = TripPolicy(
    errors=5,
    errors_window_s=6.0,
    errors_pause_s=3.0,
    errors_pause_s_max=12.0,
    errors_probation_s=3.0,
    executions=15,
    executions_window_s=10.0,
    stale_prices_s=4.0,
    stale_stream_s=6.0,
)
"""When trading stops by itself, in a world where it does."""
_RETRY_S = 1.0
_QUEUED_UNITS_MAX = 512
_PAGE_EVENTS = 10  # a stream client of the simulation holds 48 messages


class Dice:
    """Implements ports.clock.Chance from a seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def bits(self, count: int) -> int:
        return self._chance.getrandbits(count)


class Telling:
    """The audience between engine and hub, where a death can come right after the telling.

    Holds the engine to `ports.audience`: whatever an account's events are told of is told once, in order.
    The hub would make up for it, by letting every client come back and read the journal.
    """

    def __init__(self, ground: Ground, gateway: Gateway, hub: Hub, accounts: Iterable[AccountId]) -> None:
        self._ground = ground
        self._gateway = gateway
        self._hub = hub
        self._told: dict[AccountId, int | None] = dict.fromkeys(accounts)

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        before = self._told.get(account)
        if before is not None and seq != before + 1:
            self._ground.witness.say("I13", f"{self._gateway.name} tells {account} {seq} after {before}")
        if account in self._told:
            self._told[account] = seq
        self._hub.tell(account, seq, kind, frame)
        if not self._gateway.recovering and self._ground.weather.strike("C11") is not None:
            self._ground.weather.seen("C11", f"{account} {seq}")
            self._gateway.die("C11", "right after clients were told")

    def tell_price(self, price: Quote | Trade) -> None:
        self._hub.tell_price(price)


class Gateway:
    """Implements simulation.database.Process."""

    def __init__(
        self,
        ground: Ground,
        number: int,
        server: Server,
        brokerages: Sequence[Brokerage],
        clock: WallClock,
        *,
        instruments: Mapping[Symbol, Instrument],
        limits: Limits,
        on_death: Callable[[Gateway], None],
        snapshots: SnapshotPace | None = None,
    ) -> None:
        self.name = f"gateway-{number}"
        self.alive = True
        self.node: Node | None = None
        self.hub: Hub | None = None
        self.views = SimViews(server)
        self._shown = SimViews(server, trip_s=server.clients_trip_s)
        self._ground = ground
        self._server = server
        self._brokerages = brokerages
        self._clock = clock
        self._instruments = instruments
        self._limits = limits
        self._on_death = on_death
        self._snapshots = snapshots
        self._context = ground.loop.process(self.name)
        self._running: set[asyncio.Task[None]] = set()
        self._journal = SimJournal(server, self, queued_units_max=_QUEUED_UNITS_MAX)
        self._checkpointer = server.notary.checkpointer(clock)

    @property
    def recovering(self) -> bool:
        return self.node is None or not self._journal.connected or bool(self.node.gate.readiness())

    @property
    def is_fenced(self) -> bool:
        """Whether it says that another has its accounts, or its place at the database."""
        if not self.answers or self.node is None:
            return False
        holder = self._server.holder
        displaced = not self._journal.connected and holder is not None and holder.process is not self
        return displaced or any(seat.lane.fenced for seat in self.node.lanes)

    @property
    def answers(self) -> bool:
        """Whether a client's heartbeat is answered."""
        return self.alive and not self._ground.loop.is_frozen(self.name)

    @property
    def serves(self) -> bool:
        """Whether clients can connect to it."""
        return self.alive and self.node is not None

    def start(self) -> None:
        self._ground.trace.note("process", f"{self.name} starts")
        self._main = self._ground.loop.create_task(self._run(), context=self._context)

    def die(self, fault: str, what: str) -> None:
        """Nothing of it runs again; what it had sent goes on."""
        if self.alive:
            self._ground.trace.note("process", f"{self.name} died of {fault}: {what}")
            self._end()
            self._on_death(self)

    def withdraw(self) -> None:
        """Stopped for good by whoever started it."""
        if self.alive:
            self._ground.trace.note("process", f"{self.name} is withdrawn")
            self._end()

    def _end(self) -> None:
        self.alive = False
        self._ground.loop.end(self.name)
        self._server.lost_process(self)
        for brokerage in self._brokerages:
            brokerage.detach(self.name)

    def freeze(self) -> None:
        self._ground.loop.freeze(self.name)

    def thaw(self) -> None:
        self._ground.loop.thaw(self.name)

    def call(self, ask: Callable[[Node], Awaitable[T]]) -> asyncio.Future[T]:
        """A client's request, served inside this process. Never answered when the process dies."""

        async def asked() -> T:
            assert self.node is not None
            return await ask(self.node)

        return self._serve(asked())

    def look(self, who: Principal, ask: Callable[[Views], Coroutine[None, None, T]]) -> asyncio.Future[T]:
        """The same of what it reads: the read tables, as the database shows them to it."""
        return self._serve(ask(self._shown.seen_by(who.tenant, who.accounts)))

    def _serve(self, request: Coroutine[None, None, T]) -> asyncio.Future[T]:
        answer: asyncio.Future[T] = self._ground.loop.create_future()

        def served(task: asyncio.Task[T]) -> None:
            if answer.done() or task.cancelled():
                return
            if (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        task = self._ground.loop.create_task(request, context=self._context)
        task.add_done_callback(served, context=self._context)
        return answer

    def take_price(self, quote: Quote) -> None:
        """The market's word reaches the process, and what comes of it dies with the process."""
        if self.node is not None:
            self._context.run(self.node.prices.take, quote)

    def run(self, what: Callable[[], Coroutine[None, None, None]]) -> None:
        """Something else that goes on inside this process."""
        task = self._ground.loop.create_task(what(), context=self._context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def sign(self) -> None:
        """Sign for everything that is written by now, without waiting until that is due."""
        await self._checkpointer.checkpoint(await self._server.notary.log.heads())

    async def _run(self) -> None:
        while True:
            try:
                await self._journal.start()
                break
            except FenceHeld:
                self._ground.weather.seen("S1", self.name)
                self._ground.trace.note("process", f"{self.name} did not get the fence")
                await asyncio.sleep(_RETRY_S)
            except JournalUnavailable:
                await asyncio.sleep(_RETRY_S)
        self.hub = Hub(self.views, page_events=_PAGE_EVENTS)
        world = World(
            env=Env.PAPER,
            clock=self._clock,
            chance=Dice(self._ground.chance(self.name)),
            journal=self._journal,
            views=self.views,
            audience=Telling(self._ground, self, self.hub, [one.account for one in self._brokerages]),
            metrics=Metrics(),
            instruments=self._instruments,
            hours=hours_in(self._ground.plan.setting),
            duties={"audit": self._checkpointer.run},
        )
        served = [
            Served(one.account, self._broker(one), self._limits, "paper:PAPER-1", login=LOGIN, tenant=TENANT)
            for one in self._brokerages
        ]
        trips = TRIPS if self._ground.plan.setting.watched else None
        self.node = Node(world, served, rhythm=Rhythm(), pace=Pace(), snapshots=self._snapshots, trips=trips)
        self.node.start()

    def _broker(self, brokerage: Brokerage) -> PaperBroker[Paper]:
        line = BrokerLine(brokerage, self, Env.PAPER)
        broker = PaperBroker(
            brokerage.exchange,
            env=Env.PAPER,
            clock=self._clock,
            dedup=brokerage.setting.dedup,
            resend_is_safe=brokerage.setting.resend_is_safe,
            visibility_lag_s=brokerage.setting.visibility_lag_s,
            carrier=line,
            hides=brokerage.hides,
        )
        broker.stream.route = line.route
        brokerage.attach(self.name, broker.stream)
        return broker
