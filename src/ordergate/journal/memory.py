"""The in-memory twin of the journal: the same promises, no disk.

Units are linked and sealed by the same rule as on PostgreSQL and committed in batches, a turn of
the event loop later. For tests of those who use a journal, commits can be held back, reading can
fail, and the wire can be cut with the answer lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Generic

import msgspec

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, E, OrderId
from ordergate.journal.memory_store import Books, Store, stored
from ordergate.journal.tails import Linked, Tails
from ordergate.ports.journal import Committed, Snapshot, Stored, Taken, Unit


class _Append(msgspec.Struct):
    linked: Linked
    done: Committed


class MemoryJournal(Generic[E]):
    """Keeps the promises of `ports.journal.Journal` until the process ends.

    Give the same instance to the next engine and it finds everything again.
    """

    def __init__(self, env: E, *, queued_units_max: int = 16_384) -> None:
        self.env: E = env
        self.store = Store()
        self._tails = Tails()
        self._queued_units_max = queued_units_max
        self._waiting: deque[_Append] = deque()  # bounded by append
        self._held = False
        self.unreadable = False
        self.displaced = False
        self._wake: asyncio.Handle | None = None

    @property
    def books(self) -> dict[AccountId, Books]:
        return self.store.books

    @property
    def connected(self) -> bool:
        return True

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def room(self) -> int:
        return self._queued_units_max - len(self._waiting)

    async def take(self, account: AccountId) -> Taken:
        self._commit()
        taken, last_hash = self.store.take(account)
        self._tails.take(account, taken, last_hash)
        return taken

    def append(self, unit: Unit) -> Committed:
        if len(self._waiting) >= self._queued_units_max:
            raise JournalUnavailable(f"{len(self._waiting)} units wait to be written already")
        loop = asyncio.get_running_loop()
        done: Committed = loop.create_future()
        linked = self._tails.link(unit)
        if isinstance(linked, Fault):
            done.set_exception(linked)
            return done
        self._waiting.append(_Append(linked, done))
        if self._wake is None and not self._held:
            self._wake = loop.call_soon(self._commit)
        return done

    async def read(self, account: AccountId, *, after: int, upto: int | None = None) -> AsyncIterator[Stored]:
        if self.unreadable:
            raise JournalUnavailable("the journal cannot be read")
        books = self.books.get(account)
        events = [] if books is None else books.events[after:upto]
        for entry, sealed in events:
            yield stored(entry, sealed)

    async def seal_at(self, account: AccountId, seq: int) -> bytes | None:
        return self.store.seal_at(account, seq)

    async def history(self, order: OrderId) -> list[Stored]:
        return [
            stored(entry, sealed)
            for books in self.books.values()
            for entry, sealed in books.events
            if entry.order_id == order
        ]

    async def adopted(self, account: AccountId, broker_order_id: str) -> OrderId | None:
        return self.store.adopted(account, broker_order_id)

    async def receipt(self, scope: Scope) -> Receipt | None:
        return self.store.receipts.get(scope)

    async def key_digests(self, account: AccountId) -> set[int]:
        return {one.scope.digest() for one in self.store.receipts.values() if one.account == account}

    async def forget_answers(self, before: datetime) -> int:
        old = [one for one in self.store.receipts.values() if one.body is not None and one.at < before]
        for receipt in old:
            self.store.receipts[receipt.scope] = msgspec.structs.replace(receipt, body=None)
        return len(old)

    async def accounts(self) -> list[AccountId]:
        return sorted(account for account, books in self.books.items() if books.events)

    async def keep(self, snapshot: Snapshot) -> bool:
        return self.store.keep(snapshot)

    async def snapshot(self, account: AccountId, *, rules: str) -> Snapshot | None:
        return self.store.snapshot(account, rules)

    async def close(self) -> None:
        self._held = False
        self._commit()

    def hold(self) -> None:
        """Commit nothing until `release`: what is appended waits."""
        self._held = True

    def release(self) -> None:
        self._held = False
        self._commit()

    def cut(self, *, written: bool) -> None:
        """Lose the wire: everything waiting is unavailable to its owner, written or not."""
        waiting = list(self._waiting)
        fault = JournalUnavailable("the answer was lost")
        if written:
            for item in waiting:
                self.store.write((item.linked,))
        self._waiting.clear()
        self._tails.fail_all(fault)
        for item in waiting:
            if not item.done.done():
                item.done.set_exception(fault)

    def _commit(self) -> None:
        self._wake = None
        while self._waiting and not self._held:
            item = self._waiting.popleft()
            fault = item.linked.tail.fault or self.store.write((item.linked,))
            if item.done.done():
                continue
            if fault is None:
                item.done.set_result(item.linked.sealed)
            else:
                item.linked.tail.fault = fault
                item.done.set_exception(fault)
