"""The database by which gateways stop together, on PostgreSQL: two journals, and one of them is the place."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import asyncpg
import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.journal.migrate import migrate
from ordergate.journal.shared_stops import SharedStops
from ordergate.ports.kill_flags import Flag

AT = datetime(2026, 1, 5, 15, 0, 0, 123456, tzinfo=UTC)
STOP = Flag(
    id="one", level=Level.TENANT, target="acme", grade=Grade.CANCEL_ALL, actor="ann", reason="½", at=AT
)


async def own(database: str) -> None:
    """Test databases are copies of one: a gateway's is not."""
    connection = await asyncpg.connect(database)
    await connection.execute("update gateway_identity set id = gen_random_uuid()")
    await connection.close()


@pytest.fixture
async def pair(database: str, empty_database: str) -> tuple[SharedStops, SharedStops]:
    await migrate(empty_database)
    await own(empty_database)
    east = SharedStops(database, database, Env.PAPER, "east-1")
    west = SharedStops(database, empty_database, Env.PAPER, "west-1")
    return east, west


async def test_what_one_tells_the_other_takes_once(pair: tuple[SharedStops, SharedStops]) -> None:
    east, west = pair
    await east.tell([STOP])
    await east.tell([STOP])
    assert await west.raised() == [STOP]
    assert await east.raised() == [STOP], "until it is in its own journal"
    for one in pair:
        await one.lower(STOP)
        await one.lower(STOP)
        assert await one.raised() == []
        await one.close()


async def test_what_is_over_is_raised_for_nobody_else(pair: tuple[SharedStops, SharedStops]) -> None:
    east, west = pair
    await east.tell([STOP])
    await west.tell([STOP])
    await west.tell([])
    assert await west.raised() == [STOP], "only whoever told it first says that it is over"
    await east.tell([])
    assert await west.raised() == []
    for one in pair:
        await one.close()


async def test_two_processes_under_one_name_hear_nothing(database: str) -> None:
    one = SharedStops(database, database, Env.PAPER, "one")
    other = SharedStops(database, database, Env.PAPER, "other")
    await one.raised()
    with pytest.raises(JournalUnavailable, match="under this journal's name"):
        await other.raised()
    await one.close()
    await other.raised()
    await other.close()


async def test_the_other_environment_is_refused(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("insert into journal (env) values ('live')")
    await connection.close()
    shared = SharedStops(database, database, Env.PAPER, "one")
    with pytest.raises(JournalUnavailable, match="of the live environment, not paper"):
        await shared.raised()
    await shared.close()


async def test_a_lost_connection_is_made_anew(pair: tuple[SharedStops, SharedStops], database: str) -> None:
    east, west = pair
    await east.tell([STOP])
    killer = await asyncpg.connect(database)
    await killer.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'ordergate shared stops' and datname = current_database()"
    )
    await killer.close()
    with suppress(JournalUnavailable):  # when the wire is found dead only by asking
        await east.tell([])
    await east.tell([])
    assert await west.raised() == []
    for one in pair:
        await one.close()
