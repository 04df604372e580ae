"""Watches the ways to stop that do not lead through the API, and folds what was raised into the journal.

A flag is in force as soon as it is seen, whatever else is down; it is taken down once its stop is durable,
and from then on the stop is one like any other. It can only stop: nothing is released this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ordergate.core.faults import Fault
from ordergate.core.risk.trading_state import Grade, KillEngaged, Place
from ordergate.engine.kill_desk import KillDesk
from ordergate.engine.kill_switch import KillSwitch
from ordergate.ports.clock import Clock
from ordergate.ports.kill_flags import Flag, KillFlags
from ordergate.telemetry.log import logger

log = logger("kill_flags")

SEEN_MAX: Final = 10_000


class FlagWatch:
    """One for all ways. `look` is called before anything is served, and again and again after that."""

    def __init__(self, kill_switch: KillSwitch, kill_desk: KillDesk, clock: Clock) -> None:
        self._kill_switch = kill_switch
        self._kill_desk = kill_desk
        self._clock = clock
        self._seen: dict[str, Place] = {}

    async def keep(self, flags: KillFlags) -> None:
        """Nothing new before the first look."""
        while True:
            await self.look(flags)
            await self._clock.sleep(flags.poll_s)

    async def look(self, flags: KillFlags) -> None:
        """Once. Raises Fault when nothing can be seen."""
        raised = await flags.raised()
        for flag in raised:
            if flag.id not in self._seen:
                self._engage(flags, flag)
        self._kill_switch.looked(flags.name)
        await self._lower(flags, raised)

    def _engage(self, flags: KillFlags, flag: Flag) -> None:
        if len(self._seen) >= SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        grade = Grade.CANCEL_ALL if flag.grade is Grade.FLATTEN else flag.grade
        event = KillEngaged(
            at=self._clock.now(),
            level=flag.level,
            target=flag.target,
            grade=grade,
            actor=flag.actor,
            reason=flag.reason,
        )
        self._seen[flag.id] = event.place
        log.warning("kill_flag.seen", way=flags.name, flag=flag.id)
        self._kill_switch.hold(event)
        self._kill_desk.look()

    async def _lower(self, flags: KillFlags, raised: Sequence[Flag]) -> None:
        unwritten = self._kill_switch.unwritten
        for flag in raised:
            place = self._seen.get(flag.id)
            if place is None or place in unwritten or not self._kill_switch.is_known:
                continue
            try:
                await flags.lower(flag)
            except Fault as fault:
                log.error("kill_flag.stays", way=flags.name, flag=flag.id, why=str(fault))
