"""A broker at its worst over the real wire, and books that agree with its ledger all the same.

For each kind of fault, and for all of them at once: a seeded load goes on while the fault strikes,
then the broker is well again, and everything that was hidden must be found, once and no more.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Final

import pytest

from ordergate.venue.faults import Fault
from tests.dose import dose
from tests.e2e.books import check_journal, check_stream, until_agreed
from tests.e2e.client import Rest, clients
from tests.e2e.floor import Floor, floor, repeatable
from tests.e2e.load import PRICES, Crowd
from tests.e2e.watcher import Watcher

CLIENTS: Final = 6
STRIKES_S_MAX: Final = 60.0

# A request that is held is held for less long than the gateway waits, then the connection is cut.
FAULTS: Final[dict[str, list[Fault]]] = {
    "an order that is taken and not answered": [
        Fault(kind="timeout_after", scope="place", probability=0.1, seconds=0.3),
        Fault(kind="timeout_after", scope="replace", probability=0.2, seconds=0.3),
    ],
    "an order that is neither taken nor answered": [
        Fault(kind="timeout_before", scope="place", probability=0.1, seconds=0.3),
        Fault(kind="timeout_before", scope="replace", probability=0.2, seconds=0.3),
    ],
    "a cancel that is lost either way": [
        Fault(kind="timeout_after", scope="cancel", probability=0.2, seconds=0.2),
        Fault(kind="timeout_before", scope="cancel", probability=0.2, seconds=0.2),
    ],
    "a server error after the order was taken": [
        Fault(kind="error_after", scope="place", probability=0.2, status=502),
        Fault(kind="error_after", scope="cancel", probability=0.2, status=504),
        Fault(kind="error_before", scope="place", probability=0.1, status=503),
    ],
    "an answer that cannot be read": [
        Fault(kind="truncated", scope="place", probability=0.15),
        Fault(kind="malformed", scope="place", probability=0.15),
        Fault(kind="no_id", scope="place", probability=0.1),
        Fault(kind="truncated", scope="cancel", probability=0.2),
        Fault(kind="malformed", scope="query", probability=0.1),
    ],
    "an order that is not visible yet": [
        Fault(kind="timeout_after", scope="place", probability=0.1, seconds=0.1),
        Fault(kind="not_found", scope="query", probability=0.5),
    ],
    "a rate limit": [
        Fault(kind="rate_limited", scope="request", probability=0.05, retry_after=1),
        Fault(kind="rate_limited", scope="place", probability=0.02),
    ],
    "stream frames dropped": [Fault(kind="drop", scope="stream", probability=0.1)],
    "stream frames told twice": [Fault(kind="duplicate", scope="stream", probability=0.3)],
    "stream frames out of order": [
        Fault(kind="reorder", scope="stream", probability=0.2),
        Fault(kind="delay", scope="stream", probability=0.02, seconds=0.2),
    ],
    "a stream that falls silent": [Fault(kind="silent", scope="stream", count=1, skip=20)],
    "a stream that is cut": [Fault(kind="disconnect", scope="stream", probability=0.02)],
}


@pytest.mark.timeout(300)
async def test_books_agree_with_the_venue_after_every_kind_of_fault(tmp_path: Path) -> None:
    """One house lives through all of them, one after the other."""
    with repeatable("venue faults") as seed:
        async with floor(tmp_path) as it, clients(it) as (rest, stream):
            await stream.watch_quotes(list(PRICES))
            watcher = Watcher(it, rest)
            await watcher.start()
            bought: set[str] = set()
            for round_, (name, faults) in enumerate(FAULTS.items()):
                try:
                    orders = dose(40, 400)
                    bought |= await trade_through(
                        it, rest, faults, seed + round_, orders=orders, strike=len(faults)
                    )
                    watcher.check()
                except BaseException as error:
                    error.add_note(f"the fault: {name}")
                    raise
            mine, _ = await until_agreed(it, rest)
            assert {order["id"] for order in mine.orders} == bought
            await check_stream(watcher, rest)
            await watcher.stop()
            await check_journal(it, rest)


@pytest.mark.timeout(300)
async def test_books_agree_with_the_venue_after_all_faults_at_once(tmp_path: Path) -> None:
    """Rates are drawn for each run, as a bad day would draw them."""
    with repeatable("all venue faults") as seed:
        chance = Random(seed)
        every = [fault for faults in FAULTS.values() for fault in faults if fault.kind != "silent"]
        faults = [
            Fault(
                kind=fault.kind,
                scope=fault.scope,
                probability=fault.probability * chance.uniform(0.1, 0.6),
                seconds=fault.seconds,
                status=fault.status,
            )
            for fault in every
        ]
        async with floor(tmp_path) as it, clients(it) as (rest, stream):
            await stream.watch_quotes(list(PRICES))
            watcher = Watcher(it, rest)
            await watcher.start()
            enough = len(faults) * 2 // 3
            bought = await trade_through(it, rest, faults, seed, orders=dose(300, 5_000), strike=enough)
            mine, _ = await until_agreed(it, rest)
            assert {order["id"] for order in mine.orders} == bought
            await check_stream(watcher, rest)
            await watcher.stop()
            await check_journal(it, rest)


async def trade_through(
    it: Floor, rest: Rest, faults: list[Fault], seed: int, *, orders: int, strike: int
) -> set[str]:
    """Trade until so many faults have struck, heal the venue, wait until the books agree; the orders' ids."""
    for fault in faults:
        await it.add_fault(fault)
    crowd = Crowd(it, rest, seed, clients=CLIENTS, pause_s=0.01)
    try:
        await crowd.until_bought(orders)
        async with asyncio.timeout(STRIKES_S_MAX):
            while sum(one.struck > 0 for one in await it.faults()) < strike:
                await crowd.until_answered()
        reckoning = await crowd.finish()
    except BaseException:
        await crowd.abandon()
        raise
    await it.end_faults()
    reckoning.check_keys()
    # The gateway itself is well all the time: it never hides behind its broker's troubles.
    assert reckoning.lost == 0, reckoning.answers
    await it.tape(paused=True)
    await until_agreed(it, rest)
    await it.tape(paused=False)
    return reckoning.orders
