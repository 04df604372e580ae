"""A commit that a synchronous standby may not have is in doubt, however good PostgreSQL's answer was (REL-3).

A server waits for a standby that is not there; a person ends the wait or the backend, or it takes too long.
Nothing counts as written until a standby has it, or a person has said that none is waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env, Paper
from ordergate.journal.embedded import ROLE, EmbeddedPostgres
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.writer import Limits
from tests.journal.making import ALICE, Owner, accepted, opened, read, taken

STANDBY = "nobody"
PATIENT = Limits(statement_s_max=60.0, patience_s_max=600.0)
IMPATIENT = Limits(statement_s_max=60.0, patience_s_max=0.0, backoff_s_max=0.05)
WAITING = """
    select pid from pg_stat_activity
    where application_name = 'ordergate journal writer' and wait_event = 'SyncRep' and pid <> all($1::int[])
"""


class House:
    """A journal on a server of its own, and a person at that server."""

    def __init__(
        self, server: EmbeddedPostgres, journal: PostgresJournal[Paper], person: Any, probe: Any
    ) -> None:
        self.server = server
        self.journal = journal
        self._person = person
        self._probe = probe
        self._done: list[int] = []

    async def wait_for_standby(self, names: str) -> None:
        await self._person.execute(f"alter system set synchronous_standby_names = '{names}'")
        await self._person.execute("select pg_reload_conf()")
        await until(lambda: self._shows(names))
        if names:
            await until(self._waits_for_one)

    async def _waits_for_one(self) -> bool:
        """Whether a commit does wait: the checkpointer alone says so to all, some time after the reload."""
        mark = "select pg_logical_emit_message(true, 'test', '')"
        probing = asyncio.create_task(self._probe.fetchval(mark))
        pid = self._probe.get_server_pid()
        waiting = f"select exists(select from pg_stat_activity where pid = {pid} and wait_event = 'SyncRep')"
        while not probing.done():
            if await self._person.fetchval(waiting):
                await self._person.execute("select pg_cancel_backend($1)", pid)
                await probing
                return True
        await probing
        return False

    async def end_wait(self, how: str = "pg_cancel_backend") -> None:
        """Wait until the writer waits for the standby, and end that."""
        await until(self._writer_waits)
        await self._person.execute(f"select {how}($1)", self._done[-1])

    async def writer_waits_again(self) -> None:
        await until(self._writer_waits)

    async def _writer_waits(self) -> bool:
        pid = await self._person.fetchval(WAITING, self._done)
        if pid is not None:
            self._done.append(pid)
        return pid is not None

    async def _shows(self, names: str) -> bool:
        return bool(await self._person.fetchval("show synchronous_standby_names") == names)

    @asynccontextmanager
    async def standby(self, folder: Path) -> AsyncIterator[None]:
        """Something that keeps the server's log as a synchronous standby does, under its name."""
        await asyncio.to_thread(folder.mkdir)
        socket = quote(str(self.server.socket.parent))
        address = f"postgresql://{ROLE}@/?host={socket}&application_name={STANDBY}"
        program = self.server.programs / "pg_receivewal"
        process = await asyncio.create_subprocess_exec(
            program, "-D", folder, "-d", address, "--synchronous", "--no-loop"
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.02)


@asynccontextmanager
async def house(folder: Path, limits: Limits) -> AsyncIterator[House]:
    async with EmbeddedPostgres(folder / "server") as server:
        dsn = await server.database("paper")
        await migrate(dsn)
        journal = await PostgresJournal.connect(dsn, Env.PAPER, limits=limits)
        person, probe = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        try:
            yield House(server, journal, person, probe)
        finally:
            await person.execute("alter system reset synchronous_standby_names")
            await person.execute("select pg_reload_conf()")
            await journal.close()
            await person.close()
            await probe.close()


async def begun(journal: PostgresJournal[Paper]) -> Owner:
    owner = await taken(journal)
    await journal.append(owner.unit(opened(ALICE)))
    return owner


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_wait_that_was_ended_leaves_the_commit_in_doubt_until_a_person_decides(
    tmp_path: Path, how: str
) -> None:
    async with house(tmp_path, PATIENT) as home:
        owner = await begun(home.journal)
        await home.wait_for_standby(STANDBY)
        durable = home.journal.append(owner.place(1))
        await home.end_wait(how)
        await home.end_wait(how)
        await home.writer_waits_again()
        assert not durable.done()
        assert [one.event for one in await read(home.journal)] == [opened(ALICE), accepted(ALICE, 1)]
        await home.wait_for_standby("")
        await asyncio.wait_for(durable, timeout=30)
        assert [one.event for one in await read(home.journal)] == [opened(ALICE), accepted(ALICE, 1)]


async def test_a_commit_in_doubt_is_durable_once_a_standby_has_it(tmp_path: Path) -> None:
    async with house(tmp_path, PATIENT) as home:
        owner = await begun(home.journal)
        await home.wait_for_standby(STANDBY)
        durable = home.journal.append(owner.place(1))
        await home.end_wait()
        await home.writer_waits_again()
        assert not durable.done()
        async with home.standby(tmp_path / "standby"):
            await asyncio.wait_for(durable, timeout=30)
            await asyncio.wait_for(home.journal.append(owner.place(2)), timeout=30)


async def test_out_of_patience_the_unit_fails_and_its_account_is_taken_once_a_standby_has_everything(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, IMPATIENT) as home:
        owner = await begun(home.journal)
        await home.wait_for_standby(STANDBY)
        durable = home.journal.append(owner.place(1))
        await home.end_wait()
        await home.end_wait()
        with pytest.raises(JournalUnavailable, match="no synchronous standby is known to have it"):
            await asyncio.wait_for(durable, timeout=30)
        again = asyncio.ensure_future(home.journal.take(ALICE))
        await home.end_wait()
        await home.writer_waits_again()
        assert not again.done()
        async with home.standby(tmp_path / "standby"):
            assert (await asyncio.wait_for(again, timeout=30)).head == 2


async def test_a_wait_that_takes_too_long_is_a_doubt_as_well(tmp_path: Path) -> None:
    limits = Limits(statement_s_max=1.0, patience_s_max=600.0)
    async with house(tmp_path, limits) as home:
        owner = await begun(home.journal)
        await home.wait_for_standby(STANDBY)
        durable = home.journal.append(owner.place(1))
        await home.writer_waits_again()
        await home.writer_waits_again()
        await home.writer_waits_again()
        assert not durable.done()
        await home.wait_for_standby("")
        await asyncio.wait_for(durable, timeout=30)
