"""A signed log over a journal, for the tests of it: twins in memory, or the real adapters on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit import notes
from ordergate.audit.checkpointer import Checkpointer, Pace
from ordergate.audit.witness import Published
from ordergate.core.ids import AccountId
from ordergate.ports.audit import AuditLog, NoteKey, NoteKeys, Sink
from ordergate.ports.journal import Journal
from tests.journal.making import ALICE, BOB, Owner, accepted, opened, taken

ORIGIN = "ordergate.test/paper"


class OwnNoteKey:
    """A key in the test's own hands."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)


KEY = OwnNoteKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
VERIFIER_KEY = notes.verifier_key(ORIGIN, KEY.public)


class HandClock:
    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 15, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.moved

    async def sleep(self, seconds: float) -> None:
        self.moved += seconds
        await asyncio.sleep(0)


class MemorySink:
    """What was published, each with its proof; fails when told to."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.lines: list[Published] = []
        self.full = False

    async def publish(self, note: str, old: int = 0, path: Sequence[bytes] = ()) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.published.append(note)
        self.lines.append(Published(note=note, old=old, path=tuple(map(notes.encode, path))))

    async def newest(self) -> str | None:
        return self.published[-1] if self.published else None


class MemoryKeys:
    """The key in force, and the next one while it is changed."""

    def __init__(self, *keys: NoteKey) -> None:
        self.usable = list(keys)
        self.gone: list[bytes] = []

    async def versions(self) -> Sequence[NoteKey]:
        return list(self.usable)

    async def past(self) -> Sequence[bytes]:
        return list(self.gone)

    async def retire(self, key: NoteKey) -> None:
        if key in self.usable:
            self.usable.remove(key)
            self.gone.append(key.public)


def checkpointer(
    log: AuditLog,
    sink: Sink,
    clock: HandClock,
    *,
    key: NoteKey = KEY,
    keys: NoteKeys | None = None,
    pace: Pace | None = None,
) -> Checkpointer:
    return Checkpointer(
        ORIGIN,
        audit_log=log,
        sink=sink,
        keys=keys or MemoryKeys(key),
        clock=clock,
        pace=pace or Pace(every_s=5),
    )


@asynccontextmanager
async def begun(made: Checkpointer) -> AsyncIterator[Checkpointer]:
    await made._begin()
    yield made


class Author:
    """Writes events of two accounts."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._number = 0
        self._owners: dict[AccountId, Owner] = {}

    async def write(self, count: int) -> None:
        for account in (ALICE, BOB):
            if account not in self._owners:
                owner = await taken(self._journal, account)
                self._owners[account] = owner
                await self._journal.append(owner.unit(opened(account)))
        for _ in range(count):
            self._number += 1
            account = ALICE if self._number % 3 else BOB
            unit = self._owners[account].unit(accepted(account, self._number))
            await self._journal.append(unit)
