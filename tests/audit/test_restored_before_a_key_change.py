"""A database put back to before its log's key was changed: a person lets the log go on under the new key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from ordergate.audit import notes
from ordergate.audit.checkpointer import Checkpointer, Contradiction
from ordergate.audit.folder import EVERY, NEWEST, FolderSink
from ordergate.core.ids import Env
from ordergate.core.privileged import IdentityChanged
from ordergate.engine.desks.privileged import PrivilegedRecord
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.security.keys import notes as note_keys
from ordergate.security.keys.local import open_keys
from ordergate.security.migrations import identity_migrations
from ordergate.security.postgres import connected
from ordergate.wiring import proofs
from ordergate.wiring.settings import Settings
from tests.audit.kept import PIECES, WRITTEN, lose_the_newest, write_log
from tests.audit.logs import ORIGIN, Author, HandClock, checkpointer
from tests.engine.stage import Listener
from verifier import ordergate_verifier as verifier

BEFORE = sum(PIECES) + 2


def keys_of(settings: Settings) -> note_keys.KeptNoteKeys:
    return note_keys.KeptNoteKeys(open_keys(settings.data_dir / "keys", Env.PAPER, lambda: 0))


@asynccontextmanager
async def signing(settings: Settings, database: str) -> AsyncIterator[Checkpointer]:
    """As a gateway that starts."""
    log = await PostgresAuditLog.connect(database)
    sink = FolderSink(settings.data_dir / "audit")
    made = checkpointer(log, sink, HandClock(), keys=keys_of(settings))
    try:
        await made._begin()
        yield made
    finally:
        await log.close()


async def write(database: str, count: int) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    await Author(journal).write(count)
    await journal.close()


async def record(database: str, facts: Mapping[str, str]) -> None:
    """As the running gateway does of what was noted beside it."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    event = IdentityChanged(
        at=WRITTEN, change=1, changed_at=WRITTEN, what="audit_log", operation="go_on", subject=ORIGIN,
        by="a test", facts=dict(facts),
    )  # fmt: skip
    await PrivilegedRecord(Env.PAPER, journal, Listener(), HandClock()).record(event, "identity-1")
    await journal.close()


@pytest.fixture
async def restored(settings: Settings, database: str) -> str:
    """What the log goes on with: its key was changed, and then the heads since were lost."""
    await migrate(database, also=identity_migrations())
    await write_log(settings, database)
    made = await keys_of(settings).rotate()
    for _ in range(2):
        await write(database, 3)
        async with signing(settings, database) as gateway:
            await gateway.sign_off()
    for _ in range(2):
        await lose_the_newest(database)
    return notes.verifier_key(ORIGIN, made)


async def go_on(settings: Settings) -> list[str]:
    return await asyncio.to_thread(proofs.go_on, settings, "anna", "a drill", WRITTEN)


async def noted(database: str) -> dict[str, str]:
    async with connected(Env.PAPER, database) as store:
        return next(one.facts for one in await store.waiting(10) if one.operation == "go_on")


async def problems(settings: Settings) -> tuple[str, ...]:
    now = WRITTEN + timedelta(seconds=1)
    return (await asyncio.to_thread(proofs.verify, settings, lambda _: None, now)).problems


async def test_until_a_person_lets_it_the_log_does_not_go_on_and_says_why(
    settings: Settings, database: str, restored: str
) -> None:
    with pytest.raises(Contradiction, match="by a key that was changed since"):
        async with signing(settings, database):
            pass


async def test_then_the_new_key_signs_alone_and_a_stranger_who_has_it_agrees(
    settings: Settings, database: str, restored: str, tmp_path: Path
) -> None:
    assert len(await go_on(settings)) == 2
    facts = await noted(database)
    assert facts["key"] == restored
    for _ in range(2):  # the second finds what the first has left
        async with signing(settings, database):
            pass
    await record(database, facts)
    for count in (2, 4):
        await write(database, count)
        async with signing(settings, database) as gateway:
            await gateway.sign_off()
    assert await problems(settings) == ()

    exported = await asyncio.to_thread(proofs.export, settings, tmp_path / "export", lambda _: None)
    assert exported.checkpoints == 2
    records, kept = (
        (tmp_path / "export" / name).read_text(encoding="utf-8").splitlines()
        for name in (proofs.RECORDS, proofs.CHECKPOINTS)
    )
    told = [json.loads(line)["note"] for line in kept]
    held = verifier.verify_log(records, told, verifier.parse_key(restored), told, 0)
    assert held == (exported.records, exported.records)


async def test_a_log_that_goes_on_under_another_key_without_a_persons_word_does_not_hold(
    settings: Settings, database: str, restored: str
) -> None:
    await go_on(settings)
    async with signing(settings, database) as gateway:
        await gateway.sign_off()
    (problem,) = await problems(settings)
    assert restored in problem
    assert "nobody" in problem


async def test_where_the_folder_was_put_back_with_the_database_the_same_command_lets_it_go_on(
    settings: Settings, database: str, restored: str
) -> None:
    """Nothing that was published is lost then: the key alone is another."""
    log = await PostgresAuditLog.connect(database)
    head = await log.newest()
    await log.close()
    assert head is not None
    (settings.data_dir / "audit" / NEWEST).write_text(head.note, encoding="utf-8")
    with pytest.raises(Contradiction, match="by a key that was changed since"):
        async with signing(settings, database):
            pass
    assert len(await go_on(settings)) == 2
    async with signing(settings, database) as gateway:
        assert gateway.size == BEFORE
        await gateway.sign_off()
        assert gateway.size > BEFORE


async def test_where_the_folder_was_lost_as_well_a_person_may_let_it_go_on_afterwards(
    settings: Settings, database: str, restored: str
) -> None:
    """Nothing published says that anything is wrong, so the gateway starts: the command still has its say."""
    for name in (NEWEST, EVERY):
        (settings.data_dir / "audit" / name).unlink()
    async with signing(settings, database) as gateway:
        await gateway.sign_off()
        await write(database, 2)
        await gateway.sign_off()
    (problem,) = await problems(settings)
    assert "nobody" in problem
    assert await go_on(settings) == []
    facts = await noted(database)
    assert facts["key"] == restored
    await record(database, facts)
    assert await problems(settings) == ()
