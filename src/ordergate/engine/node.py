"""One node of the gateway: every part of the engine, started in the order that recovery needs.

Nothing concrete is named here; adapters are handed in by wiring.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ordergate.core.accounts.events import AnyAccountEvent, SymbolRenamed
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import JournalCorrupt, Unfoldable
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.instruments import Instrument, by_any_name, names_of
from ordergate.core.orders.events import AnyOrderEvent, OrderAcknowledged
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.view import Freshness
from ordergate.engine.account_sync import AccountSync
from ordergate.engine.alarms import Alarms
from ordergate.engine.breaks_desk import BreakDesk
from ordergate.engine.contingent import Contingent
from ordergate.engine.dispatcher import Dispatcher, Pace
from ordergate.engine.gate import Gate
from ordergate.engine.group_gate import GroupGate
from ordergate.engine.health import show
from ordergate.engine.ingest import Ingest
from ordergate.engine.judging import Judging
from ordergate.engine.kill_guard import KillGuard
from ordergate.engine.kill_switch import KillSwitch
from ordergate.engine.lane import Lane
from ordergate.engine.lanes import Lanes, Seat
from ordergate.engine.once import KEPT, Once
from ordergate.engine.prices import PriceBoard
from ordergate.engine.quarantine import Quarantine
from ordergate.engine.reconciler import Reconciler
from ordergate.engine.renamed import Renamed
from ordergate.engine.resolving import Resolving
from ordergate.engine.rhythm import Rhythm
from ordergate.engine.stops import Stops
from ordergate.engine.supervisor import Supervisor
from ordergate.engine.trips import TripPolicy
from ordergate.engine.unknowns import Unknowns
from ordergate.ports.audience import Audience
from ordergate.ports.broker import Broker
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.clock_offset import ClockOffset
from ordergate.ports.journal import Journal
from ordergate.ports.kill_flags import KillFlags
from ordergate.ports.market_data import MarketData
from ordergate.ports.nodes import Node as SeenNode
from ordergate.ports.nodes import Nodes
from ordergate.ports.views import Views
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("node")

A_DAY_S: Final = 86_400.0


class Served(msgspec.Struct, frozen=True):
    """One account that this node serves. `expected` is what the broker calls it, where that is known.

    `login` is what the settings call the broker, `tenant` whose account it is.
    """

    account: AccountId
    broker: Broker
    limits: Limits | None
    expected: str | None = None
    login: str = ""
    tenant: str = "default"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything outside the engine, as the ports promise it."""

    env: Env
    clock: Clock
    chance: Chance
    journal: Journal
    views: Views
    audience: Audience
    metrics: Metrics
    instruments: Mapping[Symbol, Instrument]
    prices: Sequence[MarketData] = ()
    kill_flags: Sequence[KillFlags] = ()
    offset: ClockOffset | None = None
    nodes: Nodes | None = None
    ourselves: SeenNode | None = None


