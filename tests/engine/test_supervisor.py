"""Parts are kept alive until they are stopped, and then they have stopped."""

from __future__ import annotations

import asyncio

from ordergate.engine.supervisor import Supervisor
from tests.engine.stage import HandClock


async def test_a_part_that_makes_a_failure_of_being_stopped_is_not_begun_again() -> None:
    begun = 0

    async def part() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("lost as it was given back") from None

    supervisor = Supervisor(HandClock())
    supervisor.keep("part", part)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await supervisor.stop()
    assert begun == 1
