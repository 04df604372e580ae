"""kill -9 of the gateway in the middle of everything, again and again, while clients go on trading.

The venue keeps running and keeps its own ledger. Afterwards both ledgers are equal to the cent,
whatever was answered is there, and no key and no order happened twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from ordergate.wiring.gateway import migrate_all
from tests.dose import dose
from tests.e2e.books import check_journal, check_stream, until_agreed
from tests.e2e.client import clients
from tests.e2e.floor import Floor, floor, repeatable
from tests.e2e.load import Crowd
from tests.e2e.pacing import PACE
from tests.e2e.watcher import Watcher
from tests.linearizability.recording import Recording

CLIENTS: Final = 6
IN_RECOVERY: Final = 0.3


@pytest.mark.timeout(600)
async def test_a_gateway_killed_again_and_again_with_its_database_has_a_correct_account(
    tmp_path: Path,
) -> None:
    """The embedded database: what a killed gateway leaves behind is stopped and recovered as well."""
    with repeatable("kill nine, embedded") as seed:
        await trade_through_kills(tmp_path, kills=dose(6, 100), seed=seed, gateway={})


@pytest.mark.timeout(600)
async def test_a_gateway_killed_again_and_again_beside_its_database_has_a_correct_account(
    tmp_path: Path, empty_database: str
) -> None:
    """A database of its own lives on, and may still be committing what the dead one had sent."""
    await migrate_all(empty_database)
    address = tmp_path / "database-url"
    address.write_text(empty_database, encoding="utf-8")
    gateway = {"database_url": {"file": str(address)}}
    with repeatable("kill nine, beside") as seed:
        await trade_through_kills(tmp_path, kills=dose(24, 150), seed=seed, gateway=gateway)


async def trade_through_kills(folder: Path, *, kills: int, seed: int, gateway: dict[str, Any]) -> None:
    chance = Random(seed)
    async with floor(folder, gateway=gateway) as it, clients(it) as (rest, stream):
        await stream.watch_quotes(["ESH4", "AAPL", "MSFT", "BTC/USD"])
        watcher = Watcher(it, rest)
        await watcher.start()
        recording = Recording()
        reading = asyncio.create_task(recording.read(rest, seed))
        crowd = Crowd(it, rest, seed, clients=CLIENTS, pause_s=0.01, through=recording.through)
        try:
            await crowd.until_bought(20)
            for _ in range(kills):
                await one_kill(it, crowd, chance)
                watcher.check()
            await it.until_ready()
            await crowd.until_answered()
            reckoning = await crowd.finish()
        except BaseException:
            await crowd.abandon()
            raise
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

        await it.tape(paused=True)
        mine, _ = await until_agreed(it, rest)
        reckoning.check_keys()
        # Every key was insisted on until it was answered: what they name is all there is.
        shown = {order["id"] for order in mine.orders}
        assert reckoning.orders - shown == set(), "answered, and gone"
        assert shown - reckoning.orders == set(), "orders that no key bought"
        assert it.kills == kills
        assert reckoning.lost > 0, "no kill met a command under way"
        assert watcher.connections > kills // 2
        await check_stream(watcher, rest)
        await watcher.stop()
        assert recording.check() == len(reckoning.orders)
        await check_journal(it, rest)


async def one_kill(it: Floor, crowd: Crowd, chance: Random) -> None:
    """At a random moment: often while orders flow, sometimes while the last kill is being recovered."""
    if chance.random() >= IN_RECOVERY:
        await it.until_ready()
        await crowd.until_answered()
        await PACE.sleep(chance.uniform(0, 0.8))
    else:
        await PACE.sleep(chance.uniform(0, 0.15))
    it.kill()
    crowd.check()
    await it.start()
