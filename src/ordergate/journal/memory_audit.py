"""The in-memory twin of the audit's log, over the store of a journal's twin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from ordergate.core.faults import AppendConflict, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal.memory_store import Store
from ordergate.ports.audit import Head, Range


class MemoryAuditLog:
    """Keeps the promises of `ports.audit.AuditLog`. Set `away` and nothing can be asked or kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.kept: list[Head] = []
        self.order: list[Range] = []
        self.away = False

    async def heads(self) -> Mapping[AccountId, int]:
        self._reach()
        return {account: len(books.events) for account, books in self._store.books.items() if books.events}

    async def taken(self, size: int) -> Mapping[AccountId, int]:
        self._reach()
        return {one.account: one.upto for one in self.order if one.first < size}

    async def seals(self, account: AccountId, after: int, upto: int) -> Sequence[bytes]:
        self._reach()
        return [sealed.hash for _, sealed in self._store.books[account].events[after:upto]]

    async def ranges(self) -> AsyncIterator[Range]:
        self._reach()
        for one in tuple(self.order):
            yield one

    async def newest(self) -> Head | None:
        self._reach()
        return self.kept[-1] if self.kept else None

    async def at(self, size: int) -> Head | None:
        self._reach()
        return next((one for one in self.kept if one.size == size), None)

    async def keep(self, ranges: Sequence[Range], head: Head) -> None:
        self._reach()
        if ranges[0].first != (self.kept[-1].size if self.kept else 0):
            raise AppendConflict("a checkpoint was not kept: another has gone on")
        self.order.extend(ranges)
        self.kept.append(head)

    def _reach(self) -> None:
        if self.away:
            raise JournalUnavailable("the journal cannot be read")
