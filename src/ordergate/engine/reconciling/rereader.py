"""Reads a broker's whole list of executions beside the reconciliations, however long it takes.

A long list takes minutes, and an account that waits for it is behind its broker all that time. So a run
asks for the read and goes on; what the read books, the next run compares. It moves no cursor and keeps
nothing back: that is for the runs.
"""

from __future__ import annotations

import asyncio

from ordergate.core.faults import Fault
from ordergate.core.orders.reports import ExecutedReport
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.ingest import Ingest
from ordergate.ports.broker import BrokerUnavailable
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import bind, logger

log = logger("rereader")


class Rereader:
    def __init__(self, *, ingest: Ingest, clock: Clock, timeout_s: float) -> None:
        self._ingest = ingest
        self._clock = clock
        self._timeout_s = timeout_s

    async def follow(self, seat: Seat) -> None:
        """Read the list whenever a run asks for it, for ever."""
        bind("rereading")  # for as long as this task lives
        while True:
            await seat.read_anew.wait()
            seat.read_anew.clear()
            await self.read(seat)

    async def read(self, seat: Seat) -> None:
        """Once, from where the account was opened. Raises nothing that a broker's absence explains."""
        try:
            async with asyncio.timeout(self._timeout_s):
                booked = await self._absorb_all(seat)
            if booked:
                seat.suspect("executions that were read anew changed the books")
        except (BrokerUnavailable, TimeoutError) as absent:
            why = str(absent) or "it took too long"
            log.warning("rereading.put_off", account=seat.lane.account, why=why)
        except Fault as fault:
            log.error("rereading.failed", account=seat.lane.account, why=str(fault))
        finally:
            now = self._clock.monotonic()
            seat.rereads.ended(now)
            seat.rereads_for_averages.ended(now)

    async def _absorb_all(self, seat: Seat) -> int:
        """How many of them were news."""
        await seat.lane.ready.wait()
        account = seat.lane.books.account
        if account is None:
            return 0
        booked, lag = 0, seat.broker.capabilities.visibility_lag_s
        unread_since = None if seat.read_at is None else seat.read_at - lag
        async for execution in seat.broker.executions(after=account.opening_cursor):
            report = execution.report
            if await self._ingest.absorb(seat, report, execution.snapshot, listed=True) is None:
                continue
            booked += 1
            if isinstance(report, ExecutedReport):
                seat.watch.learned(report.exec_id, self._clock.monotonic(), unread_since=unread_since)
        return booked
