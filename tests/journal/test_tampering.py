"""Someone with the keys to the database changes history; the verifier and every reader notice."""

import random
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import Env
from ordergate.journal import reading
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.snapshots import drop
from ordergate.journal.verify import verify
from ordergate.ports.journal import Snapshot
from tests.dose import dose
from tests.journal.making import ALICE, BOB, opened, order, read, taken

EVENTS: Final = 12
WHO: Final = f"account = '{ALICE}'"

# What is done, and where the chain fails for it. The trigger that forbids it is out of the way, as it
# would be for whoever owns the database.
TAMPERINGS: Final = {
    "a body changed": f"update event set body = replace(body, '4800.25', '4900.25') where {WHO} and seq = 5",
    "a frame changed": f"update event set frame = '{{}}' where {WHO} and seq = 5",
    "a time changed": f"update event set at = at + interval '1 microsecond' where {WHO} and seq = 5",
    "a kind changed": f"update event set kind = 'order_denied' where {WHO} and seq = 5",
    "a version changed": f"update event set version = version + 1 where {WHO} and seq = 5",
    "an order changed": f"update event set order_id = 'P-another' where {WHO} and seq = 5",
    "an order taken away": f"update event set order_id = null where {WHO} and seq = 5",
    "a correlation changed": f"update event set correlation = 'another' where {WHO} and seq = 5",
    "a seal changed": f"update event set hash = sha256('x') where {WHO} and seq = 5",
    "the first event removed": f"delete from event where {WHO} and seq = 1",
    "an event removed": f"delete from event where {WHO} and seq = 5",
    "the last event removed": f"delete from event where {WHO} and seq = {EVENTS}",
    "all events removed": f"delete from event where {WHO}",
    "an event removed and the rest moved up": f"""
        delete from event where {WHO} and seq = 5;
        update event set seq = seq + 1000 where {WHO} and seq > 5;
        update event set seq = seq - 1001 where {WHO} and seq > 1000;
        update account_stream set head = head - 1 where {WHO}""",
    "two events swapped": f"""
        update event set seq = 1005 where {WHO} and seq = 5;
        update event set seq = 5 where {WHO} and seq = 6;
        update event set seq = 6 where {WHO} and seq = 1005""",
    "an event copied in": f"""
        insert into event
        select account, {EVENTS + 1}, kind, version, order_id, at, correlation, body, frame, hash
        from event where {WHO} and seq = 5""",
    "an event moved to another account": f"""
        update event set account = '{BOB}', seq = 2 where {WHO} and seq = {EVENTS};
        update account_stream set head = 2 where account = '{BOB}'""",
    "the tail cut off and the head moved back": f"""
        delete from event where {WHO} and seq > 8;
        update account_stream set head = 8 where {WHO}""",
    "the head moved on": f"update account_stream set head = head + 1 where {WHO}",
    "the head moved back": f"update account_stream set head = head - 1 where {WHO}",
    "the last seal changed": f"update account_stream set last_hash = sha256('x') where {WHO}",
    "the stream taken away": f"delete from account_stream where {WHO}",
}


