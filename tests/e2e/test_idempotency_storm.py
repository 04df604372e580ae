"""A thousand keys, each sent eight times at once by REST and stream: a thousand orders, no more."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.dose import dose
from tests.e2e.books import check_journal, check_stream, ours, until_agreed
from tests.e2e.client import LOST, Answer, Commands, Rest, Stream, clients
from tests.e2e.floor import ACCOUNT, floor, repeatable
from tests.e2e.watcher import Watcher

DUPLICATES: Final = 8
KEYS_AT_ONCE: Final = 24
ROUNDS_MAX: Final = 200


class Storm:
    """Every key's orders as they were answered, and how often each kind of answer was given."""

    def __init__(self, rest: Rest, stream: Stream, seed: int) -> None:
        self.named: dict[str, set[str]] = {}
        self.firsts: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self._ways: tuple[Commands, Commands] = (rest, stream)
        self._chance = Random(seed)

    async def send(self, key: str, order: dict[str, Any], times: int) -> None:
        """The same request so often at once; asked again while the first is still under way."""
        ways = [self._chance.choice(self._ways) for _ in range(times)]
        await asyncio.gather(*(self._until_bought(way, key, order) for way in ways))

    async def _until_bought(self, way: Commands, key: str, order: dict[str, Any]) -> None:
        for _ in range(ROUNDS_MAX):
            answer = await way.place(order, key=key)
            self._note(key, answer)
            if answer.status == 201:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{key} was never answered with its order: {self.answers}")

    def _note(self, key: str, answer: Answer) -> None:
        self.answers[f"{answer.status} {answer.code} {'replayed' if answer.replayed else ''}".strip()] += 1
        if answer.status == 201:
            self.named.setdefault(key, set()).add(answer.order["id"])
            self.firsts[key] += not answer.replayed
            return
        assert answer.status == 409, answer
        assert answer.code == "idempotency-key-in-use", answer
        assert answer.retry_after in ("1", None), answer


def an_order(number: int) -> dict[str, Any]:
    """Far below the market, so that it rests; no two are equal."""
    price = Decimal("150.00") + Decimal(number % 1000) / 100
    return {
        "account_id": ACCOUNT,
        "symbol": "AAPL",
        "side": "buy",
        "type": "limit",
        "quantity": str(1 + number // 1000),
        "limit_price": f"{price:.2f}",
        "time_in_force": "gtc",
    }


@pytest.mark.timeout(300)
async def test_a_thousand_keys_sent_eight_times_at_once_buy_a_thousand_orders(tmp_path: Path) -> None:
    with repeatable("idempotency storm") as seed:
        await storm_of_duplicates(tmp_path, seed)


async def storm_of_duplicates(folder: Path, seed: int) -> None:
    keys = {f"storm-{seed}-{number:08d}": an_order(number) for number in range(dose(1_000, 10_000))}
    async with floor(folder) as it, clients(it) as (rest, stream):
        watcher = Watcher(it, rest)
        await watcher.start()
        await stream.watch_quotes(["AAPL"])
        storm = Storm(rest, stream, seed)
        gate = asyncio.Semaphore(KEYS_AT_ONCE)

        async def one(key: str) -> None:
            async with gate:
                await storm.send(key, keys[key], DUPLICATES)

        await asyncio.gather(*(one(key) for key in keys))
        again = Random(seed).sample(sorted(keys), len(keys) // 5)
        for key in again:
            await storm.send(key, keys[key], 1)
        await check_misuse(rest, stream, again[0])

        said = f"{storm.answers}"
        assert storm.named.keys() == keys.keys(), said
        assert {len(named) for named in storm.named.values()} == {1}, said
        assert set(storm.firsts.values()) == {1}, f"a key was new more than once, or never: {said}"
        assert storm.answers["201  replayed"] == len(keys) * (DUPLICATES - 1) + len(again), said
        assert storm.answers["409 idempotency-key-in-use"] > 0, said
        assert str(LOST) not in storm.answers, said

        await it.tape(paused=True)
        mine, theirs = await until_agreed(it, rest)
        assert len(theirs.orders) == len(keys)
        assert {order["id"] for order in mine.orders} == set().union(*storm.named.values())
        await check_stream(watcher, rest)
        await watcher.stop()
        await check_journal(it, rest)


async def check_misuse(rest: Rest, stream: Stream, key: str) -> None:
    """A used key with another order is refused on both ways, and buys nothing."""
    other = an_order(5) | {"quantity": "77"}
    before = len((await ours(rest)).orders)
    for way in (rest, stream):
        answer = await way.place(other, key=key)
        assert (answer.status, answer.code) == (422, "idempotency-key-reused"), answer
    assert len((await ours(rest)).orders) == before
