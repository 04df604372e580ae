"""Puts the audit together: the journal as a log, the folder of checkpoints, the key that signs them.

And reads it from outside for the command line: verifying, exporting, proving. Changes nothing then.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from ordergate.audit.checkpointer import Checkpointer, Pace
from ordergate.audit.folder import FolderSink
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.security.keys import notes as note_keys
from ordergate.wiring.settings import Settings
from ordergate.wiring.system import SystemClock


def folder_of(settings: Settings) -> Path:
    """Where checkpoints are published."""
    return settings.audit.folder or settings.data_dir / "audit"


async def checkpointer(
    settings: Settings, dsn: str, clock: SystemClock, stack: AsyncExitStack
) -> Checkpointer:
    """The background part that signs; the node runs it. Raises Fault."""
    log = await PostgresAuditLog.connect(dsn)
    stack.push_async_callback(log.close)
    return Checkpointer(
        settings.log_origin,
        audit_log=log,
        sink=FolderSink(folder_of(settings)),
        key=note_keys.load_or_create(settings.data_dir / "keys", settings.environment),
        clock=clock,
        pace=Pace(every_s=settings.audit.every_s, records=settings.audit.records),
    )
