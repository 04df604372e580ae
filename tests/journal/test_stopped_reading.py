"""Whoever stops reading has stopped, also when the connection is lost just then."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from ordergate.journal.pool import ReadPool


class Connection:
    """Answers the first statement never, and every other at once."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self, *_: object) -> list[str]:
        self.asked += 1
        if self.asked == 1:
            await asyncio.Event().wait()
        return ["a row"]


class Lost:
    """Holds a connection that is found lost when it is given back."""

    def __init__(self, connection: Connection, fault: Exception) -> None:
        self._connection = connection
        self._fault = fault

    async def __aenter__(self) -> Connection:
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            raise self._fault


class Pool:
    def __init__(self, fault: Exception) -> None:
        self.connection = Connection()
        self._fault = fault

    def acquire(self, **_: object) -> Lost:
        return Lost(self.connection, self._fault)


@pytest.mark.parametrize(
    "fault", [asyncpg.ConnectionDoesNotExistError("the connection was closed"), TimeoutError()]
)
async def test_who_stops_reading_as_the_connection_is_lost_has_stopped(fault: Exception) -> None:
    lost: Any = Pool(fault)
    reading = asyncio.create_task(ReadPool(lost, 1.0).fetch("select 1"))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert lost.connection.asked == 1
