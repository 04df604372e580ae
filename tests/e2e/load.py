"""Clients that never give up: many at once, each command insisted on with its own key until it is answered.

What a careful trading program does when the gateway, the broker or the network between fails: it
asks again, the same thing under the same key. What was answered is kept for the reckoning.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Final

from tests.e2e.client import LOST, Answer, Commands, Rest, Stream
from tests.e2e.floor import Floor
from tests.e2e.pacing import PACE
from tests.e2e.trader import Trader

PRICES: Final = {
    "ESH4": Decimal("4800"),
    "AAPL": Decimal("190"),
    "MSFT": Decimal("370"),
    "BTC/USD": Decimal("43000"),
}
ASK_AGAIN: Final = frozenset(
    {"idempotency-key-in-use", "not-ready", "audit-unavailable", "unavailable", "deadline", "rate-limited"}
)
INSIST_S_MAX: Final = 60.0
PAUSE_S: Final = 0.1
KNOWN_MAX: Final = 40


class Reckoning:
    """What all clients were told, by key."""

    def __init__(self) -> None:
        self.bought: dict[str, set[str]] = {}
        self.answers: Counter[str] = Counter()
        self.lost = 0
        self.answered = asyncio.Event()

    def note(self, key: str, what: str, answer: Answer) -> None:
        replayed = "replayed" if answer.replayed else ""  # what was lost has its reason for a code
        self.answers[" ".join(filter(None, (what, str(answer.status), answer.code, replayed)))] += 1
        if answer.status == LOST:
            self.lost += 1
            return
        if what == "place" and answer.order:
            self.bought.setdefault(key, set()).add(answer.order["id"])
        self.answered.set()

    @property
    def orders(self) -> set[str]:
        """Every order that any key was answered with."""
        return set().union(*self.bought.values())

    def check_keys(self) -> None:
        twice = {key: named for key, named in self.bought.items() if len(named) > 1}
        assert not twice, f"keys that bought more than one order: {twice}"


class Client:
    """One worker with a way of its own. `stop` is looked at between commands, never inside one."""

    def __init__(self, way: Commands, seed: int, reckoning: Reckoning) -> None:
        self._way = way
        self._trader = Trader(seed, PRICES)
        self._reckoning = reckoning
        self._mine: list[dict[str, str]] = []

    async def work(self, stop: asyncio.Event, *, pause_s: float = 0) -> None:
        while not stop.is_set():
            drawn = self._trader.chance.random()
            if drawn < 0.55 or not self._mine:
                await self._place()
            else:
                await self._change(self._trader.chance.choice(self._mine), cancel=drawn < 0.75)
            await PACE.sleep(pause_s)

    async def _place(self) -> None:
        order = self._trader.order()
        wait_s = self._trader.chance.choice((0, 0, 1))
        answer = await self._insist("place", lambda key: self._way.place(order, key=key, wait_s=wait_s))
        if answer.status == 201:
            self._mine = [*self._mine[-KNOWN_MAX:], {**order, "id": answer.order["id"]}]

    async def _change(self, order: dict[str, str], *, cancel: bool) -> None:
        name = order["id"]
        if cancel:
            answer = await self._insist("cancel", lambda key: self._way.cancel(name, key=key))
        else:
            changes = self._trader.changes({**order, "cum_qty": "0"})
            answer = await self._insist("replace", lambda key: self._way.replace(name, changes, key=key))
        if answer.code == "order-final":
            self._mine.remove(order)

    async def _insist(self, what: str, ask: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer that asking again would not change."""
        key = self._trader.key()
        async with asyncio.timeout(INSIST_S_MAX):
            while True:
                answer = await ask(key)
                self._reckoning.note(key, what, answer)
                if answer.status != LOST and answer.code not in ASK_AGAIN:
                    break
                await PACE.sleep(PAUSE_S)
        # Nothing of ours is ever unknown to the gateway, and no defect is ever an answer. (400: the
        # new quantity has been filled meanwhile.)
        assert answer.status in (201, 202, 409, 422) or (what, answer.status) == ("replace", 400), answer
        return answer


class Crowd:
    """Clients at work, half of them by REST and half by streams of their own."""

    def __init__(
        self,
        floor: Floor,
        rest: Rest,
        seed: int,
        *,
        clients: int,
        pause_s: float = 0,
        through: Callable[[Commands], Commands] | None = None,
    ) -> None:
        """`through` may put something between a client and its way, to listen to it."""
        self.reckoning = Reckoning()
        self._stop = asyncio.Event()
        self._streams = [Stream(floor, rest) for _ in range(clients // 2)]
        ways: list[Commands] = [*self._streams, *(rest for _ in range(clients - clients // 2))]
        self._tasks = [
            asyncio.create_task(
                Client(way if through is None else through(way), seed * 1000 + place, self.reckoning).work(
                    self._stop, pause_s=pause_s
                )
            )
            for place, way in enumerate(ways)
        ]

    def check(self) -> None:
        """Raises what a client ran into, at once instead of at the end."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def until_answered(self, timeout_s: float = 60.0) -> None:
        """Until one more command has been answered."""
        self.reckoning.answered.clear()
        async with asyncio.timeout(timeout_s):
            await self.reckoning.answered.wait()
        self.check()

    async def until_bought(self, orders: int, timeout_s: float = 60.0) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.reckoning.bought) < orders:
                await self.until_answered()

    async def until_bought_more(self, orders: int) -> None:
        """Until that many orders more than now are bought."""
        await self.until_bought(len(self.reckoning.bought) + orders)

    async def during(self, seconds: float) -> None:
        """Go on for a while, answered or not: the load meets something that answers nothing."""
        await PACE.sleep(seconds)
        self.check()

    async def finish(self) -> Reckoning:
        """Let every client end the command it is in."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self._close()
        return self.reckoning

    async def abandon(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        for stream in self._streams:
            with suppress(OSError):
                await stream.close()
