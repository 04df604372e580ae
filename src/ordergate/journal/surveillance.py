"""What others are told, kept on PostgreSQL: the drop copy and the messages under way.

One process writes here, the one that holds the journal's fence, so numbers have no gaps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal import session, sqlfiles
from ordergate.journal.pool import stop_who_is_cancelled
from ordergate.ports.surveillance import Copy, Delivery, Forgotten, Notice

_SQL: Final = sqlfiles.statements("surveillance")


class PostgresSurveillance:
    """Keeps the promises of `ports.surveillance`: Surveillance and Copies."""

    def __init__(self, pool: asyncpg.Pool, statement_s_max: float) -> None:
        self._pool = pool
        self._statement_s_max = statement_s_max

    @classmethod
    async def connect(cls, dsn: str, *, statement_s_max: float = 10.0) -> PostgresSurveillance:
        """Raises JournalUnavailable."""
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=3,
                timeout=statement_s_max,
                command_timeout=statement_s_max,
                server_settings={"application_name": "ordergate surveillance", "jit": "off"},
            )
        except (*session.WIRE_FAULTS, ValueError) as error:
            raise JournalUnavailable(f"PostgreSQL cannot be reached: {session.said(error)}") from error
        return cls(pool, statement_s_max)

    async def cursors(self) -> Mapping[AccountId, int]:
        async with self._connection() as connection:
            rows = await connection.fetch(_SQL["cursors"])
        return {AccountId(row["account"]): row["seq"] for row in rows}

    async def keep(
        self,
        cursors: Mapping[AccountId, int],
        copies: Sequence[Notice],
        deliveries: Sequence[tuple[str, Notice]],
        now: datetime,
    ) -> None:
        async with self._connection() as connection, connection.transaction():
            number = await connection.fetchval(_SQL["last_number"]) if copies else 0
            for one in copies:
                if not await connection.fetchval(_SQL["has_copy"], one.account, one.seq):
                    number += 1
                    await connection.execute(
                        _SQL["keep_copy"], number, one.account, one.seq, one.kind, now, one.frame.decode()
                    )
            rows = [
                (endpoint, one.account, one.seq, one.kind, one.frame.decode(), now)
                for endpoint, one in deliveries
            ]
            await connection.executemany(_SQL["keep_delivery"], rows)
            await connection.executemany(_SQL["keep_cursor"], list(cursors.items()))

    async def due(self, endpoint: str, now: datetime, most: int) -> Sequence[Delivery]:
        async with self._connection() as connection:
            rows = await connection.fetch(_SQL["due"], endpoint, now, most)
        return [Delivery(endpoint=endpoint, notice=_notice(row), attempts=row["attempts"]) for row in rows]

    async def delivered(self, delivery: Delivery, now: datetime) -> None:
        one = delivery.notice
        async with self._connection() as connection:
            await connection.execute(_SQL["delivered"], delivery.endpoint, one.account, one.seq, now)

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> None:
        one = delivery.notice
        async with self._connection() as connection:
            await connection.execute(_SQL["failed"], delivery.endpoint, one.account, one.seq, why, again_at)

    async def forget(self, taken_before: datetime, dead_before: datetime) -> Forgotten:
        async with self._connection() as connection:
            (row,) = await connection.fetch(_SQL["forget"], taken_before, dead_before)
        return Forgotten(row["taken"], row["dead"])

    async def forgettable(self, taken_before: datetime, dead_before: datetime) -> Forgotten:
        """What `forget` would drop."""
        async with self._connection() as connection:
            (row,) = await connection.fetch(_SQL["due_to_be_forgotten"], taken_before, dead_before)
        return Forgotten(row["taken"], row["dead"])

    async def copies(self, after: int, most: int) -> Sequence[Copy]:
        async with self._connection() as connection:
            rows = await connection.fetch(_SQL["copies"], after, most)
        return [copy_in(row) for row in rows]

    async def copies_of(self, accounts: Sequence[AccountId], after: int, most: int) -> Sequence[Copy]:
        async with self._connection() as connection:
            rows = await connection.fetch(_SQL["copies_of"], list(accounts), after, most)
        return [copy_in(row) for row in rows]

    async def last_number(self) -> int:
        async with self._connection() as connection:
            return int(await connection.fetchval(_SQL["last_number"]))

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._statement_s_max):
                await self._pool.close()
        except session.WIRE_FAULTS:
            self._pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        try:
            async with self._pool.acquire(timeout=self._statement_s_max) as connection:
                yield connection
        except session.WIRE_FAULTS as error:
            stop_who_is_cancelled(error)
            raise JournalUnavailable(f"notices cannot be kept: {session.said(error)}") from error


def copy_in(row: asyncpg.Record) -> Copy:
    return Copy(number=row["number"], at=row["at"], notice=_notice(row))


def _notice(row: asyncpg.Record) -> Notice:
    return Notice(
        account=AccountId(row["account"]), seq=row["seq"], kind=row["kind"], frame=row["frame"].encode()
    )
