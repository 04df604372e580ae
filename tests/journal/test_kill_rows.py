"""The rows that stop, on PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import asyncpg

from ordergate.core.faults import JournalUnavailable
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.journal.kill_rows import KillRows
from ordergate.ports.kill_flags import Flag
from ordergate.ports.nodes import Node

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


async def test_a_flag_is_raised_until_it_is_lowered(database: str) -> None:
    rows = KillRows(database)
    flag = Flag(
        id="one",
        level=Level.STRATEGY,
        target="trend",
        grade=Grade.CANCEL_ALL,
        actor="local:ops",
        reason="½",
        at=AT,
    )
    await rows.put(flag)
    await rows.put(flag)
    assert await rows.raised() == [flag]
    await rows.lower(flag)
    await rows.lower(flag)
    assert await rows.raised() == []
    await rows.close()


async def test_a_row_that_is_not_understood_stops_everything(database: str) -> None:
    rows = KillRows(database)
    connection = await asyncpg.connect(database)
    await connection.execute("insert into kill_flag (id, level, reason) values ('a', 'global', 'by hand')")
    await connection.execute(
        "insert into kill_flag (id, level, grade, reason) values ('b', 'galaxy', 'all', 'typo')"
    )
    await connection.close()
    first, second = await rows.raised()
    assert (first.level, first.grade, first.reason) == (Level.GLOBAL, Grade.BLOCK_NEW, "by hand")
    assert (second.level, second.grade) == (Level.GLOBAL, Grade.BLOCK_NEW)
    await rows.close()


async def test_a_lost_connection_is_made_anew(database: str) -> None:
    rows = KillRows(database)
    await rows.raised()
    killer = await asyncpg.connect(database)
    await killer.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'ordergate kill' and datname = current_database()"
    )
    await killer.close()
    with suppress(JournalUnavailable):  # when the wire is found dead only by asking
        await rows.raised()
    assert await rows.raised() == []
    await rows.close()


async def test_nodes_see_what_each_other_runs_on(database: str) -> None:
    one, other = KillRows(database), KillRows(database)
    await one.announce(Node(name="a", build="1", config="x"))
    await other.announce(Node(name="b", build="2", config="x"))
    assert [node.name for node in await one.seen(10)] == ["a", "b"]
    assert await one.seen(0) == []
    await one.close()
    await other.close()


async def test_a_node_has_ended_with_its_session(database: str) -> None:
    one, other = KillRows(database), KillRows(database)
    await one.announce(Node(name="a", build="1", config="x"))
    await other.announce(Node(name="b", build="1", config="x"))
    assert [node.ended for node in await one.seen(10)] == [False, False]
    await _session_is_cut(database, other)
    assert [node.ended for node in await one.seen(10)] == [False, True]
    await one.close()


async def test_a_node_that_lost_its_session_and_lives_says_so_with_the_next_one(database: str) -> None:
    one, other = KillRows(database), KillRows(database)
    await one.announce(Node(name="a", build="1", config="x"))
    await other.announce(Node(name="b", build="1", config="x"))
    await _session_is_cut(database, other)
    with suppress(JournalUnavailable):  # when the wire is found dead only by asking
        await other.raised()
    await other.raised()
    assert [node.ended for node in await one.seen(10)] == [False, False]
    await one.close()
    await other.close()


async def test_of_a_node_that_named_no_session_only_the_time_tells(database: str) -> None:
    """As a release before this one does."""
    rows = KillRows(database)
    connection = await asyncpg.connect(database)
    await connection.execute("insert into node_seen (node, build, config) values ('old', '0', 'x')")
    await connection.close()
    assert await rows.seen(10) == [Node(name="old", build="0", config="x")]
    await rows.close()


async def _session_is_cut(database: str, rows: KillRows) -> None:
    """As when its process is killed. Returns once PostgreSQL has ended it."""
    assert rows._connection is not None
    session = rows._connection.get_server_pid()
    killer = await asyncpg.connect(database)
    assert await killer.fetchval("select pg_terminate_backend($1, 10000)", session)
    await killer.close()
