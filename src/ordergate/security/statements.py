"""How identity's statements are read and asked: each from its file, within a time, failing in one way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Final

import asyncpg

from ordergate.security.clients import StoreUnavailable

TIMEOUT_S: Final = 3.0
POOL_MAX: Final = 2


def sql(name: str) -> str:
    return files("ordergate.security").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def told_as_unavailable() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"the identity store did not answer: {type(error).__name__}") from error


@asynccontextmanager
async def small_pool(dsn: str, name: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections that the server knows by `name`, closed at the end. Raises StoreUnavailable."""
    with told_as_unavailable():
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=POOL_MAX, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S,
            server_settings={"application_name": name},
        )  # fmt: skip
    try:
        yield pool
    finally:
        pool.terminate()
