"""A database server that dies or whose disk fails in the middle of a commit, under load.

After a failed fdatasync nobody knows whether the commit is there: the server panics, and recovers
to one or the other. The gateway must find out, and neither send again nor forget.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.crash.rounds import Rounds, rounds
from tests.crash.server import Server, can_trace, server
from tests.dose import dose
from tests.e2e.floor import repeatable

EIO = "error=EIO"
KILLED = "signal=SIGKILL"


@pytest.fixture(scope="module")
def tracing() -> None:
    # Only a tracer can make a real disk fail; containers often forbid to attach one.
    if not can_trace():
        pytest.skip("commits were not made to fail: there is no strace here that may attach to a process")


def beside(folder: Path, hurt: Server, seed: int) -> AbstractAsyncContextManager[Rounds]:
    """Rounds of a gateway that uses this server."""
    address = folder / "database-url"
    address.write_text(hurt.dsn, encoding="utf-8")
    return rounds(folder, seed, gateway={"database_url": {"file": str(address)}})


@pytest.mark.timeout(1800)
async def test_a_database_killed_and_restarted_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with repeatable("database killed") as seed:
        async with server(tmp_path) as hurt, beside(tmp_path, hurt, seed) as at:
            async with at.one() as crowd:
                for _ in range(dose(4, 60)):
                    await crowd.until_bought_more(5)
                    await hurt.kill()
                await crowd.until_answered()
            assert at.it.kills == 0, "the gateway lives through all of it"
            await at.end()


@pytest.mark.timeout(1800)
async def test_a_writer_whose_session_is_ended_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    with repeatable("session ended") as seed:
        async with server(tmp_path) as hurt, beside(tmp_path, hurt, seed) as at:
            async with at.one() as crowd:
                for _ in range(dose(20, 200)):
                    await crowd.until_bought_more(2)
                    await hurt.end_writer()
                await crowd.until_answered()
            assert at.it.kills == 0
            await at.end()


@pytest.mark.usefixtures("tracing")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", [EIO, KILLED])
async def test_a_commit_whose_fsync_fails_is_found_out_and_never_sent_twice(tmp_path: Path, how: str) -> None:
    with repeatable("fsync fails") as seed:
        async with server(tmp_path) as hurt, beside(tmp_path, hurt, seed) as at:
            async with at.one() as crowd:
                for _ in range(dose(5, 50)):
                    await crowd.until_bought_more(2)
                    await hurt.fail_commit(how)
                    await hurt.until_back()
                await crowd.until_answered()
            if how == EIO:
                assert hurt.log().count("PANIC:  could not fdatasync") >= dose(5, 50)
            assert at.it.kills == 0
            await at.end()