@pytest_asyncio.fixture
async def owned(database: str) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    """A journal with two accounts, and the database's owner with nothing in the way."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    alice, bob = await taken(journal), await taken(journal, BOB)
    await journal.append(alice.unit(opened(ALICE)))
    await journal.append(bob.unit(opened(BOB)))
    for number in range(1, EVENTS):
        await journal.append(alice.place(number))
    await journal.close()
    admin = await asyncpg.connect(database)
    await admin.execute("alter table event disable trigger user")
    yield database, admin
    await admin.close()


async def test_an_untouched_journal_is_clean(owned: tuple[str, asyncpg.Connection]) -> None:
    told: list[int] = []
    report = await verify(owned[0], progress=told.append)
    assert report.clean
    assert (report.events, sum(told)) == (EVENTS + 1, EVENTS + 1)
    assert [proof.account for proof in report.accounts] == [ALICE, BOB]


@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_the_verifier_notices(owned: tuple[str, asyncpg.Connection], tampering: str) -> None:
    database, admin = owned
    await admin.execute(TAMPERINGS[tampering])
    report = await verify(database)
    assert not report.clean
    assert any(ALICE in (proof.problem or "") for proof in report.accounts)


@pytest.mark.parametrize("page_rows", [1_000, 3, 1])
@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_nobody_reads_on_past_it(
    owned: tuple[str, asyncpg.Connection], tampering: str, page_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PAGE_ROWS", page_rows)
    database, admin = owned
    await admin.execute(TAMPERINGS[tampering])
    journal = await PostgresJournal.connect(database, Env.PAPER)
    with pytest.raises(JournalCorrupt):
        await read(journal)
    await journal.close()


async def test_one_accounts_trouble_is_not_anothers(owned: tuple[str, asyncpg.Connection]) -> None:
    database, admin = owned
    await admin.execute(TAMPERINGS["a body changed"])
    alice, bob = (await verify(database)).accounts
    assert (alice.events, bob.events) == (4, 1)
    assert alice.problem is not None
    assert "event 5" in alice.problem
    assert bob.problem is None
    assert (await verify(database, BOB)).clean


async def test_an_orders_history_is_proven_too(owned: tuple[str, asyncpg.Connection]) -> None:
    database, admin = owned
    await admin.execute(TAMPERINGS["a body changed"])
    journal = await PostgresJournal.connect(database, Env.PAPER)
    assert len(await journal.history(order(3))) == 1
    with pytest.raises(JournalCorrupt):
        await journal.history(order(4))
    await journal.close()


async def test_any_byte_of_any_text_matters(owned: tuple[str, asyncpg.Connection]) -> None:
    """Single characters changed at random, each undone before the next."""
    database, admin = owned
    chance = random.Random(9)
    for _ in range(dose(25, 2_000)):
        column = chance.choice(("body", "frame", "correlation", "kind", "order_id"))
        seq = chance.randrange(2, EVENTS + 1)
        where = f"where {WHO} and seq = {seq}"
        before = await admin.fetchval(f"select {column} from event {where}")
        place = chance.randrange(len(before))
        changed = before[:place] + chr(ord(before[place]) ^ 1) + before[place + 1 :]
        await admin.execute(f"update event set {column} = $1 {where}", changed)
        assert not (await verify(database, ALICE)).clean, f"{column} of {seq}: {changed}"
        await admin.execute(f"update event set {column} = $1 {where}", before)
    assert (await verify(database, ALICE)).clean


@pytest.mark.parametrize(
    "statement",
    [
        "update event set kind = 'x'",
        "delete from event",
        "truncate event",
        "update event set kind = 'x' where false",
    ],
)
async def test_events_cannot_be_changed_while_the_guard_stands(
    owned: tuple[str, asyncpg.Connection], statement: str
) -> None:
    _, admin = owned
    await admin.execute("alter table event enable trigger user")
    with pytest.raises(asyncpg.PostgresError, match="never changed"):
        await admin.execute(statement)


SPOILT: Final = {
    "the body changed": "update account_snapshot set body = body || 'x'",
    "the body emptied": "update account_snapshot set body = ''",
    "the rules changed": "update account_snapshot set rules = 'others'",
    "the place moved on": "update account_snapshot set seq = seq + 1",
    "the place moved back": "update account_snapshot set seq = seq - 1",
    "the place beyond the end": f"update account_snapshot set seq = {EVENTS + 1}",
    "the seal changed": "update account_snapshot set seal = sha256('x')",
    "moved to another account": f"update account_snapshot set account = '{BOB}', seq = 1",
    "its event changed and sealed anew": f"update event set hash = sha256('x') where {WHO} and seq = 8",
    "its event removed": f"delete from event where {WHO} and seq = 8",
}


@pytest.mark.parametrize("how", SPOILT)
async def test_a_snapshot_that_was_changed_or_fits_no_more_is_none(
    owned: tuple[str, asyncpg.Connection], how: str
) -> None:
    database, admin = owned
    journal = await PostgresJournal.connect(database, Env.PAPER)
    try:
        epoch = (await journal.take(ALICE)).epoch
        kept = Snapshot(account=ALICE, epoch=epoch, seq=8, rules="rules", body=b"folded" * 100)
        assert await journal.keep(kept)
        assert await journal.snapshot(ALICE, rules="rules") == kept
        await admin.execute(SPOILT[how])
        for account in (ALICE, BOB):
            for rules in ("rules", "others"):
                assert await journal.snapshot(account, rules=rules) is None
    finally:
        await journal.close()


async def test_snapshots_can_be_thrown_away_at_any_time(owned: tuple[str, asyncpg.Connection]) -> None:
    database, _ = owned
    journal = await PostgresJournal.connect(database, Env.PAPER)
    try:
        epoch = (await journal.take(ALICE)).epoch
        kept = Snapshot(account=ALICE, epoch=epoch, seq=8, rules="rules", body=b"folded")
        assert await journal.keep(kept)
        assert await drop(database) == 1
        assert await drop(database) == 0
        assert await journal.snapshot(ALICE, rules="rules") is None
        assert await journal.keep(kept)
    finally:
        await journal.close()


async def test_an_end_that_is_not_the_streams_is_noticed_by_who_reads_nothing_before_it(
    owned: tuple[str, asyncpg.Connection],
) -> None:
    """A start from a snapshot of the very head reads no event, and still compares the last seal."""
    database, admin = owned
    await admin.execute(TAMPERINGS["the last seal changed"])
    journal = await PostgresJournal.connect(database, Env.PAPER)
    with pytest.raises(JournalCorrupt):
        await read(journal, after=EVENTS, upto=EVENTS)
    await journal.close()
