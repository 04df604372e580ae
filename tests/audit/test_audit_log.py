"""What the audit's log promises, asked of PostgreSQL's and of its twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from ordergate.audit.folder import EVERY, FolderSink
from ordergate.core.faults import AppendConflict
from ordergate.core.ids import Env
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_audit import MemoryAuditLog
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.audit import AuditLog, Head, Range
from ordergate.ports.journal import Journal
from tests.audit.logs import Author
from tests.journal.making import ALICE, BOB

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


@pytest.fixture(params=["memory", "postgres"])
async def both(request: pytest.FixtureRequest, database: str) -> AsyncIterator[tuple[Journal, AuditLog]]:
    if request.param == "memory":
        twin = MemoryJournal(Env.PAPER)
        yield twin, MemoryAuditLog(twin.store)
        return
    journal = await PostgresJournal.connect(database, Env.PAPER)
    log = await PostgresAuditLog.connect(database)
    yield journal, log
    await log.close()
    await journal.close()


def head(size: int, root: bytes = bytes(32)) -> Head:
    frontier = tuple(bytes([number]) * 32 for number in range(size.bit_count()))
    return Head(size, root, frontier, f"note {size}", AT)


async def test_heads_seals_ranges_and_checkpoints(both: tuple[Journal, AuditLog]) -> None:
    journal, log = both
    assert await log.heads() == {}
    assert await log.newest() is None
    await Author(journal).write(6)
    assert await log.heads() == {ALICE: 5, BOB: 3}
    seals = await log.seals(ALICE, 1, 4)
    assert len(seals) == 3
    assert len(set(seals)) == 3
    assert seals == list(await log.seals(ALICE, 0, 5))[1:4]
    assert await log.taken(0) == {}
    first = [Range(0, ALICE, 0, 2), Range(2, BOB, 0, 3)]
    await log.keep(first, head(5))
    await log.keep([Range(5, ALICE, 2, 5)], head(8))
    assert [one async for one in log.ranges()] == [*first, Range(5, ALICE, 2, 5)]
    assert await log.taken(8) == {ALICE: 5, BOB: 3}
    assert await log.taken(5) == {ALICE: 2, BOB: 3}
    assert await log.newest() == head(8)
    assert await log.at(5) == head(5)
    assert await log.at(6) is None


async def test_two_checkpointers_do_not_both_go_on(both: tuple[Journal, AuditLog]) -> None:
    journal, log = both
    await Author(journal).write(3)
    await log.keep([Range(0, ALICE, 0, 2)], head(2))
    with pytest.raises(AppendConflict, match="not kept"):
        await log.keep([Range(0, ALICE, 0, 3)], head(3))
    assert await log.newest() == head(2)


async def test_what_was_signed_is_not_changed_in_the_database(database: str) -> None:
    log = await PostgresAuditLog.connect(database)
    await log.keep([Range(0, ALICE, 0, 2)], head(2))
    await log.close()
    connection = await asyncpg.connect(database)
    try:
        for statement in (
            "update audit_checkpoint set note = ''",
            "delete from audit_checkpoint",
            "truncate audit_checkpoint",
            "update audit_range set upto_seq = 3",
            "delete from audit_range",
        ):
            with pytest.raises(asyncpg.PostgresError, match="never changed"):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_folder_keeps_the_newest_and_every_one(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "audit")
    assert await sink.newest() is None
    await sink.publish("one — 1\n")
    await sink.publish("two — 2\n")
    assert await FolderSink(tmp_path / "audit").newest() == "two — 2\n"
    assert (tmp_path / "audit" / EVERY).read_text(encoding="utf-8").count("\n") == 2


async def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file, where the folder should be")
    with pytest.raises(OSError, match="audit"):
        await FolderSink(tmp_path / "audit").publish("note")
