"""How identity's statements are read and asked: each from its file, within a time, failing in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

import asyncpg

from ordergate.security.clients import StoreUnavailable

TIMEOUT_S: Final = 3.0


def sql(name: str) -> str:
    return files("ordergate.security").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def told_as_unavailable() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"the identity store did not answer: {type(error).__name__}") from error
