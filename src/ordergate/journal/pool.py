"""Connections for reading: few, bounded in number and in time.

A statement that fails because its connection died is asked once more on another; reading twice
harms nobody. Everything else that goes wrong with the server is JournalUnavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ordergate.core.faults import JournalUnavailable
from ordergate.journal.session import WIRE_FAULTS, is_fatal, said

_SERVER_SETTINGS: Final = {
    "application_name": "ordergate reader",
    "default_transaction_read_only": "on",
    "jit": "off",
}


class ReadPool:
    """`fetch` and its kin take a statement and its arguments; `moment` sees one state of the database."""

    def __init__(
        self, pool: asyncpg.Pool, statement_s_max: float, first: tuple[str, tuple[str, ...]] | None = None
    ) -> None:
        self._pool = pool
        self._statement_s_max = statement_s_max
        self._first = first

    def saying_first(self, first: tuple[str, tuple[str, ...]]) -> ReadPool:
        """The same pool, which says this on a connection before it fetches; returned, it is forgotten."""
        return ReadPool(self._pool, self._statement_s_max, first)

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        connections_max: int = 4,
        statement_s_max: float = 10.0,
        role: str | None = None,
    ) -> ReadPool:
        """With a `role` every connection has its rights and no others."""
        settings = _SERVER_SETTINGS if role is None else {**_SERVER_SETTINGS, "role": role}
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=connections_max,
                timeout=statement_s_max,
                command_timeout=statement_s_max,
                server_settings=settings,
            )
            async with pool.acquire(timeout=statement_s_max):
                return cls(pool, statement_s_max)  # there is a server, and it lets us in
        except (*WIRE_FAULTS, ValueError) as error:
            raise JournalUnavailable(f"PostgreSQL cannot be reached: {said(error)}") from error

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        if any(isinstance(one, str) and "\0" in one for one in arguments):
            return []  # PostgreSQL stores no such text, so nothing can match it
        for last in (False, True):
            try:
                async with self._pool.acquire(timeout=self._statement_s_max) as connection:
                    if self._first is not None:
                        await connection.execute(self._first[0], *self._first[1])
                    return await connection.fetch(sql, *arguments)
            except WIRE_FAULTS as error:
                stop_who_is_cancelled(error)
                if last or not _is_wire(error):
                    raise _unavailable(error) from error
        raise AssertionError("both tries return or raise")

    async def fetchrow(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        rows = await self.fetch(sql, *arguments)
        return rows[0] if rows else None

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[PoolConnectionProxy[Any]]:
        """A connection inside one repeatable-read transaction."""
        try:
            async with AsyncExitStack() as stack:
                yield await self._begin(stack)
        except WIRE_FAULTS as error:
            stop_who_is_cancelled(error)
            raise _unavailable(error) from error

    async def _begin(self, stack: AsyncExitStack) -> PoolConnectionProxy[Any]:
        """A connection inside a transaction; another one if the first is found dead."""
        for last in (False, True):
            async with AsyncExitStack() as attempt:
                acquired = self._pool.acquire(timeout=self._statement_s_max)
                try:
                    connection = await attempt.enter_async_context(acquired)
                    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
                    await attempt.enter_async_context(transaction)
                except WIRE_FAULTS as error:
                    stop_who_is_cancelled(error)
                    if last or not _is_wire(error):
                        raise
                    continue
                stack.push_async_exit(attempt.pop_all())
                return connection
        raise AssertionError("both tries return or raise")

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._statement_s_max):
                await self._pool.close()
        except WIRE_FAULTS:
            self._pool.terminate()


def stop_who_is_cancelled(error: BaseException) -> None:
    """A connection that breaks while it is given back hides that its reader was cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _is_wire(error: BaseException) -> bool:
    """Whether the connection, not the statement, was the trouble."""
    if isinstance(error, asyncpg.PostgresError):
        return is_fatal(error)
    return not isinstance(error, TimeoutError)


def _unavailable(error: BaseException) -> JournalUnavailable:
    return JournalUnavailable(f"the journal cannot be read: {said(error)}")
