"""A PostgreSQL of these tests' own, and a database in it for each test that asks."""

import asyncio
import secrets
from collections.abc import Iterator

import asyncpg
import pytest

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.security.migrations import identity_migrations


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    running = EmbeddedPostgres(tmp_path_factory.mktemp("identity"))
    asyncio.run(running.start())
    yield running
    asyncio.run(running.stop())


@pytest.fixture
def dsn(server: EmbeddedPostgres) -> str:
    """A database of its own for each test, with the migrations in it."""

    async def prepare() -> str:
        address = await server.database(f"t{secrets.token_hex(8)}")
        connection = await asyncpg.connect(address)
        for _, _, text in identity_migrations():
            await connection.execute(text)
        await connection.close()
        return address

    return asyncio.run(prepare())


@pytest.fixture(params=["memory", "postgres"])
def place(request: pytest.FixtureRequest) -> str | None:
    """Where the store is: a database's address, or nowhere but in memory."""
    if request.param == "memory":
        return None
    address: str = request.getfixturevalue("dsn")
    return address
