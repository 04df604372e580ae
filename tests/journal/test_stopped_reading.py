"""Whoever stops reading or keeping has stopped, also when the connection is lost just then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from ordergate.core.ids import AccountId
from ordergate.journal import session
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.pool import ReadPool
from ordergate.journal.surveillance import PostgresSurveillance
from ordergate.ports.audit import Head, Range

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


class Connection:
    """Answers the first statement never, and every other at once; a transaction on it ends as it is told."""

    def __init__(self, fault: Exception) -> None:
        self.asked = 0
        self._fault = fault

    async def fetch(self, *_: object) -> list[str]:
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        return ["a row"]

    executemany = fetch

    def transaction(self, **_: object) -> Lost:
        return Lost(self, self._fault)

    def terminate(self) -> None: ...


class Lost:
    """Holds a connection that is found lost when it is given back."""

    def __init__(self, connection: Connection, fault: Exception) -> None:
        self._connection = connection
        self._fault = fault

    async def __aenter__(self) -> Connection:
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            raise type(self._fault)(*self._fault.args)  # one each time: two levels of a stack may raise it


class Pool:
    def __init__(self, fault: Exception) -> None:
        self.connection = Connection(fault)
        self._fault = fault

    def acquire(self, **_: object) -> Lost:
        return Lost(self.connection, self._fault)


FAULTS = pytest.mark.parametrize(
    "fault", [asyncpg.ConnectionDoesNotExistError("the connection was closed"), TimeoutError()]
)


@FAULTS
async def test_who_stops_reading_as_the_connection_is_lost_has_stopped(fault: Exception) -> None:
    lost: Any = Pool(fault)
    reading = asyncio.create_task(ReadPool(lost, 1.0).fetch("select 1"))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert lost.connection.asked == 1


async def look_at_a_moment(lost: Any) -> None:
    async with ReadPool(lost, 1.0).moment() as connection:
        await connection.fetch("select 1")


async def ask_for_cursors(lost: Any) -> None:
    await PostgresSurveillance(lost, 1.0).cursors()


async def keep_a_checkpoint(lost: Any) -> None:
    ranges = [Range(0, AccountId("P-ALICE"), 0, 1)]
    await PostgresAuditLog("", lost, 1.0).keep(ranges, Head(1, bytes(32), (bytes(32),), "note", AT))


@FAULTS
@pytest.mark.parametrize("work", [look_at_a_moment, ask_for_cursors, keep_a_checkpoint])
async def test_who_stops_in_the_middle_of_a_connection_that_is_lost_has_stopped(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[Any], Awaitable[None]], fault: Exception
) -> None:
    lost = Pool(fault)

    async def connect(*_: object, **__: object) -> Connection:
        return lost.connection

    monkeypatch.setattr(session, "connect", connect)
    working = asyncio.ensure_future(work(lost))
    for _ in range(5):
        await asyncio.sleep(0)
    assert lost.connection.asked == 1
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
