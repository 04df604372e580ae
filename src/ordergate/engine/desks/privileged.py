"""Writes privileged acts into the audit's own stream, each exactly once.

Identity changes are caught by the database itself, whoever made them, and fetched from there; a change
that was written and not yet ticked off when the process died is known again by its number. What was written
while its answer was lost is known again by its place in the stream, word for word.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.core.privileged import AnyPrivilegedEvent, IdentityChanged, PrivilegedEvent
from ordergate.engine.accounts.units import control_entry, kind_of
from ordergate.ports.audience import Audience
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Entry, Journal, Stored, Unit
from ordergate.ports.privileged import Change, IdentityChanges
from ordergate.telemetry.log import logger

log = logger("privileged")

LOOK_S: Final = 1.0
AT_ONCE_MAX: Final = 200


class PrivilegedRecord:
    """One for each process; `recover` first. What cannot be written raises, and was not done."""

    def __init__(self, env: Env, journal: Journal, audience: Audience, clock: Clock) -> None:
        self._stream = AccountId(f"{env.letter}-AUDIT")
        self._journal = journal
        self._audience = audience
        self._clock = clock
        self._writing = asyncio.Lock()
        self._known = False
        self._epoch = 0
        self._head = 0
        self._changes: set[int] = set()

    async def record(self, event: AnyPrivilegedEvent, correlation: str) -> None:
        """Durable when it returns. Raises Fault."""
        async with self._writing:
            if not self._known:
                await self._recover()
            entry = self._entry(event, correlation)
            try:
                await self._append(event, entry)
            except Fault:
                self._known = False
                if await self._recover(entry):  # only the answer was lost
                    self._tell(event, entry)
                elif not self._has(event):
                    await self._append(event, self._entry(event, correlation))

    async def follow(self, source: IdentityChanges) -> None:
        """Record what changes in identity, until cancelled. Raises Fault."""
        while True:
            waiting = await source.waiting(AT_ONCE_MAX)
            for change in waiting:
                event = self._event(change)
                async with self._writing:
                    if not self._known:
                        await self._recover()
                if not self._has(event):
                    await self.record(event, f"identity-{change.number}")
            if waiting:
                await source.recorded([change.number for change in waiting])
            if len(waiting) < AT_ONCE_MAX:
                await self._clock.sleep(LOOK_S)

    def _event(self, change: Change) -> IdentityChanged:
        return IdentityChanged(
            at=self._clock.now(),
            change=change.number,
            changed_at=change.at,
            what=change.what,
            operation=change.operation,
            subject=change.subject,
            by=change.by,
            facts=change.facts,
        )

    def _has(self, event: AnyPrivilegedEvent) -> bool:
        return isinstance(event, IdentityChanged) and event.change in self._changes

    async def _recover(self, tried: Entry | None = None) -> bool:
        """Take the stream and read it; whether what was tried is there, where it was to be."""
        taken = await self._journal.take(self._stream)
        changes: set[int] = set()
        found = False
        async for stored in self._journal.read(self._stream, after=0, upto=taken.head):
            if isinstance(stored.event, IdentityChanged):
                changes.add(stored.event.change)
            found = found or (tried is not None and _is(stored, tried))
        self._epoch, self._head, self._changes, self._known = taken.epoch, taken.head, changes, True
        return found

    def _entry(self, event: AnyPrivilegedEvent, correlation: str) -> Entry:
        if not isinstance(event, PrivilegedEvent):
            raise JournalUnavailable("only privileged acts are written here")
        return control_entry(event, self._stream, self._head + 1, correlation)

    async def _append(self, event: AnyPrivilegedEvent, entry: Entry) -> None:
        unit = Unit(account=self._stream, epoch=self._epoch, expected=self._head, entries=(entry,))
        await self._journal.append(unit)
        self._head += 1
        if isinstance(event, IdentityChanged):
            self._changes.add(event.change)
        self._tell(event, entry)

    def _tell(self, event: AnyPrivilegedEvent, entry: Entry) -> None:
        log.info("privileged.recorded", kind=kind_of(event), seq=entry.seq)
        self._audience.tell(self._stream, entry.seq, kind_of(event), entry.frame)


def _is(stored: Stored, entry: Entry) -> bool:
    return (stored.seq, stored.correlation, stored.frame) == (entry.seq, entry.correlation, entry.frame)
