"""A signed log over a journal on PostgreSQL, published in a folder, and what happens to it from outside."""

from __future__ import annotations

from typing import Final

import asyncpg

from ordergate.audit.folder import FolderSink
from ordergate.core.ids import Env
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.postgres import PostgresJournal
from ordergate.security.keys import notes as note_keys
from ordergate.security.keys.local import open_keys
from ordergate.wiring.settings import Settings
from tests.audit.logs import Author, HandClock, checkpointer
from tests.journal.making import START

PIECES: Final = (9, 14, 5, 12)
WRITTEN: Final = START
"""When all of it says that it was, within milliseconds."""


async def write_log(settings: Settings, database: str) -> None:
    """A few accounts' events, signed for in pieces."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    log = await PostgresAuditLog.connect(database)
    keys = note_keys.KeptNoteKeys(open_keys(settings.data_dir / "keys", Env.PAPER, lambda: 0))
    made = checkpointer(log, FolderSink(settings.data_dir / "audit"), HandClock(), keys=await keys.made())
    await made._begin()
    author = Author(journal)
    for count in PIECES:
        await author.write(count)
        await made.checkpoint(await log.heads())
    await log.close()
    await journal.close()


async def lose_the_newest(database: str) -> None:
    """As a backup from before the last checkpoint would."""
    connection = await asyncpg.connect(database)
    for table in ("audit_checkpoint", "audit_range"):
        await connection.execute(f"alter table {table} disable trigger user")
    signed = await connection.fetchval("select max(size) from audit_checkpoint")
    await connection.execute("delete from audit_checkpoint where size = $1", signed)
    before = await connection.fetchval("select max(size) from audit_checkpoint")
    await connection.execute("delete from audit_range where first_index >= $1", before)
    await connection.close()
