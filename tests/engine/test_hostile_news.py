"""OWASP API10: a broker's stream that says anything at all, all the way through the ingest into the books.

Each frame is unreadable, or contradicts itself, and what follows it on its line is no JSON: the line is given
up, the account is looked at by questions, and nothing is booked. A true frame after them is.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final
from unittest.mock import patch

from ordergate.brokers._shared.socket import Patience
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.core.ids import Paper
from ordergate.ports.broker import BrokerNews
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import Alpaca, broker_of
from tests.brokers.streams import Scene, stream_server
from tests.brokers.streams import Stage as Line
from tests.brokers.test_alpaca_stream import AUTHORIZED, LISTENING
from tests.brokers.world import HandClock
from tests.dose import dose
from tests.engine import stage as stages
from tests.engine.stage import Stage
from tests.engine.test_hostile_answers import anything
from tests.keeping import keep

SLEEPS_MAX: Final = 1_000_000
PATIENCE_S: Final = 20.0
NEEDED: Final = ("price", "qty", "execution_id", "timestamp", "order")
NEEDED_OF_ORDER: Final = ("id", "client_order_id", "symbol", "filled_qty")


class Listening(PaperBroker[Paper]):
    """The twin in everything, except that its news come over the real adapter, from whoever speaks there."""

    there: Alpaca

    async def news(self) -> AsyncIterator[BrokerNews]:
        async for item in self.there.news():
            yield item


Ours = tuple[str, str]
"""What our order is called by us and by the broker."""


def filled(ours: Ours) -> dict[str, Any]:
    figures = {"qty": "1", "filled_qty": "1", "status": "filled", "filled_avg_price": "4700"}
    order = documents.order(ours[0], id=ours[1], symbol="ESH4", **figures)
    return documents.update("fill", order, price="4700", qty="1", position_qty="1")


def some_json(chance: Random, ours: Ours) -> str:
    return json.dumps(anything(chance))


def bent(chance: Random, ours: Ours) -> str:
    """A fill of our order, of which something that it needs is no text, or no number."""
    frame = filled(ours)
    wrong = chance.choice([7, True, [ours[0]], {"a": 1}])
    if chance.random() < 0.5:
        frame["data"][chance.choice(NEEDED)] = wrong
    else:
        frame["data"]["order"][chance.choice(NEEDED_OF_ORDER)] = wrong
    return json.dumps(frame)


def impossible(chance: Random, ours: Ours) -> str:
    """A fill of our order in figures that cannot be."""
    frame = filled(ours)
    field = chance.choice(["price", "qty"])
    worse = ["-1", "0"] if field == "qty" else []  # a price may be below nothing
    frame["data"][field] = chance.choice(["NaN", "", "1e999", "x", "Infinity", *worse])
    return json.dumps(frame)


def broken(chance: Random, ours: Ours) -> str:
    whole = json.dumps(filled(ours))
    match chance.randrange(4):
        case 0:
            return whole[: chance.randrange(len(whole))]
        case 1:
            return whole.replace('"qty": "1"', '"qty": "1", "qty": "2"')
        case 2:
            return "[" * chance.choice([100, 100_000])
        case _:
            return whole + whole


FRAMES: Final[tuple[Callable[[Random, Ours], str], ...]] = (some_json, bent, impossible, broken)


class Speaker:
    """One frame on every line: hostile ones, and then the truth."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.chance = Random(11)
        self.kinds: Counter[str] = Counter()
        self.ours = ("", "")
        self.begin = asyncio.Event()

    async def scene(self, line: Line) -> None:
        await line.hear()
        await line.say(AUTHORIZED)
        await line.hear()
        await line.say(LISTENING)
        await self.begin.wait()
        if self.left:
            self.left -= 1
            kind = self.chance.choice(FRAMES)
            self.kinds[kind.__name__] += 1
            await line.say_text(kind(self.chance, self.ours))
            await line.say_text("{")
        else:
            await line.say(filled(self.ours))
        await line.stay()


@asynccontextmanager
async def listening(scene: Scene) -> AsyncIterator[Stage]:
    async with stream_server(scene) as server:
        patience = Patience(silence_s=PATIENCE_S)
        there = broker_of(server.url, HandClock(SLEEPS_MAX), patience=patience)

        def made(exchange: Any, **more: Any) -> Listening:
            broker = Listening(exchange, **more)
            broker.there = there
            return broker

        with patch.object(stages, "PaperBroker", made):
            stage = Stage()
            await stage.start(ready=False)
        try:
            yield stage
        finally:
            await stage.crash()
            await there.close()


async def test_api10_nothing_is_booked_of_what_a_hostile_stream_says() -> None:
    count = dose(300, 10_000, short=20)
    speaker, told = Speaker(count), asyncio.Event()
    async with listening(speaker.scene) as stage:
        await stage.until(lambda: not stage.gate.readiness())
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        known = stage.lane.books.order(order)
        assert known is not None
        speaker.ours = known.cl_ord_id, str(known.broker_order_id)
        before = len(stage.listener.kinds)
        stage.listener.on("order_filled", told.set)
        stage.listener.on("order_partially_filled", told.set)

        speaker.begin.set()
        async with asyncio.timeout(PATIENCE_S + count * 0.1):
            await told.wait()

        assert speaker.left == 0, "something was booked before the truth"
        after = stage.listener.kinds[before:]
        assert stage.held(stages.ES) == 1
        assert len(stage.journal.books[stage.account].executions) == 1
        assert stage.status(order) == "filled"
        assert [kind for kind in after if kind.startswith("order_")] == ["order_filled"], after
    assert set(speaker.kinds) == {frame.__name__ for frame in FRAMES}
    keep("hostile-news", {"frames": count, "booked": 0, "of": dict(sorted(speaker.kinds.items()))})
