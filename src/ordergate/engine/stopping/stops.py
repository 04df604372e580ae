"""Everything about stopping, put together: who engages stops, what carries them out, what watches for them.

The kill switch and its guard are made before it, because all else asks them. Decides nothing by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ordergate.core.ids import Env, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.risk.trading_state import AnyControlEvent, KillReleased
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.stopping.breakers import Breakers
from ordergate.engine.stopping.dead_man import DeadMan
from ordergate.engine.stopping.kill_desk import Flattens, KillDesk
from ordergate.engine.stopping.kill_flags import FlagWatch
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.engine.stopping.sweeps import Sweeps
from ordergate.engine.stopping.trips import TripPolicy, Trips
from ordergate.engine.stopping.watches import Watches
from ordergate.engine.supervisor import Supervisor
from ordergate.engine.worth.prices import PriceBoard
from ordergate.ports.clock import Clock
from ordergate.ports.clock_offset import ClockOffset
from ordergate.ports.kill_flags import KillFlags, SharedFlags
from ordergate.ports.nodes import Node, Nodes
from ordergate.telemetry.metrics import Metrics


class Stops:
    def __init__(
        self,
        env: Env,
        kill_switch: KillSwitch,
        *,
        lanes: Lanes,
        prices: PriceBoard,
        flattens: Flattens,
        instruments: Mapping[Symbol, Instrument],
        clock: Clock,
        metrics: Metrics,
        two_persons: bool,
        policy: TripPolicy,
        flags: Sequence[KillFlags],
        shared: SharedFlags | None,
        offset: ClockOffset | None,
        tell_offset: Callable[[float | None], None],
        nodes: Nodes | None,
        ourselves: Node | None,
    ) -> None:
        self._kill_switch = kill_switch
        self._metrics = metrics
        self._flags = flags
        self._shared = shared
        self._sweeps = Sweeps(lanes, clock)
        self.desk = KillDesk(
            env,
            lanes=lanes,
            kill_switch=kill_switch,
            sweeps=self._sweeps,
            flattens=flattens,
            instruments=instruments,
            clock=clock,
            two_persons=two_persons,
        )
        self.dead_man = DeadMan(lanes=lanes, kill_switch=kill_switch, sweeps=self._sweeps, clock=clock)
        self.trips = Trips(kill_switch=kill_switch, kill_desk=self.desk, clock=clock, metrics=metrics)
        self._breakers = Breakers(lanes, self.trips, clock, policy)
        self._watches = Watches(
            env,
            lanes=lanes,
            prices=prices,
            trips=self.trips,
            breakers=self._breakers,
            clock=clock,
            metrics=metrics,
            policy=policy,
            offset=offset,
            tell_offset=tell_offset,
            nodes=nodes,
            ourselves=ourselves,
        )
        self._flag_watch = FlagWatch(kill_switch, self.desk, clock)
        for way in flags:
            kill_switch.awaits(way.name)
        if shared is not None:
            kill_switch.awaits(shared.name, always=True)
        kill_switch.on_event = self._follow_control

    def start(self, supervisor: Supervisor) -> None:
        """The ways around the API first: nothing new passes before each was looked at once."""
        for way in self._flags:
            supervisor.keep(f"kill-{way.name}", self._keeping(way))
        if (shared := self._shared) is not None:
            supervisor.keep("kill-shared", lambda: self._flag_watch.keep_shared(shared))
        supervisor.keep("kill-switch", self._keep_kill_switch)
        supervisor.keep("kill-desk", self.desk.keep)
        supervisor.keep("dead-man", self.dead_man.keep)
        supervisor.keep("watches", self._watches.keep)

    def stop(self) -> None:
        """Ask for nothing more."""
        self._sweeps.stop()

    def follow(self, seat: Seat, event: object) -> None:
        """Called for every committed event of an account."""
        self._breakers.follow(seat, event)

    def nodes_differ(self) -> str | None:
        """Why nodes do not agree, as far as is known."""
        return self._watches.nodes_differ

    def show(self) -> None:
        """As gauges."""
        self._metrics.stops_left.set(self._sweeps.left_in_all)
        self._metrics.control_age.set(self._kill_switch.heard_age_s)

    def _keeping(self, way: KillFlags) -> Callable[[], Awaitable[None]]:
        return lambda: self._flag_watch.keep(way)

    async def _keep_kill_switch(self) -> None:
        await self._kill_switch.recover()
        self.desk.look()
        await self._kill_switch.listen()

    def _follow_control(self, event: AnyControlEvent) -> None:
        """What every event of the control stream starts, whoever wrote it."""
        self.desk.follow(event)
        self.dead_man.follow(event)
        if isinstance(event, KillReleased):
            self._watches.look_again(event.place, event.at)
