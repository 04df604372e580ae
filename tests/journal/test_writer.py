"""Group commit, and faults that only a real database can have."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from asyncpg.prepared_stmt import PreparedStatement

from ordergate.core.faults import AppendConflict, JournalUnavailable, StaleEpoch
from ordergate.core.ids import AccountId, Env
from ordergate.journal import reading
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.session import FenceHeld
from ordergate.journal.writer import Committed, Limits
from tests.journal.making import ALICE, BOB, accepted, opened, order_row, read, receipt, row, taken

QUICK = Limits(fence_s_max=0.2)


async def transactions(database: str) -> int:
    """How many transactions have written something on this server so far."""
    connection = await asyncpg.connect(database)
    try:
        return int(await connection.fetchval("select pg_current_xact_id()::text"))
    finally:
        await connection.close(timeout=10)


async def test_what_waits_is_committed_in_one_transaction(database: str) -> None:
    committed: list[Committed] = []
    journal = await PostgresJournal.connect(database, Env.PAPER, on_committed=committed.append)
    owners = [await taken(journal, AccountId(f"P-a{number}")) for number in range(40)]
    before = await transactions(database)
    units = [owner.place(number) for number in range(5) for owner in owners]
    await asyncio.gather(*[journal.append(unit) for unit in units])
    assert await transactions(database) - before - 1 == len(committed) == 1
    assert (committed[0].units, committed[0].events) == (200, 200)
    await journal.close()


async def test_what_nobody_waits_for_is_written_with_what_comes_next(database: str) -> None:
    committed: list[Committed] = []
    limits = Limits(linger_s=60)
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=limits, on_committed=committed.append)
    owner = await taken(journal)
    patient = [journal.append(owner.place(number, patient=True)) for number in range(3)]
    await journal.append(owner.place(4))
    assert all(one.done() for one in patient)
    assert [batch.units for batch in committed] == [4]
    await journal.close()


async def test_what_nobody_waits_for_is_written_by_itself_after_a_moment_or_at_the_end(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=Limits(linger_s=0.001))
    owner = await taken(journal)
    async with asyncio.timeout(20):
        await journal.append(owner.place(1, patient=True))
        await journal.append(owner.place(2, patient=True))
    await journal.close()
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=Limits(linger_s=60))
    owner = await taken(journal)
    last = journal.append(owner.place(3, patient=True))
    await journal.close()
    last.result()


async def test_a_batch_is_bounded_in_units_and_in_bytes(database: str) -> None:
    committed: list[Committed] = []
    limits = Limits(batch_units_max=8, batch_bytes_max=50_000)
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=limits, on_committed=committed.append)
    owner = await taken(journal)
    await asyncio.gather(*[journal.append(owner.place(number)) for number in range(20)])
    assert [batch.units for batch in committed] == [8, 8, 4]
    committed.clear()
    large = tuple(row(f"x{number}", "y" * 20_000) for number in range(2))
    await asyncio.gather(
        *[journal.append(owner.place(number, executions=large)) for number in range(100, 105)]
    )
    assert [batch.units for batch in committed] == [2, 2, 1]
    await journal.close()


async def test_commits_wait_for_the_disk_whatever_the_database_says(database: str) -> None:
    admin = await asyncpg.connect(database)
    name = await admin.fetchval("select quote_ident(current_database())")
    await admin.execute(f"alter database {name} set synchronous_commit = off")
    await admin.close()
    journal = await PostgresJournal.connect(database, Env.PAPER)
    session = journal._writer._session
    assert session is not None
    assert await session._connection.fetchval("show synchronous_commit") == "on"
    await journal.close()


async def test_live_mode_refuses_a_server_that_may_lose_what_it_acknowledged(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "server", settings={"fsync": "off"}) as server:
        database = await server.database("live")
        await migrate(database)
        with pytest.raises(JournalUnavailable, match=r"\(fsync is off\): live mode refuses it"):
            await PostgresJournal.connect(database, Env.LIVE)


async def test_a_second_gateway_is_refused_while_the_first_lives_and_welcome_after(database: str) -> None:
    first = await PostgresJournal.connect(database, Env.PAPER)
    with pytest.raises(FenceHeld, match="another gateway writes this journal"):
        await PostgresJournal.connect(database, Env.PAPER, limits=QUICK)
    owner = await taken(first)
    await first.append(owner.unit(opened(ALICE)))
    await first.close()
    second = await PostgresJournal.connect(database, Env.PAPER, limits=QUICK)
    assert (await second.take(ALICE)).epoch == 2
    await second.close()


async def test_an_account_taken_behind_our_back_is_stale_and_the_others_are_written(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    alice, bob = await taken(journal), await taken(journal, BOB)
    admin = await asyncpg.connect(database)
    await admin.execute("update account_stream set epoch = epoch + 1 where account = $1", ALICE)
    futures = []
    for number in range(3):
        futures += [journal.append(alice.place(number)), journal.append(bob.place(10 + number))]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results[0::2]] == [StaleEpoch] * 3
    assert [type(result) for result in results[1::2]] == [tuple] * 3
    assert (await alice.take()).epoch == 3
    await journal.append(alice.place(4))
    await admin.close()
    await journal.close()


async def test_a_stream_moved_behind_our_back_is_a_conflict(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    admin = await asyncpg.connect(database)
    await admin.execute("update account_stream set head = 7 where account = $1", ALICE)
    with pytest.raises(AppendConflict, match="stands at 7"):
        await journal.append(owner.place(1))
    await admin.close()
    await journal.close()


async def test_a_unit_that_postgres_cannot_store_fails_alone(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    alice, bob = await taken(journal), await taken(journal, BOB)
    good = journal.append(alice.place(1))
    bad = journal.append(bob.place(2, orders=(order_row(BOB, 2, symbol="NUL\0"),)))
    also_good = journal.append(alice.place(3))
    results = await asyncio.gather(good, bad, also_good, return_exceptions=True)
    assert [type(result) for result in results] == [tuple, JournalUnavailable, tuple]
    assert len(await read(journal)) == 2
    await journal.close()


async def test_what_came_before_a_unit_that_cannot_be_stored_is_written_and_nothing_behind_it(
    database: str,
) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    alice = await taken(journal)
    good = [journal.append(alice.place(number)) for number in range(2)]
    bad = journal.append(alice.place(2, orders=(order_row(ALICE, 2, symbol="NUL\0"),)))
    behind = journal.append(alice.place(3))
    results = await asyncio.gather(*good, bad, behind, return_exceptions=True)
    assert [type(result) for result in results] == [tuple, tuple, JournalUnavailable, JournalUnavailable]
    assert len(await read(journal)) == 2
    await journal.close()


async def test_a_unit_that_cannot_even_be_sent_fails_alone(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    alice, bob = await taken(journal), await taken(journal, BOB)
    impossible = receipt(BOB, "a-status-beyond-32-bits", status=2**40)
    futures = [journal.append(alice.place(1)), journal.append(bob.place(2, receipt=impossible))]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [tuple, JournalUnavailable]
    assert journal.connected
    await journal.close()


async def test_a_read_only_database_makes_the_journal_unavailable_until_it_is_writable(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    session = journal._writer._session
    assert session is not None
    await session._connection.execute("set default_transaction_read_only = on")
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(journal.append(owner.place(1)), timeout=20)
    await asyncio.wait_for(owner.take(), timeout=20)  # on a new session
    await journal.append(owner.place(2))
    assert [one.event for one in await read(journal)] == [accepted(ALICE, 2)]
    await journal.close()


async def test_an_account_is_not_asked_of_a_read_only_session_for_ever(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    session = journal._writer._session
    assert session is not None
    await session._connection.execute("set default_transaction_read_only = on")
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(journal.take(ALICE), timeout=20)
    owner = await asyncio.wait_for(taken(journal), timeout=20)  # on a new session
    await journal.append(owner.place(1))
    await journal.close()


async def test_closing_writes_what_waits(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    waiting = [journal.append(owner.place(number)) for number in range(50)]
    await journal.close()
    assert [future.exception() for future in waiting] == [None] * 50
    with pytest.raises(JournalUnavailable):
        journal.append(owner.place(60))
    with pytest.raises(JournalUnavailable):
        await journal.take(ALICE)


async def test_a_fault_of_ours_fails_what_is_not_taken_again_and_is_said_at_the_end(database: str) -> None:
    def faulty(committed: Committed) -> None:
        raise ZeroDivisionError

    journal = await PostgresJournal.connect(database, Env.PAPER, on_committed=faulty)
    owner = await taken(journal)
    await journal.append(owner.place(1))  # durable, and told so, before the fault
    with pytest.raises(JournalUnavailable):
        await journal.append(owner.place(2))
    assert (await journal.take(ALICE)).head == 1
    with pytest.raises(ZeroDivisionError):
        await journal.close()


async def test_reading_survives_a_server_that_was_away(postgres: EmbeddedPostgres, database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    await journal.append(owner.unit(opened(ALICE)))
    assert len(await read(journal)) == 1
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ordergate reader'"
    )
    assert len(await read(journal)) == 1
    assert await journal.accounts() == [ALICE]
    await admin.close()
    await journal.close()


async def test_a_journal_with_a_long_past_reads_it_in_pieces(database: str) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    for _ in range(5):
        await asyncio.gather(*[journal.append(owner.place(number)) for number in range(500)])
    seen = 0
    async for stored in journal.read(ALICE, after=0):
        seen += 1
        assert stored.seq == seen
    assert seen == 2_500
    await journal.close()


async def test_a_long_past_is_asked_for_page_by_page_and_never_as_a_whole(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server asked for everything in order may sort it all first, and answer too late for a start."""
    monkeypatch.setattr(reading, "_PAGE_ROWS", 10)
    journal = await PostgresJournal.connect(database, Env.PAPER)
    owner = await taken(journal)
    await asyncio.gather(*[journal.append(owner.place(number)) for number in range(1, 48)])
    asked: list[tuple[int, int]] = []
    fetch = PreparedStatement.fetch

    async def noted(statement: PreparedStatement, account: str, after: int, upto: int) -> list[Any]:
        asked.append((after, upto))
        return await fetch(statement, account, after, upto)

    monkeypatch.setattr(PreparedStatement, "fetch", noted)
    assert [one.seq for one in await read(journal, after=5, upto=40)] == list(range(6, 41))
    assert asked == [(5, 15), (15, 25), (25, 35), (35, 40)]
    monkeypatch.undo()
    await journal.close()
