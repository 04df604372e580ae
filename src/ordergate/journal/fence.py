"""What is read behind the second fence: PostgreSQL itself shows only what is the tenant's and the asker's.

A connection here has a role that sees nothing until it is told for whom it looks, and forgets it when it goes
back into the pool. The service's own checks come before; this holds where one of them is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

import asyncpg

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal import session, sqlfiles
from ordergate.journal.pool import ReadPool
from ordergate.journal.surveillance import copy_in
from ordergate.journal.views import PostgresViews
from ordergate.ports.surveillance import Copy

READER: Final = "ordergate_reader"

_SQL: Final = sqlfiles.statements("fence")
_COPIES_OF: Final = sqlfiles.statements("surveillance")["copies_of"]


class FencedViews:
    """Implements `ports.views.SeenViews`. Made by `connect`."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    @classmethod
    async def connect(
        cls, dsn: str, *, connections_max: int = 4, statement_s_max: float = 5.0
    ) -> FencedViews:
        return cls(
            await ReadPool.connect(
                dsn, connections_max=connections_max, statement_s_max=statement_s_max, role=READER
            )
        )

    async def close(self) -> None:
        await self._pool.close()

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> PostgresViews:
        """The tables as they are for these accounts of this tenant; whoever asks for others finds nothing."""
        return PostgresViews(_looking_as(self._pool, tenant, accounts))

    def copies(self, last_number: Callable[[], Awaitable[int]]) -> FencedCopies:
        """The drop copy, over the same connections."""
        return FencedCopies(self._pool, last_number)


class FencedCopies:
    """Implements `ports.surveillance.SeenCopies`. How far the numbers go is no secret: the owner tells it."""

    def __init__(self, pool: ReadPool, last_number: Callable[[], Awaitable[int]]) -> None:
        self._pool = pool
        self._last_number = last_number

    async def last_number(self) -> int:
        return await self._last_number()

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> _Copies:
        return _Copies(_looking_as(self._pool, tenant, accounts))


class _Copies:
    """Implements `ports.surveillance.Copies`."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def copies_of(self, accounts: Sequence[AccountId], after: int, most: int) -> Sequence[Copy]:
        return [copy_in(row) for row in await self._pool.fetch(_COPIES_OF, list(accounts), after, most)]


def _looking_as(pool: ReadPool, tenant: str, accounts: Collection[AccountId]) -> ReadPool:
    return pool.saying_first((_SQL["look_as"], (tenant, " ".join(accounts))))


async def place_owners(dsn: str, owners: Mapping[AccountId, str], *, timeout_s: float = 10.0) -> None:
    """Say which tenant's each account is. Raises ValueError where it is another's already, and Fault."""
    accounts = list(owners)
    connection = await session.connect(dsn, timeout_s=timeout_s)
    try:
        await connection.execute(_SQL["place_owners"], accounts, list(owners.values()), timeout=timeout_s)
        rows = await connection.fetch(_SQL["owners"], accounts, timeout=timeout_s)
    except (*session.WIRE_FAULTS, asyncpg.PostgresError) as error:
        raise JournalUnavailable(f"the accounts' owners cannot be written: {session.said(error)}") from error
    finally:
        connection.terminate()
    strange = [row["account"] for row in rows if owners[AccountId(row["account"])] != row["tenant"]]
    if strange:
        raise ValueError(f"an account never changes its tenant: {', '.join(sorted(strange))}")
