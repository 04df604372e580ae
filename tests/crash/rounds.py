"""Rounds of trading on one floor, each with trouble of its own and a whole reckoning at its end.

A round trades until its trouble has struck, lets every client get its answer, and then holds both
ledgers against each other: orders, executions, positions, cash, and every key's one order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.e2e.books import check_journal, check_stream, until_agreed
from tests.e2e.client import Commands, Rest, Stream, clients
from tests.e2e.floor import Floor, floor
from tests.e2e.load import Crowd
from tests.e2e.watcher import Watcher
from tests.linearizability.recording import Recording

CLIENTS: Final = 6
SYMBOLS: Final = ("ESH4", "AAPL", "MSFT", "BTC/USD")

# Quick to doubt and to be sure, so that a round takes seconds.
RHYTHM: Final[Mapping[str, float]] = {
    "interval_s": 2.0,
    "suspicion_s": 0.2,
    "unanswered_s_min": 0.5,
    "settle_s": 2.5,
}

# Every start but the first is from a snapshot, as a long past would make it.
SNAPSHOT_EVENTS: Final = 25


class Rounds:
    """`orders` is every order that any key of any round was answered with."""

    def __init__(
        self, it: Floor, rest: Rest, stream: Stream, watcher: Watcher, seed: int, *, dated: bool
    ) -> None:
        self.it = it
        self.rest = rest
        self.orders: set[str] = set()
        self.lost = 0
        self._stream = stream
        self._watcher = watcher
        self._seed = seed
        self._rounds = 0
        self.recording = Recording(dated=dated)
        self._reader = asyncio.create_task(self.recording.read(rest, seed))

    @asynccontextmanager
    async def one(self, *, through: Callable[[Commands], Commands] | None = None) -> AsyncIterator[Crowd]:
        """Trouble happens in the block, under load; at its end the gateway must be up, or be coming up."""
        self._rounds += 1
        crowd = Crowd(
            self.it,
            self.rest,
            self._seed * 100 + self._rounds,
            clients=CLIENTS,
            pause_s=0.01,
            through=lambda way: self.recording.through(way if through is None else through(way)),
        )
        try:
            yield crowd
            crowd.check()
            reckoning = await crowd.finish()
        except BaseException:
            await crowd.abandon()
            raise
        reckoning.check_keys()
        self.orders |= reckoning.orders
        self.lost += reckoning.lost
        await self.agree()

    async def agree(self) -> None:
        """Both sides say the same of everything, and what is there is what keys bought."""
        await self.it.until_ready()
        await self.it.tape(paused=True)
        mine, _ = await until_agreed(self.it, self.rest)
        shown = {order["id"] for order in mine.orders}
        assert self.orders - shown == set(), "answered, and gone"
        assert shown - self.orders == set(), "orders that no key bought"
        self._watcher.check()
        await self.it.tape(paused=False)

    async def leave(self) -> None:
        """Look and listen no longer; what was told until now was in order."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._watcher.stop()

    def abandon(self) -> None:
        self._reader.cancel()

    async def end(self) -> None:
        """What the stream told from the first event on, the whole journal, and every order's history."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        assert self.recording.reads > 0
        assert self.recording.check() >= len(self.orders)
        await self.it.tape(paused=True)
        await check_stream(self._watcher, self.rest)
        await self._watcher.stop()
        await check_journal(self.it, self.rest)


@asynccontextmanager
async def rounds(folder: Path, seed: int, *, dated: bool = True, **how: Any) -> AsyncIterator[Rounds]:
    """A floor with a client and a watcher, quick to reconcile. `how` is what `floor` takes.

    `dated` of False where the clock may jump.
    """
    gateway = {"reconciliation": RHYTHM, "snapshot_events": SNAPSHOT_EVENTS, **how.pop("gateway", {})}
    async with floor(folder, gateway=gateway, **how) as it, clients(it) as (rest, stream):
        await stream.watch_quotes(SYMBOLS)
        watcher = Watcher(it, rest)
        await watcher.start()
        at = Rounds(it, rest, stream, watcher, seed, dated=dated)
        try:
            yield at
        finally:
            at.abandon()
