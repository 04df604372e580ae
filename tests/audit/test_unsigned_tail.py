"""What should have been signed by now and is not: its checkpoints may have been cut off."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from ordergate.audit.folder import EVERY, NEWEST
from ordergate.core.ids import Env
from ordergate.journal.postgres import PostgresJournal
from ordergate.security.keys import notes as note_keys
from ordergate.security.keys.local import open_keys
from ordergate.wiring import proofs
from ordergate.wiring.proofs import Found
from ordergate.wiring.settings import Settings
from tests.audit.kept import WRITTEN, lose_the_newest, write_log
from tests.audit.logs import Author
from tests.journal.making import ALICE

LONG = timedelta(hours=1)


async def verified(settings: Settings, after: timedelta) -> Found:
    return await asyncio.to_thread(proofs.verify, settings, lambda _: None, WRITTEN + after)


async def test_checkpoints_that_were_cut_off_everywhere_leave_records_that_are_too_old(
    settings: Settings, database: str
) -> None:
    await write_log(settings, database)
    assert (await verified(settings, LONG)).problems == ()
    await lose_the_newest(database)
    folder = settings.data_dir / "audit"
    every = (folder / EVERY).read_bytes().splitlines(keepends=True)
    (folder / EVERY).write_bytes(b"".join(every[:-1]))
    (folder / NEWEST).unlink()
    found = await verified(settings, LONG)
    assert (found.records, found.signed) == (42, 30)
    (problem,) = found.problems
    assert problem.startswith("12 records are under no signed checkpoint")
    assert "the oldest of 2026-01-05 14:30:00 UTC" in problem
    assert "within 15 s" in problem
    assert "cut off" in problem


async def test_where_every_checkpoint_was_cut_off_every_record_is_too_old(
    settings: Settings, database: str
) -> None:
    await note_keys.KeptNoteKeys(open_keys(settings.data_dir / "keys", Env.PAPER, lambda: 0)).made()
    await Author(journal := await PostgresJournal.connect(database, Env.PAPER)).write(3)
    await journal.close()
    (problem,) = (await verified(settings, LONG)).problems
    assert problem.startswith("5 records are under no signed checkpoint")


async def test_what_is_younger_than_the_interval_is_only_counted(settings: Settings, database: str) -> None:
    await write_log(settings, database)
    await Author(journal := await PostgresJournal.connect(database, Env.PAPER)).write(0)
    await journal.close()
    found = await verified(settings, timedelta(seconds=10))
    assert (found.records - found.signed, found.problems) == (2, ())


@pytest.mark.parametrize("body", ['{"what": 3}', "no JSON", '{"facts": ["go_on"]}'])
async def test_a_record_that_was_made_one_of_identity_breaks_its_chain_and_not_the_verification(
    settings: Settings, database: str, body: str
) -> None:
    await write_log(settings, database)
    connection = await asyncpg.connect(database)
    await connection.execute("alter table event disable trigger user")
    changed = "update event set kind = 'identity_changed', body = $1 where account = $2 and seq = 2"
    await connection.execute(changed, body, ALICE)
    await connection.close()
    problems = (await verified(settings, timedelta(seconds=10))).problems
    assert f"{ALICE}: the chain breaks at event 2" in problems
