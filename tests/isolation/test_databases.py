"""Barrier 4 on a real PostgreSQL: on one server, a user of one environment reads nothing of the other's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple, cast

import asyncpg
import pytest
import pytest_asyncio

from ordergate.core.ids import Env, Paper
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.fence import READER
from ordergate.journal.postgres import PostgresJournal
from ordergate.wiring.gateway import migrate_all

OTHER: Final = {Env.PAPER: Env.LIVE, Env.LIVE: Env.PAPER}
TABLES: Final = "select format('%I', tablename) from pg_tables where schemaname = 'public'"


class Server(NamedTuple):
    """One PostgreSQL with a database and a user for each environment, as an operator would make them."""

    admin: str
    dsn: dict[Env, str]

    def foreign(self, env: Env) -> str:
        """The other environment's database, with this one's user."""
        return self.dsn[OTHER[env]].replace(f"of_{OTHER[env]}@", f"of_{env}@")


@pytest_asyncio.fixture
async def server(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[Server]:
    """`database` is there so that the server has the reader's role already."""
    admin = await asyncpg.connect(database)
    try:
        dsn = {}
        for env in Env:
            await admin.execute(f"create role of_{env} login")
            await admin.execute(f"grant {READER} to of_{env}")
            await admin.execute(f"create database books_of_{env} owner of_{env}")
            dsn[env] = postgres.dsn(f"books_of_{env}").replace("ordergate@", f"of_{env}@")
            await migrate_all(dsn[env])
            journal = await PostgresJournal.connect(dsn[env], cast("Paper", env))
            await journal.close()
        yield Server(database, dsn)
        for env in Env:
            await admin.execute(f"drop database books_of_{env} with (force)")
            await admin.execute(f"drop role of_{env}")
    finally:
        await admin.close(timeout=10)


@pytest.mark.parametrize("env", list(Env))
async def test_a_user_of_one_environment_does_not_even_connect_to_the_others_database(
    server: Server, env: Env
) -> None:
    """Its membership in the reader's role, which is one for the whole server, would let it read there."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await _ask(server.foreign(env), "select body from order_view")


@pytest.mark.parametrize("env", list(Env))
async def test_its_own_it_reads(server: Server, env: Env) -> None:
    tables = [row[0] for row in await _ask(server.dsn[env], TABLES)]
    assert {"event", "order_view", "account_owner"} <= set(tables)
    for table in tables:
        await _ask(server.dsn[env], f"select * from {table}")


async def _ask(dsn: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close(timeout=10)
