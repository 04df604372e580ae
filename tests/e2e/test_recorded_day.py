"""A day of real market data traded through the whole system, and every book checked at its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.dose import dose
from tests.e2e.books import check_journal, check_stream, differences, until_agreed
from tests.e2e.client import Answer, Commands, Rest, Stream, clients
from tests.e2e.floor import ACCOUNT, Floor, floor, repeatable, synthetic
from tests.e2e.trader import Trader, middle
from tests.e2e.watcher import Watcher
from tests.linearizability.recording import Recording

RECORDING: Final = "data/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
SYMBOLS: Final = ["ESH4", "AAPL", "MSFT", "BTC/USD"]
PACKETS_OF_THE_DAY: Final = 46_000


class Desk:
    """The trader at work: half of its commands by REST, half by the stream."""

    def __init__(self, it: Floor, rest: Rest, stream: Stream, seed: int) -> None:
        self.prices: dict[str, Decimal] = {}
        self.trader = Trader(seed, self.prices)
        self.placed: list[Answer] = []
        self.by: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self._floor = it
        self._rest = rest
        self._stream = stream
        self._ways: tuple[Commands, Commands] = (rest, stream)
        self.recording = Recording()

    def see_prices(self) -> None:
        """Take the latest quotes."""
        for symbol, quote in self._stream.quotes.items():
            if (price := middle(quote)) is not None:
                self.prices[symbol] = price

    async def act(self) -> None:
        """One command: most often a new order, else a change of one that is open."""
        self.see_prices()
        drawn = self.trader.chance.random()
        if drawn < 0.62:
            await self._place()
        elif drawn < 0.985:
            await self._change(cancel=drawn > 0.84)
        else:
            self.recording.cancels_all()
            self._note("cancel_all", await self._rest.cancel_all(ACCOUNT, key=self.trader.key()))

    async def _place(self) -> None:
        number = len(self.placed)
        way = self._ways[number % 2]
        wait_s = self.trader.chance.choice((0, 0, 2))
        heard = self.recording.through(way)
        answer = await heard.place(self.trader.order(), key=self.trader.key(), wait_s=wait_s)
        assert answer.status in (201, 422), answer
        self.placed.append(answer)
        self.by[type(way).__name__] += 1
        self._note("place", answer)

    async def _change(self, *, cancel: bool) -> None:
        working = (await self._rest.get(f"/v1/orders?account_id={ACCOUNT}&open=true&limit=500"))["orders"]
        if not working:
            return
        order = self.trader.chance.choice(working)
        way = self.recording.through(self.trader.chance.choice(self._ways))
        if cancel:
            answer = await way.cancel(order["id"], key=self.trader.key())
        else:
            answer = await way.replace(order["id"], self.trader.changes(order), key=self.trader.key())
        # Between looking and asking the order may have filled in part or whole, or be changing already.
        assert answer.status in (202, 409, 422) or (not cancel and answer.status == 400), answer
        self._note("cancel" if cancel else "replace", answer)

    def _note(self, what: str, answer: Answer) -> None:
        self.answers[f"{what} {answer.status} {answer.code}".strip()] += 1


@pytest.mark.timeout(240)
async def test_a_recorded_day_of_trading_ends_with_the_books_of_the_venue(
    tmp_path: Path, shared_dir: Path
) -> None:
    with repeatable("recorded day") as seed:
        await trade_the_day(tmp_path, shared_dir / RECORDING, seed)


async def trade_the_day(folder: Path, recording: Path, seed: int) -> None:
    orders_min = dose(400, 4_000)
    tapes: list[dict[str, Any]] = [
        {"type": "dbn", "symbol": "ESH4", "paths": [str(recording)], "loop": False},
        synthetic("AAPL", "190.00", seed=seed + 1),
        synthetic("MSFT", "370.00", seed=seed + 2),
        synthetic("BTC/USD", "43000.00", seed=seed + 3),
    ]
    async with floor(folder, tapes=tapes, venue={"paused": True}) as it, clients(it) as (rest, stream):
        watcher = Watcher(it, rest)
        await watcher.start()
        watching = asyncio.create_task(stream.watch_quotes(SYMBOLS))
        while not watching.done():
            await it.tape(steps=2)
        await watching
        desk = Desk(it, rest, stream, seed)
        reading = asyncio.create_task(desk.recording.read(rest, seed))
        actions = 0
        while len(desk.placed) < orders_min:
            await desk.act()
            actions += 1
            await it.tape(symbol="ESH4", steps=PACKETS_OF_THE_DAY // (orders_min * 8 // 5))
            for symbol in SYMBOLS[1:]:
                await it.tape(symbol=symbol, steps=desk.trader.chance.randint(0, 12))
            if actions % (orders_min // 4) == 0:
                await watcher.disconnect()
        await it.tape(symbol="ESH4", steps=PACKETS_OF_THE_DAY)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert desk.recording.reads > len(desk.placed) // 4
        assert desk.recording.check() == len(desk.placed)
        await check_the_end(it, rest, watcher, desk)


async def check_the_end(it: Floor, rest: Rest, watcher: Watcher, desk: Desk) -> None:
    """With orders still open, and again when all are gone."""
    mine, theirs = await until_agreed(it, rest)
    await check_stream(watcher, rest)
    check_the_day_was_full(desk, mine.orders)
    tapes = {one["symbol"]: one for one in msgspec.json.decode(await it.admin("GET", "tape"))}
    assert tapes["ESH4"]["ended"], "the whole day was played"

    last = await rest.cancel_all(ACCOUNT, key=desk.trader.key())
    assert last.status == 207
    mine, theirs = await until_agreed(it, rest)
    assert not [order for order in mine.orders if order["leaves_qty"] != "0"]
    assert not [order for order in theirs.orders if order.leaves_qty]

    # Nothing happens any more: the same again, and from the start of the stream to its end.
    assert differences(mine, await it.ledger()) == []
    await check_stream(watcher, rest)
    assert watcher.connections >= 3
    assert watcher.hashes_checked > 0
    await watcher.stop()
    await check_journal(it, rest)


def check_the_day_was_full(desk: Desk, orders: list[dict[str, Any]]) -> None:
    """A day on which nothing happened would prove nothing."""
    said = f"{desk.by} {desk.answers}"
    assert min(desk.by["Rest"], desk.by["Stream"]) >= len(desk.placed) // 2 - 1, said
    assert desk.answers["place 201"] > len(desk.placed) * 9 // 10, said
    assert desk.answers["replace 202"] > 5, said
    assert desk.answers["cancel 202"] > 5, said
    made = Counter((order["type"], order["time_in_force"]) for order in orders)
    assert {("market", "day"), ("market", "ioc"), ("stop", "day")} < made.keys(), made
    assert {("limit", lasting) for lasting in ("day", "gtc", "ioc", "fok")} < made.keys(), made
    assert any(kind == "stop_limit" for kind, _ in made), made
    ends = Counter(order["status"] for order in orders)
    assert ends["filled"] > 20, ends
    assert ends["canceled"] > 10, ends
    assert {order["side"] for order in orders} == {"buy", "sell"}
    assert {order["symbol"] for order in orders} == set(SYMBOLS)
