"""Brings a database to this release's schema.

Migrations are numbered, never edited once released (each is stored with its checksum), and
applied under a lock, each in its own transaction, so that several gateways may start at once and a
crash in the middle leaves a whole number of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

import asyncpg

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.journal import session, sqlfiles
from ordergate.telemetry import failpoints

OWN_NUMBER_MAX: Final = 499
STEP_S_MAX: Final = 1800.0
Migration = tuple[int, str, str]
"""Number, name and text."""

_LOCK: Final = (0x4F47, 2)  # "OG", migrations
_SQL: Final = sqlfiles.statements("migrate")


class SchemaMismatch(Fault):
    """The database has had migrations that this release does not know, or knows otherwise."""


async def migrate(
    dsn: str, *, also: Sequence[Migration] = (), timeout_s: float = 60.0, step_s_max: float = STEP_S_MAX
) -> list[str]:
    """Apply what is missing; the names of what was applied. A long journal may take long for one step.

    `also` are the migrations of other rooms that keep their tables in the same database; their
    numbers lie above `OWN_NUMBER_MAX`.

    Raises JournalUnavailable when PostgreSQL cannot be reached, SchemaMismatch when its history is not ours.
    """
    connection = await session.connect(dsn, timeout_s=timeout_s)
    try:
        applied = []
        for number, name, text in sorted([*sqlfiles.migrations(), *also]):
            async with asyncio.timeout(step_s_max):
                is_new = await _apply(connection, number, name, text)
            if is_new:
                applied.append(name)
                failpoints.reach("C16")
        async with asyncio.timeout(timeout_s):
            await check_current(connection, also)
        return applied
    except session.WIRE_FAULTS as error:
        raise JournalUnavailable(f"the database cannot be migrated: {session.said(error)}") from error
    finally:
        connection.terminate()


async def check_current(connection: asyncpg.Connection, also: Sequence[Migration] = ()) -> None:
    """Refuse a database that is behind this release, ahead of it, or on another path.

    Without `also` only the journal's own tables are looked at.
    """
    had = await _history(connection)
    if not also:
        had = {number: what for number, what in had.items() if number <= OWN_NUMBER_MAX}
    ours = {number: (name, _checksum(text)) for number, name, text in (*sqlfiles.migrations(), *also)}
    for number, (name, checksum) in had.items():
        if number not in ours:
            raise SchemaMismatch(f"the database has had {name}, unknown to this release: update Ordergate")
        if ours[number] != (name, checksum):
            raise SchemaMismatch(f"the database has had another {name} than this release's")
    if len(had) < len(ours):
        missing = ", ".join(name for number, (name, _) in ours.items() if number not in had)
        raise JournalUnavailable(f"the database lacks {missing}: run `ordergate migrate`")


async def _apply(connection: asyncpg.Connection, number: int, name: str, text: str) -> bool:
    async with connection.transaction():
        await connection.fetchval(_SQL["serialize"], *_LOCK)
        if number in await _history(connection):
            return False
        await connection.execute(_SQL["begin_ledger"])
        await connection.execute(text)
        await connection.execute(_SQL["record"], number, name, _checksum(text))
        return True


async def _history(connection: asyncpg.Connection) -> dict[int, tuple[str, bytes]]:
    if not await connection.fetchval(_SQL["has_ledger"]):
        return {}
    rows = await connection.fetch(_SQL["applied"])
    return {row["number"]: (row["name"], row["checksum"]) for row in rows}


def _checksum(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
