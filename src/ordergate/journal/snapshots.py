"""Keeps what accounts were folded to beside the journal, and gives it back where its seal holds.

A snapshot is sealed to the event it was made at, as the next event is: it fits no other past. It is
written on a connection of its own, so that no commit waits for it. Never truth: whatever is wrong with
one is a reason to give none, and never a fault.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

import msgspec

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal import chain, session, sqlfiles
from ordergate.journal.pool import ReadPool
from ordergate.ports.journal import Snapshot
from ordergate.telemetry.log import logger

log = logger("snapshots")

KEEPING_S_MAX: Final = 60.0
_LEVEL: Final = 1  # a sixth of the size for little work

_SQL: Final = sqlfiles.statements("snapshots")
_JOURNAL_SQL: Final = sqlfiles.statements("journal")


async def keep(dsn: str, pool: ReadPool, snapshot: Snapshot) -> bool:
    """As `ports.journal.Journal.keep` promises."""
    row = await pool.fetchrow(_JOURNAL_SQL["link_at"], snapshot.account, snapshot.seq)
    if row is None:
        return False
    body = await asyncio.to_thread(zlib.compress, snapshot.body, _LEVEL)
    stored = msgspec.structs.replace(snapshot, body=body)
    connection = await session.connect(dsn, timeout_s=KEEPING_S_MAX)
    try:
        async with asyncio.timeout(KEEPING_S_MAX):
            kept = await connection.fetchval(
                _SQL["keep_snapshot"],
                stored.account,
                stored.epoch,
                stored.seq,
                stored.rules,
                _seal(row["hash"], stored),
                stored.body,
            )
    except session.WIRE_FAULTS as error:
        raise JournalUnavailable(f"the snapshot was not kept: {session.said(error)}") from error
    finally:
        connection.terminate()
    return kept is not None


async def snapshot(pool: ReadPool, account: AccountId, rules: str) -> Snapshot | None:
    """As `ports.journal.Journal.snapshot` promises."""
    row = await pool.fetchrow(_SQL["snapshot"], account)
    if row is None:
        return None
    kept = Snapshot(account=account, epoch=row["epoch"], seq=row["seq"], rules=row["rules"], body=row["body"])
    if kept.rules != rules:
        log.info("snapshot.passed_over", account=account, seq=kept.seq, why="it was folded by other rules")
        return None
    if row["hash"] is None or _seal(row["hash"], kept) != row["seal"]:
        log.error("snapshot.passed_over", account=account, seq=kept.seq, why="its seal does not hold")
        return None
    body = await asyncio.to_thread(zlib.decompress, kept.body)
    return msgspec.structs.replace(kept, body=body)


async def drop(dsn: str) -> int:
    """Throw all of them away, and say how many there were. Raises JournalUnavailable."""
    connection = await session.connect(dsn, timeout_s=KEEPING_S_MAX)
    try:
        async with asyncio.timeout(KEEPING_S_MAX):
            return int(await connection.fetchval(_SQL["drop_snapshots"]))
    except session.WIRE_FAULTS as error:
        raise JournalUnavailable(f"the snapshots were not dropped: {session.said(error)}") from error
    finally:
        connection.terminate()


def _seal(link: bytes, stored: Snapshot) -> bytes:
    return chain.seal_snapshot(
        link, account=stored.account, seq=stored.seq, rules=stored.rules, body=stored.body
    )
