"""PostgreSQL's answers are lost in every way; the journal never says what is not so."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from ordergate.core.faults import JournalUnavailable, StaleEpoch
from ordergate.core.ids import Env, Paper
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.session import FenceHeld
from ordergate.journal.verify import verify
from ordergate.journal.writer import Limits
from tests.dose import dose
from tests.journal.load import Progress, Trader
from tests.journal.making import ALICE, BOB, accepted, opened, read, receipt, taken
from tests.journal.proxy import Cut, Proxy

PATIENT = Limits(patience_s_max=30.0, attempts_max=1_000)
IMPATIENT = Limits(patience_s_max=0.0, fence_s_max=0.2, backoff_s_max=0.05)


@asynccontextmanager
async def through(proxy: Proxy, database: str, limits: Limits) -> AsyncIterator[PostgresJournal[Paper]]:
    """A journal whose writer speaks through the proxy."""
    journal = await PostgresJournal.connect(proxy.dsn(name_of(database)), Env.PAPER, limits=limits)
    try:
        yield journal
    finally:
        await journal.close()


def name_of(database: str) -> str:
    return urlsplit(database).path[1:]


@pytest.mark.parametrize("where", Cut)
async def test_a_lost_answer_is_found_out_and_the_unit_is_there_once(
    postgres: EmbeddedPostgres, database: str, where: Cut
) -> None:
    async with Proxy(postgres.socket) as proxy, through(proxy, database, PATIENT) as journal:
        owner = await taken(journal)
        await journal.append(owner.unit(opened(ALICE)))
        proxy.cut(where)
        await asyncio.wait_for(journal.append(owner.place(1)), timeout=20)
        await asyncio.wait_for(journal.append(owner.place(2)), timeout=20)
        assert proxy.cuts == 1
        assert [one.event for one in await read(journal)] == [
            opened(ALICE),
            accepted(ALICE, 1),
            accepted(ALICE, 2),
        ]


@pytest.mark.parametrize("where", Cut)
async def test_a_lost_answer_to_a_unit_without_events_is_found_out_too(
    postgres: EmbeddedPostgres, database: str, where: Cut
) -> None:
    async with Proxy(postgres.socket) as proxy, through(proxy, database, PATIENT) as journal:
        owner = await taken(journal)
        kept = receipt(ALICE, "a-key-without-an-event")
        proxy.cut(where)
        await asyncio.wait_for(journal.append(owner.unit(receipt=kept)), timeout=20)
        assert await journal.receipt(kept.scope) == kept


@pytest.mark.parametrize("where", Cut)
async def test_an_account_is_taken_although_the_answer_was_lost(
    postgres: EmbeddedPostgres, database: str, where: Cut
) -> None:
    async with Proxy(postgres.socket) as proxy, through(proxy, database, PATIENT) as journal:
        proxy.cut(where)
        owner = await asyncio.wait_for(taken(journal), timeout=20)
        await journal.append(owner.unit(opened(ALICE)))
        assert len(await read(journal)) == 1


@pytest.mark.parametrize("seed", range(dose(6, 100)))
async def test_wires_cut_at_random_lose_nothing_and_double_nothing(
    postgres: EmbeddedPostgres, database: str, seed: int
) -> None:
    chance = random.Random(seed)
    async with Proxy(postgres.socket) as proxy, through(proxy, database, PATIENT) as journal:
        traders = [Trader(journal, number) for number in range(1, 9)]
        load = asyncio.gather(*[trader.trade(100) for trader in traders])

        async def cut() -> None:
            while not load.done():
                proxy.seen.clear()
                proxy.cut(chance.choice(list(Cut)), after=chance.randrange(40))
                seen = asyncio.ensure_future(proxy.seen.wait())
                await asyncio.wait((seen, load), return_when=asyncio.FIRST_COMPLETED)
                seen.cancel()

        await asyncio.wait_for(asyncio.gather(load, cut()), timeout=90)
        proxy.calm()
        assert proxy.cuts > 2
        for trader in traders:
            await trader.check(journal)
            assert (
                len(trader.written) == 100
            )  # every answer was found out, so nobody had to be told "unknown"
    assert (await verify(database)).clean


@pytest.mark.parametrize("seed", range(dose(4, 60)))
async def test_a_backend_ended_at_random_moments_loses_nothing_and_doubles_nothing(
    database: str, seed: int
) -> None:
    chance = random.Random(seed)
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=PATIENT)
    admin = await asyncpg.connect(database)
    progress = Progress()
    traders = [Trader(journal, number, progress) for number in range(1, 9)]
    load = asyncio.gather(*[trader.trade(40) for trader in traders])
    ended = 0
    for written in range(0, 8 * 40 - 8, 20):
        await progress.reach(written + chance.randrange(16))
        for _ in range(chance.randrange(4)):
            await admin.fetchval("select 1")  # some other moment of the next statement
        ended += len(
            await admin.fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'ordergate journal writer' and datname = current_database()"
            )
        )
    await asyncio.wait_for(load, timeout=60)
    assert ended > 3
    for trader in traders:
        await trader.check(journal)
        assert len(trader.written) == 40
    await admin.close()
    await journal.close()
    assert (await verify(database)).clean


async def test_a_server_killed_under_load_comes_back_with_everything_it_answered(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("killed"))
    await server.start()
    database = await server.database("paper")
    await migrate(database)
    journal = await PostgresJournal.connect(database, Env.PAPER, limits=PATIENT)
    progress = Progress()
    traders = [Trader(journal, number, progress) for number in range(1, 9)]
    load = asyncio.gather(*[trader.trade(60) for trader in traders])
    for round_ in range(1, dose(3, 20)):
        await progress.reach(round_ * 80)
        kill(server)
        await server.stop()
        await server.start()
    await asyncio.wait_for(load, timeout=90)
    for trader in traders:
        await trader.check(journal)
    await journal.close()
    assert (await verify(database)).clean
    await server.stop()


def kill(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def test_out_of_patience_what_waits_is_unavailable_and_work_goes_on_later(
    postgres: EmbeddedPostgres, database: str
) -> None:
    async with Proxy(postgres.socket) as proxy, through(proxy, database, IMPATIENT) as journal:
        alice, bob = await taken(journal), await taken(journal, BOB)
        proxy.refusing = True
        proxy.cut(Cut.ANSWERED)
        waiting = [
            journal.append(alice.place(1)),
            journal.append(alice.place(2)),
            journal.append(bob.place(3)),
        ]
        results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), timeout=20)
        assert [type(result) for result in results] == [JournalUnavailable] * 3
        with pytest.raises(JournalUnavailable):
            await asyncio.wait_for(journal.append(alice.place(4)), timeout=20)
        with pytest.raises(JournalUnavailable):
            await asyncio.wait_for(journal.take(ALICE), timeout=20)
        assert not journal.connected
        proxy.refusing = False
        await Trader(journal, 1).take()
        assert (await alice.take()).head == 2  # the answer was lost, not the units
        await journal.append(alice.place(5))
        assert len(await read(journal)) == 3


async def test_a_gateway_that_lost_its_wire_must_not_write_beside_the_one_that_came_after(
    postgres: EmbeddedPostgres, database: str
) -> None:
    async with Proxy(postgres.socket) as proxy, through(proxy, database, IMPATIENT) as first:
        old = await taken(first)
        await first.append(old.unit(opened(ALICE)))
        proxy.refusing = True
        proxy.drop_all()
        second = await PostgresJournal.connect(database, Env.PAPER)
        new = await taken(second)
        proxy.refusing = False
        with pytest.raises(JournalUnavailable):
            await asyncio.wait_for(first.append(old.place(1)), timeout=20)
        await asyncio.wait_for(refused_by_the_fence(first), timeout=20)
        assert (first.displaced, second.displaced) == (True, False)
        await second.append(new.place(2))
        with pytest.raises(JournalUnavailable):
            await asyncio.wait_for(first.append(old.place(3)), timeout=20)
        assert [one.event for one in await read(second)] == [opened(ALICE), accepted(ALICE, 2)]
        await second.close()
        await asyncio.wait_for(let_in(first), timeout=20)
        assert not first.displaced


async def test_who_finds_its_account_taken_and_the_taker_gone_lets_a_third_write_by_closing(
    postgres: EmbeddedPostgres, database: str
) -> None:
    """The fence comes back to it with the connection, although it owns nothing any more."""
    async with Proxy(postgres.socket) as proxy, through(proxy, database, PATIENT) as first:
        old = await taken(first)
        await first.append(old.unit(opened(ALICE)))
        proxy.refusing = True
        proxy.drop_all()
        second = await PostgresJournal.connect(database, Env.PAPER)
        await taken(second)
        await second.close()
        proxy.refusing = False
        with pytest.raises(StaleEpoch):
            await asyncio.wait_for(first.append(old.place(1)), timeout=20)
        with pytest.raises(FenceHeld):
            await PostgresJournal.connect(database, Env.PAPER, limits=Limits(fence_s_max=0.2))
        await first.close()
        third = await PostgresJournal.connect(database, Env.PAPER, limits=Limits(fence_s_max=0.2))
        assert (await third.take(ALICE)).epoch == 3
        await third.close()
        with pytest.raises(JournalUnavailable):
            await first.take(ALICE)


async def refused_by_the_fence(journal: PostgresJournal[Paper]) -> None:
    """Wait until the journal has reached the server again, and was told that another writes."""
    while True:
        try:
            await journal.take(ALICE)
        except FenceHeld:
            return
        except JournalUnavailable:
            continue
        pytest.fail("two gateways own the account")


async def let_in(journal: PostgresJournal[Paper]) -> None:
    """Wait until whoever wrote instead is gone, and the account can be taken again."""
    while True:
        try:
            await journal.take(ALICE)
        except JournalUnavailable:
            continue
        return


async def test_closing_while_the_server_is_away_ends_in_time_and_tells_who_waits(
    postgres: EmbeddedPostgres, database: str
) -> None:
    async with Proxy(postgres.socket) as proxy:
        journal = await PostgresJournal.connect(proxy.dsn(name_of(database)), Env.PAPER, limits=PATIENT)
        owner = await taken(journal)
        proxy.refusing = True
        proxy.drop_all()
        waiting = journal.append(owner.place(1))
        await asyncio.wait_for(journal.close(), timeout=20)
        with pytest.raises(JournalUnavailable):
            await waiting
        with pytest.raises(JournalUnavailable):
            journal.append(owner.place(2))
