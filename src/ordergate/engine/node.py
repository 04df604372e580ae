"""One node of the gateway: every part of the engine, started in the order that recovery needs.

Nothing concrete is named here; adapters are handed in by wiring.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from ordergate.core.accounts.events import AnyAccountEvent, SymbolRenamed
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import JournalCorrupt, StaleEpoch, Unfoldable
from ordergate.core.ids import E
from ordergate.core.instruments import by_any_name, names_of
from ordergate.core.orders.events import AnyOrderEvent, OrderAcknowledged
from ordergate.core.risk.valuation import Totals
from ordergate.core.risk.view import Freshness
from ordergate.engine.accounts.alarms import Alarms, StandingAlarms
from ordergate.engine.accounts.health import show
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.proving import Proving
from ordergate.engine.accounts.quarantine import Quarantine
from ordergate.engine.accounts.snapshots import SnapshotPace, Snapshots
from ordergate.engine.answering.once import KEPT, Once
from ordergate.engine.commands.breaks_desk import BreakDesk
from ordergate.engine.commands.contingent import Contingent
from ordergate.engine.commands.gate import Gate
from ordergate.engine.commands.group_gate import GroupGate
from ordergate.engine.commands.judging import Judging
from ordergate.engine.commands.key_guard import KeyGuard
from ordergate.engine.commands.resolving import Resolving
from ordergate.engine.commands.session_queue import SessionQueue
from ordergate.engine.duties import Duties
from ordergate.engine.limits.recalling import recall
from ordergate.engine.limits.room import desk_for
from ordergate.engine.reconciling.account_sync import AccountSync
from ordergate.engine.reconciling.reconciler import Reconciler
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.reconciling.unknowns import Unknowns
from ordergate.engine.stopping.kill_guard import KillGuard
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.engine.stopping.stops import Stops
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.engine.supervisor import Supervisor
from ordergate.engine.wire.broker_dead_man import BrokerDeadMan
from ordergate.engine.wire.dispatcher import Dispatcher, Pace
from ordergate.engine.wire.egress import Egress
from ordergate.engine.wire.ingest import Ingest
from ordergate.engine.wire.renamed import Renamed
from ordergate.engine.world import AnyServed, AnyWorld, Served, World, require_one_environment, subjects
from ordergate.engine.worth.prices import PriceBoard
from ordergate.engine.worth.valuing import Valuing
from ordergate.ports.broker import DedupClass
from ordergate.telemetry.log import logger

log = logger("node")

A_DAY_S: Final = 86_400.0
FIRM: Final = "firm"


class Node:
    def __init__(
        self,
        world: World[E],
        served: Sequence[Served[E]],
        *,
        rhythm: Rhythm,
        pace: Pace,
        snapshots: SnapshotPace | None = None,
        two_persons: bool = True,
        trips: TripPolicy | None = None,
    ) -> None:
        """`two_persons`: whoever engages the kill switch does not release it. Without `trips` none happen."""
        require_one_environment(world.env, served)
        self._world: AnyWorld = world
        self.lanes = Lanes()
        self.prices = PriceBoard(world.audience)
        self.kill_switch = KillSwitch(world.env, world.journal, world.audience, world.metrics, world.clock)
        guard = KillGuard(world.env, self.kill_switch)
        self._supervisor = Supervisor(world.clock)
        self._started_at = world.clock.now()
        self._gave_way = False
        self._duties = Duties(lambda: not (self._gave_way or world.journal.displaced), world.clock)
        alarms, quarantine = Alarms(world.clock, world.metrics), Quarantine(world.clock)
        self._dispatcher = Dispatcher(
            self.lanes,
            egress=Egress(world.journal),
            alarms=alarms,
            kill_guard=guard,
            clock=world.clock,
            metrics=world.metrics,
            pace=pace,
        )
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
        self._proving = Proving(world.journal, world.clock)
        self.snapshots = Snapshots(
            self.lanes,
            journal=world.journal,
            clock=world.clock,
            metrics=world.metrics,
            rules=world.rules,
            pace=snapshots or SnapshotPace(),
        )
        for one in served:
            self.lanes.add(self._seat(world, one))
        self._said = {one.account: one.limits for one in served}
        self.limits = desk_for(
            world, self.lanes, subjects(served), self._remember_recent, self.prices.reference
        )
        self._acquaint(served)
        judging = Judging(
            world.env,
            prices=self.prices,
            kill_guard=guard,
            instruments=world.instruments,
            clock=world.clock,
            chance=world.chance,
            hours=world.hours,
        )
        keys = KeyGuard(world.instruments, judging, world.strategies, self.limits.book, world.clock)
        self._session_queue = SessionQueue(
            self.lanes,
            judging,
            world.clock,
            admits=lambda seat, order: (
                world.audit() is None
                and not self._dispatcher.is_full_for(seat.lane.account)
                and keys.refuse_strategy(seat.tenant, order.terms) is None
            ),
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
        once = Once(self.lanes, world.journal, world.views, world.clock, world.metrics)
        self.groups = GroupGate(
            world.env,
            lanes=self.lanes,
            judging=judging,
            keys=keys,
            contingent=self._contingent,
            once=once,
            journal=world.journal,
            instruments=world.instruments,
            clock=world.clock,
            chance=world.chance,
            closes=self.kill_switch.is_flattening,
            is_full_for=self._dispatcher.is_full_for,
            audit=world.audit,
        )
        self._broker_dead_man = BrokerDeadMan(self.lanes, world.clock)
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
            shared=world.shared_stops,
            offset=world.offset,
            tell_offset=judging.take_offset,
            nodes=world.nodes,
            ourselves=world.ourselves,
        )
        self.kill_desk, self.dead_man, self.trips = (
            self._stops.desk,
            self._stops.dead_man,
            self._stops.trips,
        )
        self._valuing = Valuing(
            self.lanes,
            self.prices,
            alarms,
            world.clock,
            stop=self.trips.lost_too_much,
        )
        self.alarms = StandingAlarms(self.lanes)
        self.breaks = BreakDesk(world.env, lanes=self.lanes, once=once, views=world.views, clock=world.clock)
        self.gate = Gate(
            world.env,
            lanes=self.lanes,
            judging=judging,
            keys=keys,
            once=once,
            kill_switch=self.kill_switch,
            limits=self.limits,
            resolving=Resolving(
                once=once, ingest=self._ingest, dispatcher=self._dispatcher, quarantine=quarantine
            ),
            dispatcher=self._dispatcher,
            instruments=world.instruments,
            clock=world.clock,
            kill_desk=self.kill_desk,
            down=self._supervisor.down,
            nodes_differ=self._stops.nodes_differ,
            audit=world.audit,
        )

    def start(self) -> None:
        """Start every part. Readiness tells when the accounts are back."""
        self._stops.start(self._supervisor)
        self._supervisor.keep("limits", self._keep_limits)
        for number, source in enumerate(self._world.prices):
            self._supervisor.keep(f"prices-{number}", lambda source=source: self.prices.follow(source))  # type: ignore[misc]  # bound now
        for seat in self.lanes:
            self._start_account(seat)
        self._supervisor.keep("valuing", self._valuing.keep)
        for seat in self._broker_dead_man.offered:
            self._supervisor.keep(
                f"broker-dead-man {seat.lane.account}",
                lambda seat=seat: self._broker_dead_man.keep(seat),  # type: ignore[misc]  # bound now
            )
        self._supervisor.keep("unknowns", self._unknowns.watch)
        self._supervisor.keep("groups", self._contingent.keep)
        self._supervisor.keep("session queue", self._session_queue.keep)
        self._supervisor.keep("gauges", self._keep_gauges)
        self._supervisor.keep("receipts", self._keep_receipts)
        self._supervisor.keep("snapshots", self.snapshots.watch)
        for name, part in self._world.parts.items():
            self._supervisor.keep(name, part)
        for name, duty in self._world.duties.items():
            self._supervisor.keep(name, self._duties.kept(name, duty))

    async def stop(self) -> None:
        """Stop asking and listening; what is durable is carried on at the next start."""
        self._contingent.stop()
        self._stops.stop()
        await self._dispatcher.drain(timeout_s=5.0)
        await self._supervisor.stop()
        await self._broker_dead_man.disarm()

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
        self._supervisor.keep(f"proof {account}", lambda: self._proving.follow(seat))

    async def _keep_lane(self, seat: Seat) -> None:
        """Fold the account, and again each time its memory was given up."""
        counted = False
        while not self._gave_way:
            try:
                await seat.lane.recover(self.limits.catch_up)
            except (Unfoldable, JournalCorrupt) as fault:
                seat.lane.halt(fault)
                await asyncio.Event().wait()
            self._remember_recent(seat)
            if not counted:  # from then on the counts are in memory, which a lane's recovery leaves alone
                seat.buckets.orders_sent(seat.lane.books.messages)
                counted = True
            self._valuing.look(seat)
            self._carry_on_names(seat)
            seat.suspect("the account was folded anew")
            self.kill_desk.look()
            self._contingent.carry_on(seat)
            self._dispatcher.carry_on(seat)
            await seat.lane.stopped.wait()
            if seat.lane.halted:
                break
            if seat.lane.fenced:
                await self._give_way(seat.lane)
        await asyncio.Event().wait()

    async def _give_way(self, fenced: Lane) -> None:
        """Leave the database to the process that took it, and hold nothing that another would need.

        Taking an account back would make two owners steal it from each other for ever. And should the
        other have ended meanwhile, the fence may be ours again: kept, it would let nobody serve.
        """
        log.error("account.fenced", account=fenced.account)
        if self._gave_way:
            return
        self._gave_way = True
        for seat in self.lanes:
            seat.lane.stop(StaleEpoch(f"another process has taken {fenced.account}, and all of its database"))
        await self._world.journal.close()

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

    def _follow(
        self, lane: Lane, event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent, written: bytes
    ) -> None:
        """What every commit starts: the next word to the broker, and what its stream owes us."""
        self._dispatcher.follow(lane, event, written)
        self._contingent.follow(lane, event)
        seat = self.lanes.get(lane.account)
        if seat is not None:
            self._stops.follow(seat, event)
            if type(event) is OrderAcknowledged:
                now = self._world.clock.monotonic()
                seat.watch.acknowledged(event.broker_order_id, event.order_id, now)

    async def _keep_limits(self) -> None:
        await self.limits.open(self._said)
        await self.limits.keep()

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
        recall(seat, self._world.instruments, self._world.clock.now())

    async def _keep_gauges(self) -> None:
        while True:
            now = self._world.clock.monotonic()
            silence = max((now - seat.heard_at for seat in self.lanes), default=0.0)
            self._world.metrics.broker_stream_silence.set(silence)
            self._stops.show()
            show(self._world.metrics, self.lanes, now=self._world.clock.now(), since=self._started_at)
            await self._world.clock.sleep(1.0)

    async def _keep_receipts(self) -> None:
        """At start and once a day, drop the answers that no replay is given any more."""
        while True:
            dropped = await self._world.journal.forget_answers(self._world.clock.now() - KEPT)
            log.info("receipts.dropped", answers=dropped)
            await self._world.clock.sleep(A_DAY_S)

    def _acquaint(self, served: Sequence[AnyServed]) -> None:
        """Tell every seat which others are of the same owner, and which sums it is part of."""
        everybody = tuple(one.account for one in served)
        members = {FIRM: everybody}
        for one in served:
            for group in one.groups:
                members[group] = (*members.get(group, ()), one.account)
        totals = {name: Totals(accounts) for name, accounts in members.items()}
        owner_of = {one.account: one.owner for one in served}
        for seat in self.lanes:
            mine = owner_of[seat.lane.account]
            seat.groups = {name: totals[name] for name in members if seat.lane.account in members[name]}
            others = [other.lane for other in self.lanes if other is not seat and mine is not None]
            seat.own_lanes = (seat.lane, *(one for one in others if owner_of[one.account] == mine))

    def _seat(self, world: World[E], one: Served[E]) -> Seat:
        lane = Lane(
            one.account,
            journal=world.journal,
            instruments=by_any_name(world.instruments),
            audience=world.audience,
            follow=self._follow,
            clock=world.clock,
            metrics=world.metrics,
            rules=world.rules,
            nameless=one.broker.capabilities.dedup is DedupClass.C,
        )
        stale = Freshness(world.clock.now(), "not reconciled since the start")
        broker = Renamed(one.broker, names) if (names := names_of(world.instruments.values())) else one.broker
        return Seat(lane, broker, None, stale, one.expected, login=one.login, tenant=one.tenant)


def _suspect(seat: Seat, why: str) -> None:
    log.info("reconciliation.asked", account=seat.lane.account, why=why)
    seat.suspect(why)
