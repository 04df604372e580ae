"""The embedded server: durable, private, and found again after every kind of end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from ordergate.core.ids import Env
from ordergate.journal import embedded
from ordergate.journal.embedded import EmbeddedFault, EmbeddedPostgres
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.processes import is_server_of, processes_in
from tests.journal.making import ALICE, opened, read, taken


async def ask(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close(timeout=10)


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"])
async def test_what_is_acknowledged_is_on_disk(postgres: EmbeddedPostgres, setting: str) -> None:
    assert await ask(postgres.dsn("postgres"), f"show {setting}") == "on"


async def test_there_is_no_port_and_only_the_owner_may_come_in(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.dsn("postgres"), "show listen_addresses") == ""
    assert postgres.socket.parent.stat().st_mode & 0o077 == 0
    assert postgres.folder.stat().st_mode & 0o077 == 0


async def test_a_server_stopped_and_started_has_everything_again(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "server") as server:
        database = await server.database("paper")
        await migrate(database)
        journal = await PostgresJournal.connect(database, Env.PAPER)
        owner = await taken(journal)
        await journal.append(owner.unit(opened(ALICE)))
        await journal.close()
    assert processes_in(server.folder / "pgdata") == []
    async with EmbeddedPostgres(tmp_path / "server") as server:
        database = await server.database("paper")
        assert await migrate(database) == []
        journal = await PostgresJournal.connect(database, Env.PAPER)
        assert [one.event for one in await read(journal)] == [opened(ALICE)]
        await journal.close()


async def test_a_server_that_is_just_ending_by_itself_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes its file away some time before the process is gone; whom to stop is not known then."""
    server = EmbeddedPostgres(tmp_path / "server")
    await server.start()
    looked: list[bool] = []

    def ends_meanwhile(pid: int, data: Path) -> bool:
        if not looked:  # found alive, and gone by the time that it is asked
            os.kill(pid, signal.SIGINT)
            give_up_at = time.monotonic() + 30
            while server.pid is not None:
                assert time.monotonic() < give_up_at, "the server does not end"
                os.sched_yield()
        looked.append(len(looked) < 3 or is_server_of(pid, data))
        return looked[-1]

    monkeypatch.setattr(embedded, "is_server_of", ends_meanwhile)
    await server.stop()
    assert looked[:3] == [True, True, True]
    assert looked[-1] is False


async def test_a_second_gateway_on_the_same_folder_is_told_so(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "server"):
        with pytest.raises(EmbeddedFault, match="another gateway runs on"):
            await EmbeddedPostgres(tmp_path / "server").start()


async def test_a_server_left_behind_by_a_killed_gateway_is_stopped_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    gateway = (
        "import asyncio, os, pathlib, signal\n"
        "from ordergate.journal.embedded import EmbeddedPostgres\n"
        f"asyncio.run(EmbeddedPostgres(pathlib.Path({str(folder)!r})).start())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", gateway], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    server = EmbeddedPostgres(folder)
    left = server.pid
    assert left is not None
    assert is_server_of(left, folder / "pgdata")
    async with server:
        assert server.pid != left
        assert not is_server_of(left, folder / "pgdata")
        assert await ask(await server.database("paper"), "select 1") == 1


async def test_a_stale_pid_file_that_names_another_program_does_not_matter(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "server")
    await server.start()
    pid_file = server.folder / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text(encoding="ascii").splitlines()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n", encoding="ascii")
    async with server:
        assert await ask(await server.database("paper"), "select 1") == 1


async def test_a_folder_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    (folder / "pgdata-unfinished-1").mkdir(parents=True)
    (folder / "pgdata-unfinished-1" / "PG_VERSION").write_text("18\n", encoding="ascii")
    async with EmbeddedPostgres(folder) as server:
        assert await ask(await server.database("paper"), "select 1") == 1


async def test_a_folder_of_another_version_is_refused_untouched(tmp_path: Path) -> None:
    data = tmp_path / "server" / "pgdata"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n", encoding="ascii")
    with pytest.raises(EmbeddedFault, match="was made by PostgreSQL 12"):
        await EmbeddedPostgres(tmp_path / "server").start()
    assert [file.name for file in data.iterdir()] == ["PG_VERSION"]


async def test_a_folder_that_cannot_be_made_is_a_sentence_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="ascii")
    with pytest.raises(EmbeddedFault, match=r"cannot be written .* choose another"):
        await EmbeddedPostgres(tmp_path / "file" / "server").start()


async def test_a_server_that_does_not_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "server", settings={"shared_buffers": "'a lot'"})
    with pytest.raises(EmbeddedFault, match="shared_buffers"):
        await server.start()
    async with EmbeddedPostgres(tmp_path / "server") as mended:
        assert await ask(await mended.database("paper"), "select 1") == 1


async def test_a_folder_with_a_long_name_works(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / ("long" * 20) / "server") as server:
        assert await ask(await server.database("paper"), "select 1") == 1


async def test_the_socket_of_a_folder_with_a_long_name_leaves_no_folder_of_its_own(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 20) / "server")
    for _ in range(2):
        async with server:
            elsewhere = server.socket.parent
            assert not elsewhere.is_relative_to(tmp_path)
            assert await ask(server.dsn("postgres"), "select 1") == 1
        assert not elsewhere.exists()


async def test_an_address_in_a_folder_with_a_long_name_is_good_after_a_restart(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 20) / "server")
    async with server:
        address = server.dsn("postgres")
    async with server:
        assert await ask(address, "select 1") == 1


async def test_where_the_socket_was_and_somebody_else_is_now_no_server_goes(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 20) / "server")
    async with server:
        before = server.socket.parent
    before.mkdir()
    try:
        async with server:
            assert server.socket.parent != before
            assert await ask(server.dsn("postgres"), "select 1") == 1
    finally:
        before.rmdir()


async def test_a_database_name_is_taken_literally(postgres: EmbeddedPostgres) -> None:
    name = 'od"d; drop database template1 --'
    assert await ask(await postgres.database(name), "select current_database()") == name
    assert await ask(await postgres.database(name), "select 1") == 1
