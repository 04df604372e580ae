"""A database of one's own, with the migrations of identities in it and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.security.migrations import identity_migrations
from tests.fixtures.postgres import copy_of

_TEMPLATE: Final = "template_identities"


@pytest.fixture(scope="session")
def identities(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """The server, with what every such database begins as."""

    async def prepare() -> None:
        connection = await asyncpg.connect(await postgres.database(_TEMPLATE))
        for _, _, text in identity_migrations():
            await connection.execute(text)
        await connection.close()

    asyncio.run(prepare())
    return postgres


@pytest_asyncio.fixture
async def dsn(identities: EmbeddedPostgres) -> AsyncIterator[str]:
    async with copy_of(identities, _TEMPLATE) as address:
        yield address


@pytest.fixture(params=["memory", "postgres"])
def place(request: pytest.FixtureRequest) -> str | None:
    """Where the store is: a database's address, or nowhere but in memory."""
    if request.param == "memory":
        return None
    address: str = request.getfixturevalue("dsn")
    return address
