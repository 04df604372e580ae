"""Owners who write while things break, and the account they give of it afterwards."""

import asyncio

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.core.orders.events import OrderAccepted
from ordergate.ports.journal import Journal
from tests.journal.making import Owner, order, read, receipt


class Progress:
    """How many orders were written, all traders together."""

    def __init__(self) -> None:
        self._total = 0
        self._target = 0
        self._reached = asyncio.Event()

    def add(self) -> None:
        self._total += 1
        if self._total >= self._target:
            self._reached.set()

    async def reach(self, total: int) -> None:
        self._target = total
        self._reached.clear()
        if self._total < total:
            await asyncio.wait_for(self._reached.wait(), timeout=60)


class Trader:
    """Appends one order after another; after a fault, takes the account again and goes on."""

    def __init__(self, journal: Journal, number: int, progress: Progress | None = None) -> None:
        self.owner = Owner(journal, AccountId(f"P-trader{number}"))
        self.number = number
        self.progress = progress or Progress()
        self.written: list[int] = []
        self.absent: list[int] = []
        self.unclear: list[int] = []

    async def trade(self, orders: int) -> None:
        await self.take()
        for count in range(orders):
            number = self.number * 100_000 + count
            key = receipt(self.owner.account, f"key-of-order-{number:010}", number=number)
            try:
                await self.owner.journal.append(self.owner.place(number, receipt=key))
            except JournalUnavailable:
                self.unclear.append(number)
                await self.take()
            except Fault:
                self.absent.append(number)
                await self.take()
            else:
                self.written.append(number)
                self.progress.add()

    async def check(self, journal: Journal) -> None:
        """Reported written: there, once. Reported not written: not there. In order, without a gap."""
        stored = await read(journal, self.owner.account)
        asked = {order(number): number for number in (*self.written, *self.absent, *self.unclear)}
        there = [asked[one.event.order_id] for one in stored if isinstance(one.event, OrderAccepted)]
        assert len(there) == len(set(there))
        assert set(self.written) <= set(there)
        assert not set(self.absent) & set(there)
        assert set(there) <= set(self.written) | set(self.unclear)
        assert there == sorted(there)
        assert [one.seq for one in stored] == list(range(1, len(stored) + 1))

    async def take(self) -> None:
        while True:
            try:
                await self.owner.take()
            except JournalUnavailable:
                await asyncio.sleep(0)
            else:
                return
