"""A PostgreSQL of a test's own that can be hurt: killed, and made to fail where it writes to disk.

The disk's faults are strace's: attached to one backend, it lets the next fdatasync fail, or kills
the backend inside it. The server is the one that the product starts, with the product's settings.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.wiring.gateway import migrate_all
from tests.e2e.pacing import PACE

WRITER: Final = "ordergate journal writer"
WAIT_S_MAX: Final = 60.0
ATTACH_S_MAX: Final = 20.0
POLL_S: Final = 0.02


class Server:
    def __init__(self, postgres: EmbeddedPostgres, database: str) -> None:
        self._postgres = postgres
        self.dsn = database

    async def kill(self) -> None:
        """An immediate shutdown: nothing is written, and nobody is told. Then it is started again."""
        pid = self._postgres.pid
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        await self._postgres.stop()
        await self._postgres.start()

    def program(self, name: str) -> Path:
        """One of PostgreSQL's own programs, of the server's version."""
        return self._postgres.programs / name

    async def database(self, name: str) -> str:
        """The address of another database of the server, empty when it is new."""
        return await self._postgres.database(name)

    async def end_writer(self) -> None:
        """The backend of the journal's writer is terminated, as an operator or a failover would."""
        await self._ask("select pg_terminate_backend($1)", await self.writer())

    async def writer(self) -> int:
        """The process that commits for the gateway."""
        async with asyncio.timeout(WAIT_S_MAX):
            while True:
                found = await self._ask(
                    "select max(pid) from pg_stat_activity where application_name = $1", WRITER
                )
                if isinstance(found, int):
                    return found
                await PACE.sleep(POLL_S)

    async def until_back(self) -> None:
        """Until it takes connections again, having recovered by itself."""
        async with asyncio.timeout(WAIT_S_MAX):
            while True:
                try:
                    await self._ask("select 1")
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await PACE.sleep(POLL_S)
                else:
                    return

    async def fail_commit(self, how: str) -> None:
        """Let a writer's next fdatasync end as strace's `inject` says; returns once that has happened.

        A writer that is just being connected may give up and come again as another process.
        """
        said = b""
        async with asyncio.timeout(WAIT_S_MAX):
            while b"(INJECTED)" not in said and b"+++ killed" not in said:
                said = await self._fail_commit_of(await self.writer(), how)
                assert b"not permitted" not in said, said

    async def _fail_commit_of(self, victim: int, how: str) -> bytes:
        """What strace says, once the process has ended or met its failure."""
        strace = shutil.which("strace")
        assert strace is not None, "install strace"
        inject = f"inject=fdatasync:{how}:when=1"
        traced = await asyncio.create_subprocess_exec(
            strace, "-qq", "-p", str(victim), "-e", "trace=fdatasync", "-e", inject,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            _, said = await traced.communicate()
        finally:
            if traced.returncode is None:
                traced.kill()
                await traced.wait()
        return said

    async def _ask(self, statement: str, *arguments: object) -> object:
        connection = await asyncpg.connect(self.dsn, timeout=WAIT_S_MAX)
        try:
            return await connection.fetchval(statement, *arguments, timeout=WAIT_S_MAX)
        finally:
            connection.terminate()

    def log(self) -> str:
        return (self._postgres.folder / "postgres.log").read_text(encoding="utf-8", errors="replace")


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Server]:
    async with EmbeddedPostgres(folder / "server", settings={"log_min_messages": "log"}) as postgres:
        dsn = await postgres.database("ordergate_paper")
        await migrate_all(dsn)
        yield Server(postgres, dsn)


def can_trace() -> bool:
    """Whether strace is here and may attach to another process of this machine."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        tried = subprocess.run(
            ["timeout", "1", strace, "-qq", "-p", str(sleeper.pid)],
            capture_output=True, check=False, timeout=ATTACH_S_MAX,
        )  # fmt: skip
        return b"not permitted" not in tried.stderr
    finally:
        sleeper.kill()
        sleeper.wait()
