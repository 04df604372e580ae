"""A stream of decisions about the whole gateway: one writer, folded at start, written one after the other.

What is decided is in force here once it is durable. When a write fails the stream is taken and folded
again: what is found there was written after all, its answer lost, and stands; otherwise the decision is made
anew on what is there. So nothing is written twice and nothing is decided on a past that is not the journal's.
It knows nothing of what the events mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Refusal
from ordergate.engine.accounts.units import control_entry, kind_of
from ordergate.ports.audience import Audience
from ordergate.ports.journal import AnyEvent, Journal, Stored, Unit

UNREAD = "the limits have not been read yet"

Decide = Callable[[], Awaitable[Sequence[AnyEvent] | Refusal]]
"""May take turns: nothing of the stream changes before it is done."""

_Decided = Unit | Refusal | Sequence[AnyEvent]
"""What is to be written; or a refusal, or nothing at all, of which nothing is."""


class Fold(Protocol):
    """Whoever holds what the events come to."""

    def begin(self) -> None:
        """Forget everything: the stream is read from its beginning."""
        ...

    def take(self, event: AnyEvent) -> None: ...

    def end(self) -> None:
        """Everything that is durable by now has been taken."""
        ...


class ControlStream:
    def __init__(self, stream: AccountId, journal: Journal, audience: Audience, fold: Fold) -> None:
        self.stream = stream
        self.known = False
        self._journal = journal
        self._audience = audience
        self._fold = fold
        self._epoch = 0
        self._head = 0
        self._begun = self._read = 0  # readings of all of it: the last one, and the last that succeeded
        self._writing = asyncio.Lock()  # one decision after the other, as they were asked

    async def recover(self) -> None:
        """Take the stream and fold it. Raises Fault."""
        async with self._writing:
            await self._recover()

    async def catch_up(self) -> None:
        """As `recover`, unless that was begun and done since this was asked. Raises Fault."""
        asked = self._begun
        async with self._writing:
            if self._read <= asked:
                await self._recover()

    async def record(self, decide: Decide, correlation: str) -> Sequence[AnyEvent] | Refusal:
        """Decide on what is there now, and answer once it is durable. Raises Fault."""
        async with self._writing:
            tried: _Decided = ()
            try:
                tried = await self._decided(decide, correlation)
                return await self._written(tried)
            except Fault:
                stored = await self._recover()
                if isinstance(tried, Unit) and _has(stored, tried):
                    return self._told(tried)  # only the answer was lost
                return await self._written(await self._decided(decide, correlation))

    async def _recover(self) -> list[Stored]:
        self._begun += 1
        taken = await self._journal.take(self.stream)
        events = [stored async for stored in self._journal.read(self.stream, after=0, upto=taken.head)]
        self._fold.begin()
        for stored in events:
            self._fold.take(stored.event)
        self._epoch, self._head, self.known = taken.epoch, taken.head, True
        self._fold.end()
        self._read = self._begun
        return events

    async def _decided(self, decide: Decide, correlation: str) -> _Decided:
        if not self.known:
            raise JournalUnavailable(UNREAD)
        events = await decide()
        if isinstance(events, Refusal) or not events:
            return events
        entries = tuple(
            control_entry(event, self.stream, self._head + number, correlation)
            for number, event in enumerate(events, start=1)
        )
        return Unit(account=self.stream, epoch=self._epoch, expected=self._head, entries=entries)

    async def _written(self, decided: _Decided) -> Sequence[AnyEvent] | Refusal:
        if not isinstance(decided, Unit):
            return decided
        await self._journal.append(decided)
        self._head += len(decided.entries)
        for entry in decided.entries:
            self._fold.take(entry.event)
        self._fold.end()
        return self._told(decided)

    def _told(self, unit: Unit) -> Sequence[AnyEvent]:
        for entry in unit.entries:
            self._audience.tell(self.stream, entry.seq, kind_of(entry.event), entry.frame)
        return [entry.event for entry in unit.entries]


def _has(stored: Sequence[Stored], unit: Unit) -> bool:
    """Whether the unit is in the stream after all: where it was to be, and word for word."""
    there = [one for one in stored if unit.expected < one.seq <= unit.expected + len(unit.entries)]
    return [(one.seq, one.correlation, one.frame) for one in there] == [
        (entry.seq, entry.correlation, entry.frame) for entry in unit.entries
    ]
