"""A database comes to this release's schema whole, once, whoever starts in the same second."""

import asyncio

import asyncpg
import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env
from ordergate.journal import sqlfiles
from ordergate.journal.migrate import OWN_NUMBER_MAX, SchemaMismatch, migrate
from ordergate.journal.postgres import PostgresJournal

NAMES = [name for _, name, _ in sqlfiles.migrations()]


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [number for number, _, _ in sqlfiles.migrations()] == list(range(1, len(NAMES) + 1))


async def test_an_empty_database_gets_everything_and_a_second_time_nothing(empty_database: str) -> None:
    assert await migrate(empty_database) == NAMES
    assert await migrate(empty_database) == []


async def test_gateways_that_start_at_once_migrate_once(empty_database: str) -> None:
    applied = await asyncio.gather(*[migrate(empty_database) for _ in range(6)])
    assert sorted(name for names in applied for name in names) == NAMES


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [(1, "0001_broken", "create table left_behind (a int); select 1 / 0;")]
    monkeypatch.setattr(sqlfiles, "migrations", lambda: broken)
    with pytest.raises(JournalUnavailable):
        await migrate(empty_database)
    admin = await asyncpg.connect(empty_database)
    assert await admin.fetchval(
        "select to_regclass('left_behind') is null and to_regclass('schema_migration') is null"
    )
    await admin.close()


async def test_other_rooms_bring_their_own_tables_in_the_same_ledger(empty_database: str) -> None:
    also = [(OWN_NUMBER_MAX + 1, "0500_of_another_room", "create table of_another_room (a int)")]
    assert await migrate(empty_database, also=also) == [*NAMES, "0500_of_another_room"]
    assert await migrate(empty_database, also=also) == []
    await (await PostgresJournal.connect(empty_database, Env.PAPER)).close()
    with pytest.raises(SchemaMismatch):
        await migrate(empty_database, also=[(501, "0501_of_another_room", "create table another (a int)")])


@pytest.mark.parametrize(
    "history",
    [
        "update schema_migration set checksum = sha256('edited')",
        "update schema_migration set name = '0001_another'",
        "insert into schema_migration values (499, '0499_from_the_future', sha256('x'))",
    ],
)
async def test_a_database_on_another_path_is_refused(database: str, history: str) -> None:
    admin = await asyncpg.connect(database)
    await admin.execute(history)
    await admin.close()
    with pytest.raises(SchemaMismatch):
        await migrate(database)
    with pytest.raises(SchemaMismatch):
        await PostgresJournal.connect(database, Env.PAPER)


async def test_a_database_that_was_not_migrated_is_refused_with_what_to_do(empty_database: str) -> None:
    with pytest.raises(JournalUnavailable, match="run `ordergate migrate`"):
        await PostgresJournal.connect(empty_database, Env.PAPER)


async def test_an_address_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(JournalUnavailable) as refused:
        await migrate("postgresql://u:Xk3SecretHalf/9zz=@h/x")
    assert "Xk3" not in str(refused.value)
    assert "%2F" in str(refused.value)


async def test_each_step_has_a_time_of_its_own(empty_database: str) -> None:
    slow = [(number, f"{number:04}_slow", "select pg_sleep(0.5)") for number in range(501, 507)]
    with pytest.raises(JournalUnavailable, match="TimeoutError"):
        await migrate(empty_database, also=[(500, "0500_slow", "select pg_sleep(60)")], step_s_max=2)
    # All of them together take longer than what it is told, and each by itself far less.
    assert await migrate(empty_database, also=slow, timeout_s=2.5) == [name for _, name, _ in slow]


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    nobody = "postgresql://nobody@127.0.0.1:1/nothing"
    with pytest.raises(JournalUnavailable, match="cannot be reached"):
        await migrate(nobody)
    with pytest.raises(JournalUnavailable, match="cannot be reached"):
        await PostgresJournal.connect(nobody, Env.PAPER)


async def test_a_database_belongs_to_one_environment_for_ever(database: str) -> None:
    await (await PostgresJournal.connect(database, Env.PAPER)).close()
    with pytest.raises(JournalUnavailable, match="belongs to the paper environment"):
        await PostgresJournal.connect(database, Env.LIVE)
