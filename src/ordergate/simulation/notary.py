"""The audit of a run: the real checkpointer of every gateway, over the journal, and what it has signed.

Each gateway runs one for as long as it lives, as in a real house; what was kept and published outlives
them. Whether all of it holds is for the invariants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit.checkpointer import Checkpointer, Pace
from ordergate.journal.memory_audit import MemoryAuditLog
from ordergate.journal.memory_store import Store
from ordergate.ports.clock import Clock

ORIGIN: Final = "ordergate.drill/paper"


class NotaryKey:
    """Keeps the promises of `ports.audit.NoteKey`; anybody can make it from the seed, so it is no secret."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{seed} notary".encode()).digest())

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)


class Notary:
    """Keeps the promises of `ports.audit.Sink` and `ports.audit.NoteKeys`, too: one place, and one key."""

    def __init__(self, seed: int, store: Store) -> None:
        self._store = store
        self.log = MemoryAuditLog(store)
        self.key = NotaryKey(seed)
        self.published: list[str] = []

    @property
    def signed_for_all(self) -> bool:
        """Whether the last checkpoint is of everything that is in the journal now."""
        records = sum(len(books.events) for books in self._store.books.values())
        return bool(self.log.kept) and self.log.kept[-1].size == records

    def checkpointer(self, clock: Clock) -> Checkpointer:
        return Checkpointer(ORIGIN, audit_log=self.log, sink=self, keys=self, clock=clock, pace=Pace())

    async def publish(self, note: str, old: int = 0, path: Sequence[bytes] = ()) -> None:
        self.published.append(note)

    async def newest(self) -> str | None:
        return self.published[-1] if self.published else None

    async def versions(self) -> Sequence[NotaryKey]:
        return (self.key,)

    async def past(self) -> Sequence[bytes]:
        return ()

    async def retire(self, key: object) -> None:
        """There is one key, and it is never changed in a run."""
