"""The database by which gateways of one environment, each with a journal of its own, stop together.

Every gateway tells what is stopped in it, and takes what others tell; a row is taken once by each. One
connection of its own, made anew when it is lost. Decides nothing about what is stopped, and releases nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env
from ordergate.journal import session, sqlfiles
from ordergate.journal.kill_rows import flag_of
from ordergate.ports.kill_flags import Flag

TIMEOUT_S: Final = 1.0
POLL_S: Final = 0.25

_SERVER_SETTINGS: Final = {"application_name": "ordergate shared stops", "jit": "off"}
_SQL: Final = sqlfiles.statements("shared_stops")


class SharedStops:
    """Implements ports.kill_flags.SharedFlags. `own_dsn` is of the journal, whose identity it goes by."""

    name = "the shared database"
    poll_s = POLL_S

    def __init__(self, dsn: str, own_dsn: str, env: Env, node: str) -> None:
        self._dsn = dsn
        self._own_dsn = own_dsn
        self._env = env
        self._node = node
        self._identity: UUID | None = None
        self._connection: asyncpg.Connection | None = None
        self._told: frozenset[str] | None = None
        self._asking = asyncio.Lock()

    async def tell(self, stops: Sequence[Flag]) -> None:
        ids = frozenset(one.id for one in stops)
        if ids == self._told:
            return
        identity = await self._own_identity()
        for one in stops:
            await self._ask(
                "tell", one.id, identity, one.level, one.target, one.grade, one.actor, one.reason, one.at
            )
        await self._ask("end_told", identity, list(ids))
        self._told = ids

    async def raised(self) -> Sequence[Flag]:
        identity = await self._own_identity()
        if not await self._ask("present", identity, self._node):
            raise JournalUnavailable("another gateway shares stops under this journal's name")
        return [flag_of(dict(row)) for row in await self._ask("raised", identity)]

    async def lower(self, flag: Flag) -> None:
        await self._ask("take", flag.id, await self._own_identity())

    async def close(self) -> None:
        """Whoever comes after us need not wait."""
        try:
            if self._identity is not None:
                await self._ask("leave", self._identity, self._node)
        except JournalUnavailable:
            return
        finally:
            self._drop()

    async def _own_identity(self) -> UUID:
        if self._identity is None:
            connection = await self._connect(self._own_dsn)
            try:
                self._identity = await connection.fetchval(_SQL["identity"], timeout=TIMEOUT_S)
            except (*session.WIRE_FAULTS, ValueError) as error:
                raise _unavailable(error) from error
            finally:
                connection.terminate()
            assert self._identity is not None
        return self._identity

    async def _ask(self, name: str, *arguments: object) -> list[Any]:
        async with self._asking:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    if self._connection is None or self._connection.is_closed():
                        self._told = None
                        self._connection = await self._connect(self._dsn)
                        await self._check(self._connection)
                    rows: list[Any] = await self._connection.fetch(_SQL[name], *arguments)
                    return rows
            except (*session.WIRE_FAULTS, ValueError) as error:
                self._drop()
                raise _unavailable(error) from error
            except JournalUnavailable:
                self._drop()
                raise

    async def _check(self, connection: asyncpg.Connection) -> None:
        found = await connection.fetchval(_SQL["env"])
        if found not in (None, self._env):
            raise JournalUnavailable(f"the shared database is of the {found} environment, not {self._env}")

    async def _connect(self, dsn: str) -> asyncpg.Connection:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asyncpg.connect(dsn, timeout=TIMEOUT_S, server_settings=_SERVER_SETTINGS)
        except (*session.WIRE_FAULTS, ValueError) as error:
            raise _unavailable(error) from error

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _unavailable(error: BaseException) -> JournalUnavailable:
    return JournalUnavailable(f"stops cannot be shared: {session.said(error)}")
