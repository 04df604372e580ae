"""The journal port of a simulated gateway: the real writer, and reading from the server's store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from ordergate.core.faults import JournalUnavailable
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, Env, OrderId, Paper
from ordergate.journal.memory_store import stored
from ordergate.journal.session import Backend, Session
from ordergate.journal.writer import Limits, Writer
from ordergate.ports.journal import Committed, Snapshot, Stored, Taken, Unit
from ordergate.simulation.database import Process, Server
from ordergate.simulation.sessions import open_session


class SimJournal:
    """Implements ports.journal.JournalOf for one process of paper."""

    env: Paper = Env.PAPER

    def __init__(self, server: Server, process: Process, *, queued_units_max: int) -> None:
        self._server = server
        self._process = process

        async def opened(previous: Backend | None) -> Session:
            return await open_session(server, process, previous)

        self._writer = Writer(opened, Limits(queued_units_max=queued_units_max))

    async def start(self) -> None:
        """Get the fence. Raises FenceHeld or JournalUnavailable."""
        await self._writer.start()

    @property
    def connected(self) -> bool:
        """Whether the writer has its connection and the fence."""
        return self._writer.connected

    @property
    def room(self) -> int:
        return self._writer.room

    @property
    def displaced(self) -> bool:
        return self._writer.displaced

    async def take(self, account: AccountId) -> Taken:
        return await self._writer.take(account)

    def append(self, unit: Unit) -> Committed:
        weather = self._server.weather
        if unit.receipt is not None and weather.strike("A1") is not None:
            weather.seen("A1", unit.account)
            raise JournalUnavailable("the queue is full")
        if unit.receipt is not None and weather.strike("C1") is not None:
            weather.seen("C1", f"{unit.account} at {unit.expected}")
            self._process.die("C1", "with a unit in the queue")
        return self._writer.append(unit)

    async def read(self, account: AccountId, *, after: int, upto: int | None = None) -> AsyncIterator[Stored]:
        def rows() -> list[Stored]:
            books = self._server.store.books.get(account)
            return [] if books is None else [stored(*event) for event in books.events[after:upto]]

        found = await self._server.read(rows)
        if self._process.recovering and found and self._server.weather.strike("C15") is not None:
            self._server.weather.seen("C15", f"after reading {len(found)} events")
            self._process.die("C15", "while recovering")
            await asyncio.Event().wait()
        for one in found:
            yield one

    async def seal_at(self, account: AccountId, seq: int) -> bytes | None:
        return await self._server.read(lambda: self._server.store.seal_at(account, seq))

    async def history(self, order: OrderId) -> list[Stored]:
        return await self._server.read(
            lambda: [
                stored(entry, sealed)
                for books in self._server.store.books.values()
                for entry, sealed in books.events
                if entry.order_id == order
            ]
        )

    async def adopted(self, account: AccountId, broker_order_id: str) -> OrderId | None:
        return await self._server.read(lambda: self._server.store.adopted(account, broker_order_id))

    async def receipt(self, scope: Scope) -> Receipt | None:
        return await self._server.read(lambda: self._server.store.receipts.get(scope))

    async def key_digests(self, account: AccountId) -> set[int]:
        receipts = self._server.store.receipts.values
        return await self._server.read(lambda: {r.scope.digest() for r in receipts() if r.account == account})

    async def forget_answers(self, before: datetime) -> int:
        return await self._server.read(lambda: 0)

    async def accounts(self) -> list[AccountId]:
        books = self._server.store.books
        return await self._server.read(lambda: sorted(one for one in books if books[one].events))

    async def close(self) -> None:
        await self._writer.close()

    async def keep(self, snapshot: Snapshot) -> bool:
        return await self._server.read(lambda: self._server.store.keep(snapshot))

    async def snapshot(self, account: AccountId, *, rules: str) -> Snapshot | None:
        return await self._server.read(lambda: self._server.store.snapshot(account, rules))
