"""TM8: limits and stops that were changed in the database itself: nothing opens until a person has looked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade
from ordergate.engine.answering.answers import Answer
from ordergate.journal.postgres import PostgresJournal
from tests.engine.limit_people import edited, rule, setting
from tests.engine.stage import TRADER, HandClock, Stage

LIMIT = '"max_open_orders":3'
CHANGES = {
    "a limit widened": f"""
        update event set body = replace(body, '{LIMIT}', '{LIMIT}000') where body like '%{LIMIT}%'""",
    "a stop taken away": "delete from event where kind = 'kill_engaged'",
    "a stop rewritten": "update event set body = replace(body, 'drill', 'other') where kind = 'kill_engaged'",
}


@asynccontextmanager
async def gateway(database: str, *, ready: bool = True) -> AsyncIterator[Stage]:
    """The engine in memory, over the real journal."""
    stage = Stage(clock=HandClock(real_s=0.01))
    stage.journal = cast(Any, await PostgresJournal.connect(database, Env.PAPER))
    try:
        await stage.start(ready=ready)
        try:
            yield stage
        finally:
            await stage.crash()
    finally:
        await stage.journal.close()


async def governed(database: str) -> None:
    """A tighter limit, and a stop."""
    async with gateway(database) as stage:
        await edited(stage, setting(rule({"max_open_orders": 3})))
        await stage.gate.engage_kill(TRADER, grade=Grade.BLOCK_NEW, reason="drill", correlation="test")


async def alter(database: str, statement: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("alter table event disable trigger event_is_append_only")
        assert (await connection.execute(statement)).endswith(" 1")
    finally:
        await connection.close()


@pytest.mark.parametrize("what", CHANGES)
async def test_after_it_was_changed_in_the_database_nothing_opens(database: str, what: str) -> None:
    await governed(database)
    await alter(database, CHANGES[what])
    async with gateway(database, ready=False) as stage:
        for _ in range(50):
            await stage.clock.move(1)
        answer = await stage.place()
        assert isinstance(answer, Refusal) or answer.failed
        assert set(stage.gate.readiness()) & {"limits", "kill-switch", "kill_switch"}
        assert stage.placed_at_exchange() == 0


async def test_as_they_were_written_they_hold(database: str) -> None:
    await governed(database)
    async with gateway(database) as stage:
        assert stage.seat.limits is not None
        assert stage.seat.limits.max_open_orders == 3
        stopped = await stage.place()
        assert isinstance(stopped, Answer)
        assert stopped.failed
