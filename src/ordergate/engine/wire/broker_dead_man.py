"""The broker's own dead man's switch, where it has one: it cancels everything when this gateway is gone.

Armed and refreshed for as long as the gateway lives, and disarmed when it stops in order. A gateway that
cannot reach the broker lets it run out: that is what it is there for. What the broker canceled is found as
anything else that happened there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.ports.broker import Acknowledged
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("broker_dead_man")

TIMEOUT_S: Final = 60.0
REFRESH_S: Final = 20.0
AGAIN_S: Final = 2.0


class BrokerDeadMan:
    def __init__(self, lanes: Lanes, clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock

    @property
    def offered(self) -> Sequence[Seat]:
        return [seat for seat in self._lanes if seat.broker.capabilities.dead_man]

    async def keep(self, seat: Seat) -> None:
        """Arm it and keep it armed, until cancelled."""
        while True:
            outcome = await seat.broker.dead_man(TIMEOUT_S)
            if isinstance(outcome, Acknowledged):
                await self._clock.sleep(REFRESH_S)
            else:
                log.warning("broker_dead_man.not_armed", account=seat.lane.account, why=str(outcome))
                await self._clock.sleep(AGAIN_S)

    async def disarm(self) -> None:
        """The gateway goes away on purpose: its orders stay."""
        for seat in self.offered:
            outcome = await seat.broker.dead_man(0)
            if not isinstance(outcome, Acknowledged):
                log.error("broker_dead_man.still_armed", account=seat.lane.account, why=str(outcome))
