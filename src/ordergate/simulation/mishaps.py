"""What befalls gateways and their machines, and how it is set right again.

Whoever runs a gateway starts it again when it died. At the heal everything is made whole: one gateway
lives, and the clock is right.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.clock import WallClock
from ordergate.simulation.database import Server
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import Ground
from ordergate.simulation.plan import Strike

_RESTART_S: Final = (0.1, 3.0)
_JUMPS_S: Final = (3600.0, -3600.0, -600.0, 1.0, -1.0, 0.25)


class Place(Protocol):
    """Where mishaps happen."""

    ground: Ground
    clock: WallClock
    server: Server
    gateways: list[Gateway]
    brokerages: list[Brokerage]

    @property
    def serving(self) -> Gateway | None: ...

    def start_gateway(self) -> Gateway: ...


class Mishaps:
    def __init__(self, town: Place) -> None:
        self._town = town
        self._ground = town.ground
        self._chance = town.ground.chance("mishaps")
        weather = town.ground.weather
        weather.on("T1", self._jump, self._jump_back)
        weather.on("T2", self._stand_still, self._go_on)
        weather.on("S1", self._start_second)
        weather.on("S2", self._freeze)
        weather.on("N2", self._clog)

    def died(self, gateway: Gateway) -> None:
        """Whoever runs it starts another, after a while."""
        wait = self._chance.uniform(*_RESTART_S)
        self._ground.later(wait, self._town.start_gateway)

    def mind_the_fenced(self) -> None:
        """Who runs a gateway that says it was fenced starts it anew (docs/operations.md)."""
        for gateway in self._town.gateways:
            if gateway.is_fenced:
                gateway.withdraw()
                if not any(one.alive for one in self._town.gateways):
                    self._ground.later(_RESTART_S[0], self._town.start_gateway)

    def heal(self) -> None:
        self._ground.weather.heal()
        self._town.clock.be_right()
        self._ground.clogged_until.clear()
        for gateway in self._town.gateways:
            self._wake(gateway)
        for brokerage in self._town.brokerages:
            brokerage.reconnect()

    # -- machines

    def _jump(self, strike: Strike) -> None:
        """T1: the wall clock is wrong for a while."""
        jump = _JUMPS_S[int(strike.dose * len(_JUMPS_S))]
        self._town.clock.be_wrong(timedelta(seconds=jump))
        self._ground.weather.seen("T1", f"{jump:+.2f} s")

    def _jump_back(self, strike: Strike) -> None:
        self._town.clock.be_right()

    def be_wrong_for(self, seconds: float) -> None:
        """The wall clock of the healed house is an hour fast for a moment."""
        self._town.clock.be_wrong(timedelta(hours=1))
        self._ground.later(seconds, self._be_right)

    def _be_right(self) -> None:
        self._town.clock.be_right()

    def _stand_still(self, strike: Strike) -> None:
        """T2: the process is stopped, and does not know."""
        gateway = self._town.serving
        if gateway is not None:
            gateway.freeze()
            self._ground.weather.seen("T2", f"{gateway.name} for {strike.lasts} s")

    def _go_on(self, strike: Strike) -> None:
        for gateway in self._town.gateways:
            gateway.thaw()

    def _start_second(self, strike: Strike) -> None:
        """S1: somebody starts a second gateway on the same database, and stops it soon."""
        if self._town.serving is None:
            return
        second = self._town.start_gateway()
        self._ground.later(4.0 + 10.0 * strike.dose, lambda: self._stop(second))

    def _freeze(self, strike: Strike) -> None:
        """S2: a gateway's machine stops for so long that its place is taken, and then goes on.

        Most stop at the worst moment, and for longer: an order is durable, and not sent yet.
        """
        gateway = self._town.serving
        if gateway is None:
            return
        if int(strike.dose * 100) % 4:
            stop = partial(self._stop_for_long, gateway, strike, 26.0 + 10.0 * strike.dose)
            self._town.server.at_the_door[gateway.name] = stop
        else:
            self._stop_for_long(gateway, strike, 16.0 + 20.0 * strike.dose)

    def _stop_for_long(self, gateway: Gateway, strike: Strike, seconds: float) -> None:
        if self._ground.weather.healed or not gateway.alive:
            return
        gateway.freeze()
        self._town.server.lost_process(gateway, host_gone=True)
        self._ground.trace.note("process", f"{gateway.name} is frozen")
        self._ground.later(2.0 + 6.0 * strike.dose, self._town.start_gateway)
        self._ground.later(seconds, lambda: self._wake(gateway))

    def _wake(self, gateway: Gateway) -> None:
        if not gateway.alive:
            return
        owners = self._town.server.owners.values()
        if gateway.name not in owners:
            self._ground.weather.seen("S2", gateway.name)
        self._ground.trace.note("process", f"{gateway.name} wakes")
        gateway.thaw()

    def _clog(self, strike: Strike) -> None:
        """N2: every line is clogged, one after the other, and freed in another order."""
        lines = ["broker 0", "broker 1", "database"]
        order = self._chance.sample(lines, len(lines))
        freed = self._chance.sample(lines, len(lines))
        begun = self._ground.loop.time()
        for number, line in enumerate(order):
            until = begun + 1.0 + 3.0 * strike.dose + 0.4 * freed.index(line)
            self._ground.later(0.2 * number, partial(self._clog_one, line, until))
        self._ground.later(0.5, self._clogged)

    def _clog_one(self, line: str, until: float) -> None:
        if not self._ground.weather.healed:
            self._ground.clogged_until[line] = until

    def _clogged(self) -> None:
        if all(self._ground.clog_s(line) > 0 for line in ("broker 0", "broker 1", "database")):
            self._ground.weather.seen("N2")

    def _stop(self, second: Gateway) -> None:
        """Of two only the one that has the fence stays, whichever it is."""
        living = [one for one in self._town.gateways if one.alive]
        if len(living) > 1:
            holder = self._town.server.holder
            # The server may still hold the fence for one that has died.
            kept = None if holder is None else next((one for one in living if one is holder.process), None)
            for one in living:
                if one is not kept:
                    one.withdraw()
            if kept is None:
                self._ground.later(_RESTART_S[1], self._town.start_gateway)
