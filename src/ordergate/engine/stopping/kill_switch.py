"""The stops of this node: in force in memory first, then written down.

Engaging never waits for the journal to bite; if writing fails the stop stays in force and is written
later. All are folded from the control stream at start, so a restart releases nothing, and heard again
and again after that: what another node wrote there holds here, and a node that has not heard the stream
for a while stops everything new by itself. Cancels are never asked about here.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from typing import Final

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.core.risk.trading_state import (
    AnyControlEvent,
    ControlEvent,
    Grade,
    KillEngaged,
    KillReleased,
    Place,
    Stop,
    Subject,
    TradingState,
    evolve,
    harder,
)
from ordergate.engine.accounts.units import control_entry, kind_of
from ordergate.ports.audience import Audience
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Journal, Unit
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("kill_switch")

HEARD_S_MAX: Final = 3.0
LISTEN_S: Final = 0.5
LISTEN_TIMEOUT_S: Final = 2.5
UNWRITTEN_MAX: Final = 1_000

UNREAD: Final = "the control stream has not been read yet"
UNHEARD: Final = f"the control stream has not been heard for {HEARD_S_MAX:g} s"


class KillSwitch:
    """Until `recover` has read the control stream everything new is blocked.

    `on_event` is told of everything that happened, by whatever way it came; it must not fail.
    """

    def __init__(
        self, env: Env, journal: Journal, audience: Audience, metrics: Metrics, clock: Clock
    ) -> None:
        self.on_event: Callable[[AnyControlEvent], None] = _nobody
        self._stream = AccountId(f"{env.letter}-CONTROL")
        self._journal = journal
        self._audience = audience
        self._metrics = metrics
        self._clock = clock
        self._state = TradingState()
        self._unwritten: list[KillEngaged] = []
        self._doubted: list[AnyControlEvent] = []  # tried, and nobody could say whether they are written
        self._known = False
        self._unlooked: set[str] = set()
        self._looked_at: dict[str, float] = {}
        self._heard_at = -math.inf
        self._heard = asyncio.Event()
        self._epoch = 0
        self._head = 0
        self._writing = asyncio.Lock()  # one write after the other, as they were asked

    @property
    def state(self) -> TradingState:
        return self._state

    @property
    def is_known(self) -> bool:
        """False until the control stream has been read."""
        return self._known

    @property
    def deaf(self) -> str | None:
        """Why this node cannot tell what is stopped, or None."""
        if not self._known:
            return UNREAD
        if self._unlooked:
            return f"{', '.join(sorted(self._unlooked))} of stops have not been looked at yet"
        oldest = self._clock.monotonic() - HEARD_S_MAX
        if self._heard_at < oldest:
            return UNHEARD
        for way, at in self._looked_at.items():
            if at < oldest:
                return f"{way} has not been heard for {HEARD_S_MAX:g} s"
        return None

    @property
    def heard_age_s(self) -> float:
        return self._clock.monotonic() - self._heard_at

    def is_flattening(self) -> bool:
        """Whether two persons have it close something just now."""
        return any(kill.grade is Grade.FLATTEN for kill in self._state.kills.values())

    @property
    def is_clear(self) -> bool:
        """True when nothing is stopped anywhere, as nearly always: no order has to be looked at."""
        return not self._state.kills and self.deaf is None

    @property
    def unwritten(self) -> tuple[Place, ...]:
        """Where a stop is in force that is not durable yet."""
        return tuple(event.place for event in self._unwritten)

    def stop(self, subject: Subject) -> Stop | None:
        """The hardest stop that the order falls under. What is not known is stopped."""
        if (why := self.deaf) is not None:
            return Stop(Grade.BLOCK_NEW, why=why)
        return self._state.stop(subject)

    def awaits(self, way: str, *, always: bool = False) -> None:
        """Nothing new until this other way to stop has been looked at once; `always`: and of late."""
        self._unlooked.add(way)
        if always:
            self._looked_at[way] = -math.inf

    def looked(self, way: str, at: float) -> None:
        """What was there at that time is in force."""
        self._unlooked.discard(way)
        if way in self._looked_at:
            self._looked_at[way] = at
            self._tell_heard()

    async def until_heard(self, timeout_s: float) -> None:
        """Wait until the control stream is heard again, for so long at most."""
        self._heard.clear()
        waiting = asyncio.ensure_future(self._heard.wait())
        timer = asyncio.ensure_future(self._clock.sleep(timeout_s))
        await asyncio.wait((waiting, timer), return_when=asyncio.FIRST_COMPLETED)
        for one in (waiting, timer):
            one.cancel()
        await asyncio.gather(waiting, timer, return_exceptions=True)

    async def recover(self) -> None:
        """Take the control stream and fold it. Raises Fault."""
        async with self._writing:
            await self._recover()

    async def listen(self) -> None:
        """Hear what others wrote, and write what could not be written before, again and again."""
        while True:
            await self._clock.sleep(LISTEN_S)
            try:
                async with asyncio.timeout(LISTEN_TIMEOUT_S):
                    await self.hear()
            except (Fault, TimeoutError) as fault:
                log.warning("kill_switch.unheard", why=str(fault) or type(fault).__name__)

    async def hear(self) -> None:
        """Once. Raises Fault."""
        async with self._writing:
            if not self._known:
                await self._recover()
            asked_at = self._clock.monotonic()
            async for stored in self._journal.read(self._stream, after=self._head):
                self._head = stored.seq
                if isinstance(stored.event, ControlEvent):
                    self._find(stored.event)
                    self._fold(stored.event)
            self._was_heard(asked_at)
        for event in tuple(self._unwritten):
            async with self._writing:
                if not any(one is event for one in self._unwritten):
                    continue  # written, or released, while this waited: never behind its own release
                await self._append_surely(event, "kill-switch")
                self._was_written(event)

    async def engage(self, event: KillEngaged, correlation: str) -> None:
        """In force when called; durable when answered. Raises Fault when it is not durable."""
        self.hold(event)
        await self._write(event, correlation)
        self._was_written(event)

    def hold(self, event: KillEngaged) -> None:
        """In force when this returns; written down when the control stream is heard next."""
        if len(self._unwritten) < UNWRITTEN_MAX or not self._is_to_be_written(event):
            self._unwritten.append(event)
        self._fold(event)
        log.warning(
            "kill_switch.engaged",
            level=event.level,
            target=event.target,
            grade=event.grade,
            actor=event.actor,
            why=event.reason,
            trip=event.trip,
        )

    async def release(self, event: KillReleased, correlation: str) -> None:
        """In force only once durable, and never against an engagement that came meanwhile.

        One from elsewhere is there before this is written, and then it is not. One from here waits its
        turn behind it; it may be equal to what is released, if the clock has not moved. What tripped and
        is not written yet is written before: whoever released it is to be known after a restart.
        """
        released = self._state.kills.get(event.place)
        waiting = [one for one in self._unwritten if one.place == event.place]

        def overtaken() -> bool:
            return self._state.kills.get(event.place) != released

        async with self._writing:
            for tripped in waiting:
                if tripped.trip is not None and any(one is tripped for one in self._unwritten):
                    await self._append_surely(tripped, "kill-switch")
                    self._was_written(tripped)
            await self._append_surely(event, correlation, unless=overtaken)
        if overtaken():
            log.warning("kill_switch.changed_meanwhile", actor=event.actor)
            return
        self._unwritten = [one for one in self._unwritten if not any(one is gone for gone in waiting)]
        self._fold(event)
        log.warning(
            "kill_switch.released",
            level=event.level,
            target=event.target,
            actor=event.actor,
            why=event.reason,
        )

    async def note(self, event: AnyControlEvent, correlation: str) -> None:
        """Anything else, in force once durable. Raises Fault."""
        await self._write(event, correlation)
        self._fold(event)

    def _fold(self, event: AnyControlEvent) -> None:
        """What waits to be written comes after whatever is written: no release reaches it."""
        self._state = evolve(self._state, event)
        if isinstance(event, KillReleased):
            for engaged in self._unwritten:
                if engaged.place == event.place:
                    self._state = evolve(self._state, engaged)
        self._show()
        self.on_event(event)

    def _show(self) -> None:
        self._metrics.kill_switch.set(bool(self._state.kills))
        levels = Counter(level for level, _ in self._state.kills)
        for level, gauge in self._metrics.stops.items():
            gauge.set(levels[level])

    def _is_to_be_written(self, event: KillEngaged) -> bool:
        """True when one at the same place waits that is as hard; so there are never more than places."""
        return any(
            one.place == event.place and harder(one.grade, event.grade) is one.grade
            for one in self._unwritten
        )

    async def _recover(self) -> None:
        asked_at = self._clock.monotonic()
        taken = await self._journal.take(self._stream)
        state, news = TradingState(), []
        async for stored in self._journal.read(self._stream, after=0, upto=taken.head):
            if isinstance(stored.event, ControlEvent):
                state = evolve(state, stored.event)
                if stored.seq > self._head:
                    news.append(stored.event)
        for event in news:
            self._find(event)
        for engaged in self._unwritten:  # engaged before the journal could be written: stays so
            state = evolve(state, engaged)
        self._known = True
        self._state, self._epoch, self._head = state, taken.epoch, taken.head
        self._show()
        for event in news:
            self.on_event(event)
        self._was_heard(asked_at)

    def _was_heard(self, at: float) -> None:
        self._heard_at = at
        self._tell_heard()

    def _tell_heard(self) -> None:
        if self._looked_at and self.deaf is not None:
            return  # another way is still silent
        self._heard.set()

    def _find(self, event: AnyControlEvent) -> None:
        """It is in the journal: a doubted one that equals it is written, and must not be again."""
        found = next((one for one in self._doubted if one == event), None)
        if found is not None:
            self._unwritten = [one for one in self._unwritten if one is not found]
            self._doubted = [one for one in self._doubted if one is not found]

    def _is_doubted(self, event: AnyControlEvent) -> bool:
        return any(one is event for one in self._doubted)

    def _was_written(self, event: KillEngaged) -> None:
        self._unwritten = [one for one in self._unwritten if one is not event]

    async def _write(self, event: AnyControlEvent, correlation: str) -> None:
        async with self._writing:
            await self._append_surely(event, correlation)

    async def _append_surely(
        self, event: AnyControlEvent, correlation: str, *, unless: Callable[[], bool] = lambda: False
    ) -> None:
        """Once, and not at all where, by what is known when it is this one's turn, `unless` holds."""
        try:
            if not unless():
                await self._append(event, correlation)
        except Fault:
            self._doubted.append(event)
            await self._recover()  # which finds it, if it was written after all
            if self._is_doubted(event) and not unless():
                await self._append(event, correlation)
                self._doubted = [one for one in self._doubted if one is not event]
        finally:
            # Only what is written later by itself may still be found.
            self._doubted = [one for one in self._doubted if any(one is other for other in self._unwritten)]

    async def _append(self, event: AnyControlEvent, correlation: str) -> None:
        if not self._known:
            raise JournalUnavailable(UNREAD)
        entry = control_entry(event, self._stream, self._head + 1, correlation)
        unit = Unit(account=self._stream, epoch=self._epoch, expected=self._head, entries=(entry,))
        await self._journal.append(unit)
        self._head += 1
        self._audience.tell(self._stream, entry.seq, kind_of(event), entry.frame)


def _nobody(_: AnyControlEvent) -> None:
    """Nobody listens yet."""
