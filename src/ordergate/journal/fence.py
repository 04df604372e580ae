"""The read tables behind the second fence: PostgreSQL itself shows only what is the tenant's and the asker's.

A connection here has a role that sees nothing until it is told for whom it looks, and forgets it when it goes
back into the pool. The service's own checks come before; this holds where one of them is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import asyncpg

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal import session, sqlfiles
from ordergate.journal.pool import ReadPool
from ordergate.journal.views import PostgresViews

READER: Final = "ordergate_reader"

_SQL: Final = sqlfiles.statements("fence")


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
        who = (_SQL["look_as"], (tenant, " ".join(accounts)))
        return PostgresViews(self._pool.saying_first(who))


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