class Node:
    def __init__(
        self,
        world: World,
        served: Sequence[Served],
        *,
        rhythm: Rhythm,
        pace: Pace,
        two_persons: bool = True,
        trips: TripPolicy | None = None,
    ) -> None:
        """`two_persons`: whoever engages the kill switch does not release it. Without `trips` none happen."""
        self._world = world
        self.lanes = Lanes()
        self.prices = PriceBoard(world.audience)
        self.kill_switch = KillSwitch(world.env, world.journal, world.audience, world.metrics, world.clock)
        guard = KillGuard(world.env, self.kill_switch)
        self._supervisor = Supervisor(world.clock)
        self._started_at = world.clock.now()
        self._dispatcher = Dispatcher(
            self.lanes,
            kill_guard=guard,
            clock=world.clock,
            metrics=world.metrics,
            pace=pace,
        )
        alarms, quarantine = Alarms(world.clock, world.metrics), Quarantine(world.clock)
        self._unknowns = Unknowns(self.lanes, alarms, world.clock, world.metrics)
        self._ingest = Ingest(
            world.env,
            clock=world.clock,
            metrics=world.metrics,
            lists=world.instruments.__contains__,
            suspect=_suspect,
            alarms=alarms,
            quarantine=quarantine,
        )
        self._reconciler = Reconciler(
            ingest=self._ingest,
            sync=AccountSync(world.clock, world.instruments),
            dispatcher=self._dispatcher,
            quarantine=quarantine,
            clock=world.clock,
            rhythm=rhythm,
        )
        for one in served:
            self.lanes.add(self._seat(one))
        judging = Judging(
            world.env,
            prices=self.prices,
            kill_guard=guard,
            instruments=world.instruments,
            clock=world.clock,
            chance=world.chance,
        )
        self._contingent = Contingent(
            self.lanes,
            judging=judging,
            prices=self.prices,
            kill_guard=guard,
            dispatcher=self._dispatcher,
            alarms=alarms,
            clock=world.clock,
        )
        once = Once(world.journal, world.views, world.clock, world.metrics)
        self.groups = GroupGate(
            world.env,
            lanes=self.lanes,
            judging=judging,
            contingent=self._contingent,
            once=once,
            journal=world.journal,
            instruments=world.instruments,
            clock=world.clock,
            chance=world.chance,
        )
        self._stops = Stops(
            world.env,
            self.kill_switch,
            lanes=self.lanes,
            prices=self.prices,
            flattens=self.groups,
            instruments=world.instruments,
            clock=world.clock,
            metrics=world.metrics,
            two_persons=two_persons,
            policy=trips or TripPolicy(),
            flags=world.kill_flags,
            offset=world.offset,
            nodes=world.nodes,
            ourselves=world.ourselves,
        )
        self.kill_desk, self.dead_man, self.trips = (
            self._stops.desk,
            self._stops.dead_man,
            self._stops.trips,
        )
        self.breaks = BreakDesk(world.env, lanes=self.lanes, once=once, views=world.views, clock=world.clock)
        self.gate = Gate(
            world.env,
            lanes=self.lanes,
            judging=judging,
            once=once,
            kill_switch=self.kill_switch,
            resolving=Resolving(once=once, ingest=self._ingest, quarantine=quarantine),
            dispatcher=self._dispatcher,
            instruments=world.instruments,
            clock=world.clock,
            kill_desk=self.kill_desk,
            down=self._supervisor.down,
        )

    def start(self) -> None:
        """Start every part. Readiness tells when the accounts are back."""
        self._stops.start(self._supervisor)
        for number, source in enumerate(self._world.prices):
            self._supervisor.keep(f"prices-{number}", lambda source=source: self.prices.follow(source))  # type: ignore[misc]  # bound now
        for seat in self.lanes:
            self._start_account(seat)
        self._supervisor.keep("unknowns", self._unknowns.watch)
        self._supervisor.keep("groups", self._contingent.keep)
        self._supervisor.keep("gauges", self._keep_gauges)
        self._supervisor.keep("receipts", self._keep_receipts)

    async def stop(self) -> None:
        """Stop asking and listening; what is durable is carried on at the next start."""
        self._contingent.stop()
        self._stops.stop()
        await self._dispatcher.drain(timeout_s=5.0)
        await self._supervisor.stop()

    async def kill(self) -> None:
        """Stop in the middle of everything, as a crash would; for tests and drills."""
        self._contingent.stop()
        self._stops.stop()
        self._dispatcher.abandon()
        await self._supervisor.stop()

    def _start_account(self, seat: Seat) -> None:
        account = seat.lane.account
        self._supervisor.keep(f"lane {account}", lambda: self._keep_lane(seat))
        self._supervisor.keep(f"news {account}", lambda: self._keep_listening(seat))
        self._supervisor.keep(f"reconciler {account}", lambda: self._reconciler.follow(seat))

    async def _keep_lane(self, seat: Seat) -> None:
        """Fold the account, and again each time its memory was given up."""
        while True:
            try:
                await seat.lane.recover()
            except (Unfoldable, JournalCorrupt) as fault:
                seat.lane.halt(fault)
                await asyncio.Event().wait()
            self._remember_recent(seat)
            self._carry_on_names(seat)
            seat.suspect("the account was folded anew")
            self.kill_desk.look()
            self._contingent.carry_on(seat)
            await seat.lane.stopped.wait()
            if seat.lane.halted:
                await asyncio.Event().wait()
            if seat.lane.fenced:
                # Taking it back would make two owners steal it from each other for ever.
                log.error("account.fenced", account=seat.lane.account)
                await asyncio.Event().wait()

    async def _keep_listening(self, seat: Seat) -> None:
        """Follow the broker's stream, and connect it anew when it turns out to be deaf."""
        seat.deaf.clear()
        listening = asyncio.ensure_future(self._ingest.follow(seat))
        deaf = asyncio.ensure_future(seat.deaf.wait())
        try:
            await asyncio.wait((listening, deaf), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
        finally:
            for task in (listening, deaf):
                task.cancel()
            await asyncio.gather(listening, deaf, return_exceptions=True)

    def _follow(self, lane: Lane, event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent) -> None:
        """What every commit starts: the next word to the broker, and what its stream owes us."""
        self._dispatcher.follow(lane, event)
        self._contingent.follow(lane, event)
        seat = self.lanes.get(lane.account)
        if seat is not None:
            self._stops.follow(seat, event)
            if type(event) is OrderAcknowledged:
                now = self._world.clock.monotonic()
                seat.watch.acknowledged(event.broker_order_id, event.order_id, now)

    def _carry_on_names(self, seat: Seat) -> None:
        """A position under an old name is shown under its present one from now on."""
        account = seat.lane.books.account
        if account is None:
            return
        events = [
            SymbolRenamed(account=account.id, at=self._world.clock.now(), was=was, symbol=symbol)
            for was, symbol in seat.lane.books.old_names.items()
            if was not in account.renamed
        ]
        if events:
            seat.lane.record(events, correlation="renamed")

    def _remember_recent(self, seat: Seat) -> None:
        """What risk calls recent is what is durable: a decision that was lost never happened."""
        seat.recent = RecentOrders()
        if seat.limits is None:
            return
        window = seat.limits.duplicate_window
        since = self._world.clock.now() - window
        for order in seat.lane.books.orders_accepted_since(since):
            seat.recent.remember(order.terms, order.accepted_at, window)

    async def _keep_gauges(self) -> None:
        while True:
            now = self._world.clock.monotonic()
            silence = max((now - seat.heard_at for seat in self.lanes), default=0.0)
            self._world.metrics.broker_stream_silence.set(silence)
            self._stops.show()
            show(self._world.metrics, self.lanes, now=self._world.clock.now(), since=self._started_at)
            await self._world.clock.sleep(1.0)

    async def _keep_receipts(self) -> None:
        """Once a day, drop the answers that no replay is given any more."""
        while True:
            await self._world.clock.sleep(A_DAY_S)
            dropped = await self._world.journal.forget_answers(self._world.clock.now() - KEPT)
            log.info("receipts.dropped", answers=dropped)

    def _seat(self, one: Served) -> Seat:
        lane = Lane(
            one.account,
            journal=self._world.journal,
            instruments=by_any_name(self._world.instruments),
            audience=self._world.audience,
            follow=self._follow,
            clock=self._world.clock,
            metrics=self._world.metrics,
        )
        stale = Freshness(self._world.clock.now(), "not reconciled since the start")
        names = names_of(self._world.instruments.values())
        broker = Renamed(one.broker, names) if names else one.broker
        return Seat(lane, broker, one.limits, stale, one.expected, login=one.login, tenant=one.tenant)


def _suspect(seat: Seat, why: str) -> None:
    log.info("reconciliation.asked", account=seat.lane.account, why=why)
    seat.suspect(why)
