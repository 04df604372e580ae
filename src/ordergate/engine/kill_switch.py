"""The kill switch of this node: in force in memory first, then written down.

Engaging never waits for the journal to bite; if writing fails the switch stays engaged. It is
folded from the control stream at start, so a restart does not release it. Cancels always pass.
"""

from __future__ import annotations

import asyncio

import msgspec

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.core.risk.trading_state import (
    AnyControlEvent,
    ControlEvent,
    Grade,
    KillEngaged,
    KillReleased,
    TradingState,
    evolve,
)
from ordergate.engine.answers import KillView
from ordergate.engine.units import control_entry, kind_of
from ordergate.ports.audience import Audience
from ordergate.ports.journal import Journal, Unit
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("kill_switch")


class KillSwitch:
    """Until `recover` has read the control stream everything new is blocked."""

    def __init__(self, env: Env, journal: Journal, audience: Audience, metrics: Metrics) -> None:
        self._stream = AccountId(f"{env.letter}-CONTROL")
        self._journal = journal
        self._audience = audience
        self._metrics = metrics
        self._state = TradingState()
        self._known = False
        self._epoch = 0
        self._head = 0
        self._writing = asyncio.Lock()  # one write after the other, as they were asked

    @property
    def grade(self) -> Grade | None:
        """What is blocked now; the hardest grade while the state is not known."""
        return self._state.grade if self._known else Grade.CANCEL_ALL

    @property
    def blocks_new(self) -> bool:
        return self.grade is not None

    @property
    def is_known(self) -> bool:
        """False until the control stream has been read."""
        return self._known

    def view(self) -> KillView:
        kill = self._state.kill
        if kill is None:
            reason = None if self._known else "the control stream has not been read yet"
            return KillView(engaged=not self._known, level="global", reason=reason)
        since: str = msgspec.to_builtins(kill.at)
        return KillView(
            engaged=True,
            level="global",
            grade=kill.grade,
            reason=kill.reason,
            actor=kill.actor,
            since=since,
        )

    async def recover(self) -> None:
        """Take the control stream and fold it. Raises Fault."""
        async with self._writing:
            await self._recover()

    async def _recover(self) -> None:
        taken = await self._journal.take(self._stream)
        state = TradingState()
        async for stored in self._journal.read(self._stream, after=0, upto=taken.head):
            if isinstance(stored.event, ControlEvent):
                state = evolve(state, stored.event)
        if self._state.kill is not None:
            state = self._state  # engaged before the journal could be read or written: stays so
        self._state, self._epoch, self._head = state, taken.epoch, taken.head
        self._known = True
        self._metrics.kill_switch.set(state.kill is not None)

    async def engage(self, event: KillEngaged, correlation: str) -> None:
        """In force when called; durable when answered. Raises Fault when it is not durable."""
        self._state = evolve(self._state, event)
        self._metrics.kill_switch.set(1)
        log.warning("kill_switch.engaged", grade=event.grade, actor=event.actor, why=event.reason)
        await self._write(event, correlation)

    async def release(self, event: KillReleased, correlation: str) -> None:
        """In force only once durable, and never against an engagement that came meanwhile."""
        released = self._state.kill
        await self._write(event, correlation)
        if self._state.kill is not released:
            log.warning("kill_switch.engaged_meanwhile", actor=event.actor)
            return
        self._state = evolve(self._state, event)
        self._metrics.kill_switch.set(0)
        log.warning("kill_switch.released", actor=event.actor, why=event.reason)

    async def _write(self, event: AnyControlEvent, correlation: str) -> None:
        async with self._writing:
            try:
                await self._append(event, correlation)
            except Fault:
                await self._recover()
                await self._append(event, correlation)

    async def _append(self, event: AnyControlEvent, correlation: str) -> None:
        if not self._known:
            raise JournalUnavailable("the control stream has not been read yet")
        entry = control_entry(event, self._stream, self._head + 1, correlation)
        unit = Unit(account=self._stream, epoch=self._epoch, expected=self._head, entries=(entry,))
        await self._journal.append(unit)
        self._head += 1
        self._audience.tell(self._stream, entry.seq, kind_of(event), entry.frame)
