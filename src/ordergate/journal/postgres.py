"""The journal on PostgreSQL.

Writing goes through the one fenced writer; reading has connections of its own. A database belongs
to one environment, and a server that may lose what it has acknowledged is refused in live.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from struct import unpack
from typing import Final, Generic

import asyncpg

from ordergate.core.faults import JournalUnavailable
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, E, Env, OrderId
from ordergate.journal import reading, session, snapshots, sqlfiles
from ordergate.journal.migrate import check_current
from ordergate.journal.pool import ReadPool
from ordergate.journal.writer import Committed, Limits, Writer
from ordergate.ports.journal import Committed as Durable
from ordergate.ports.journal import Snapshot, Stored, Taken, Unit

_SQL: Final = sqlfiles.statements("journal")
_WRITER_SQL: Final = sqlfiles.statements("writer")
_NOT_DURABLE: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "data_checksums": "off",
}


_CARE_S_MAX: Final = 60.0


class PostgresJournal(Generic[E]):
    """Keeps the promises of `ports.journal.Journal`. Made by `connect`."""

    def __init__(self, dsn: str, env: E, writer: Writer, pool: ReadPool) -> None:
        self.env: E = env
        self._dsn = dsn
        self._writer = writer
        self._pool = pool

    @classmethod
    async def connect(
        cls,
        dsn: str,
        env: E,
        *,
        limits: Limits | None = None,
        on_committed: Callable[[Committed], None] | None = None,
    ) -> PostgresJournal[E]:
        """Check the database, get the fence, begin writing.

        Raises JournalUnavailable with a sentence for the operator: unreachable, not migrated,
        another environment's, not durable (live), or written by another gateway (FenceHeld).
        """
        bounds = limits or Limits()
        await _check(dsn, env, bounds)

        async def open_session(previous: session.Backend | None) -> session.Session:
            return await session.open_session(
                dsn, previous=previous, fence_s_max=bounds.fence_s_max, statement_s_max=bounds.statement_s_max
            )

        writer = Writer(open_session, bounds, on_committed=on_committed)
        await writer.start()
        try:
            pool = await ReadPool.connect(dsn, statement_s_max=bounds.statement_s_max)
        except BaseException:
            await writer.close()
            raise
        return cls(dsn, env, writer, pool)

    @property
    def connected(self) -> bool:
        """Whether the writer has its connection and the fence, for readiness."""
        return self._writer.connected

    @property
    def queued(self) -> int:
        """How many units wait to be written."""
        return self._writer.queued

    @property
    def room(self) -> int:
        return self._writer.room

    @property
    def displaced(self) -> bool:
        return self._writer.displaced

    async def take(self, account: AccountId) -> Taken:
        return await self._writer.take(account)

    def append(self, unit: Unit) -> Durable:
        return self._writer.append(unit)

    def read(self, account: AccountId, *, after: int, upto: int | None = None) -> AsyncIterator[Stored]:
        return reading.read(self._pool, account, after=after, upto=upto)

    async def seal_at(self, account: AccountId, seq: int) -> bytes | None:
        row = await self._pool.fetchrow(_WRITER_SQL["hash_at"], account, seq)
        return None if row is None else bytes(row["hash"])

    async def history(self, order: OrderId) -> list[Stored]:
        return await reading.history(self._pool, order)

    async def adopted(self, account: AccountId, broker_order_id: str) -> OrderId | None:
        row = await self._pool.fetchrow(_SQL["adopted"], account, broker_order_id)
        return None if row is None else OrderId(row["order_id"])

    async def receipt(self, scope: Scope) -> Receipt | None:
        row = await self._pool.fetchrow(
            _SQL["receipt"], scope.env, scope.tenant, scope.client_id, scope.route, scope.key
        )
        if row is None:
            return None
        return Receipt(
            scope=scope,
            fingerprint=row["fingerprint"],
            account=AccountId(row["account"]),
            order=None if row["order_id"] is None else OrderId(row["order_id"]),
            status=row["status"],
            body=row["body"],
            at=row["at"],
        )

    async def key_digests(self, account: AccountId) -> set[int]:
        row = await self._pool.fetchrow(_SQL["key_digests"], account)
        packed = b"" if row is None else row["digests"] or b""
        return set(unpack(f">{len(packed) // 8}q", packed))

    async def forget_answers(self, before: datetime) -> int:
        connection = await session.connect(self._dsn, timeout_s=_CARE_S_MAX)
        try:
            async with asyncio.timeout(_CARE_S_MAX):
                return int(await connection.fetchval(_SQL["forget_answers"], before))
        except session.WIRE_FAULTS as error:
            raise JournalUnavailable(f"old answers were not dropped: {session.said(error)}") from error
        finally:
            connection.terminate()

    async def accounts(self) -> list[AccountId]:
        return [AccountId(row["account"]) for row in await self._pool.fetch(_SQL["accounts"])]

    async def keep(self, snapshot: Snapshot) -> bool:
        return await snapshots.keep(self._dsn, self._pool, snapshot)

    async def snapshot(self, account: AccountId, *, rules: str) -> Snapshot | None:
        return await snapshots.snapshot(self._pool, account, rules)

    async def close(self) -> None:
        """Write what waits and give the fence back."""
        try:
            await self._writer.close()
        finally:
            await self._pool.close()


async def _check(dsn: str, env: Env, limits: Limits) -> None:
    """Everything that must be so before the first word is written."""
    connection = await session.connect(dsn, timeout_s=limits.statement_s_max)
    try:
        async with asyncio.timeout(2 * limits.statement_s_max):
            await check_current(connection)
            settings = await connection.fetch(_WRITER_SQL["server_settings"])
            _check_durable(settings[0], env)
            await connection.execute(_WRITER_SQL["claim_env"], env)
            found = await connection.fetchval(_WRITER_SQL["journal_env"])
    except session.WIRE_FAULTS as error:
        raise JournalUnavailable(
            f"PostgreSQL was lost while opening the journal: {session.said(error)}"
        ) from error
    finally:
        connection.terminate()
    require_own(found, env)


def require_own(found: str, env: Env) -> None:
    """A database is of the environment that opened it first, for ever. Raises JournalUnavailable."""
    if found != env:
        raise JournalUnavailable(f"this database belongs to the {found} environment, this process to {env}")


def _check_durable(settings: asyncpg.Record, env: Env) -> None:
    if settings["in_recovery"]:
        raise JournalUnavailable("this PostgreSQL is a standby; the journal is written on the primary")
    weak = sorted(name for name, bad in _NOT_DURABLE.items() if settings[name] == bad)
    if weak and env is Env.LIVE:
        raise JournalUnavailable(
            f"PostgreSQL may lose what it has acknowledged ({', '.join(weak)} is off): live mode refuses it"
        )
