"""Keys sent eight times each while requests are lost, answers are lost, and the gateway dies in between.

The clients know nothing of what became of a request; they ask again with the same key. However often
they do, every key buys one order, and there are exactly as many orders as keys, here and at the venue.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from ordergate.wiring.gateway import migrate_all
from tests.crash.wire import Trouble, Wire
from tests.dose import dose
from tests.e2e.books import check_journal, check_stream, until_agreed
from tests.e2e.client import LOST, Answer, Commands, Rest, clients
from tests.e2e.floor import Floor, floor, repeatable
from tests.e2e.load import ASK_AGAIN
from tests.e2e.pacing import PACE
from tests.e2e.test_idempotency_storm import an_order
from tests.e2e.watcher import Watcher
from tests.keeping import keep

KEYS: Final = dose(100, 10_000)
DUPLICATES: Final = 8
AT_ONCE: Final = 16
ASKED_MAX: Final = 500
AGAIN_S: Final = 0.03
PRICED_S_MAX: Final = 60.0
KILLS: Final = dose(3, 40)
LOST_REQUESTS: Final = Trouble(reset=0.15)


class Storm:
    """Every key with the orders it was answered with, and how often nothing was answered."""

    def __init__(self, ways: list[Commands], chance: Random) -> None:
        self.named: dict[str, set[str]] = {}
        self.firsts: dict[str, int] = {}
        self.lost = 0
        self.done = 0
        self._ways = ways
        self._chance = chance
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def key(self, key: str, order: dict[str, Any]) -> None:
        async with self._gate:
            ways = [self._chance.choice(self._ways) for _ in range(DUPLICATES)]
            await asyncio.gather(*(self._insist(way, key, order) for way in ways))
            self.done += 1

    async def _insist(self, way: Commands, key: str, order: dict[str, Any]) -> None:
        for _ in range(ASKED_MAX):
            answer = await way.place(order, key=key)
            if self._bought(key, answer):
                return
            await PACE.sleep(AGAIN_S)
        raise AssertionError(f"{key} was never answered with its order")

    def _bought(self, key: str, answer: Answer) -> bool:
        if answer.order:  # decided, once
            self.named.setdefault(key, set()).add(answer.order["id"])
            self.firsts[key] = self.firsts.get(key, 0) + (not answer.replayed)
            return True
        self.lost += answer.status == LOST
        assert answer.status == LOST or answer.code in ASK_AGAIN, answer
        return False


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("lost", ["requests", "answers", "the gateway in between"])
async def test_keys_sent_eight_times_through_losses_buy_exactly_their_orders(
    tmp_path: Path, empty_database: str, lost: str
) -> None:
    await migrate_all(empty_database)
    address = tmp_path / "database-url"
    address.write_text(empty_database, encoding="utf-8")
    with repeatable(f"storm without {lost}") as seed:
        async with Wire(seed) as wire:

            def plan(it: Floor) -> None:
                wire.target = ("127.0.0.1", it.port)
                it.door = wire.port

            gateway = {"database_url": {"file": str(address)}}
            async with floor(tmp_path, gateway=gateway, plan=plan) as it:
                await through(it, wire, lost, seed)


async def through(it: Floor, wire: Wire, lost: str, seed: int) -> None:
    async with clients(it) as (rest, stream):
        await stream.watch_quotes(["AAPL"])
        watcher = Watcher(it, rest)
        await watcher.start()
        storm = Storm([rest, stream], Random(seed))
        if lost == "requests":
            wire.suffer(up=LOST_REQUESTS)
        elif lost == "answers":
            wire.suffer(down=LOST_REQUESTS)
        keys = {f"lossy-{seed}-{number:08d}": an_order(number) for number in range(KEYS)}
        storming = asyncio.gather(*(storm.key(key, order) for key, order in keys.items()))
        if lost == "the gateway in between":
            await die_on_the_way(it, rest, wire, storm, storming)
        await storming
        wire.heal()
        assert storm.lost > 0, "nothing was lost"
        assert storm.named.keys() == keys.keys()
        assert {len(named) for named in storm.named.values()} == {1}
        assert max(storm.firsts.values()) == 1, "a key was new more than once"

        await it.until_ready()
        await it.tape(paused=True)
        mine, theirs = await until_agreed(it, rest)
        assert len(mine.orders) == KEYS
        assert len(theirs.orders) == KEYS
        assert not [order for order in mine.orders if order["status"] == "denied"]
        assert {order["id"] for order in mine.orders} == set().union(*storm.named.values())
        await check_stream(watcher, rest)
        await watcher.stop()
        await check_journal(it, rest)
        keep(
            f"storm-without-{lost.replace(' ', '-')}",
            {
                "keys": KEYS,
                "duplicates": DUPLICATES,
                "lost": lost,
                "kills": KILLS if lost == "the gateway in between" else 0,
                "seed": seed,
                "unanswered": storm.lost,
                "orders": len(mine.orders),
                "orders_at_venue": len(theirs.orders),
            },
        )


async def die_on_the_way(
    it: Floor, rest: Rest, wire: Wire, storm: Storm, storming: asyncio.Future[Any]
) -> None:
    """Killed again and again while keys are under way; spread over all of them."""
    for number in range(KILLS):
        async with asyncio.timeout(600):
            while storm.done < number * KEYS // KILLS and not storming.done():
                await PACE.sleep(0.01)
        it.kill()
        wire.refusing = True  # who asks before there are prices again would be denied, for good
        await it.start()
        await it.until_ready()
        await until_priced(it, rest)
        wire.refusing = False


async def until_priced(it: Floor, rest: Rest) -> None:
    """Until risk would take an order of the storm, asked past the wire."""
    asked = f"http://127.0.0.1:{it.port}/v1/orders/preview"
    async with asyncio.timeout(PRICED_S_MAX):
        while True:
            async with it.http.post(asked, json=an_order(0), headers=rest.headers) as answer:
                if (await answer.json()).get("would_be_accepted"):
                    return
            await PACE.sleep(AGAIN_S)
