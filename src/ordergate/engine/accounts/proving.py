"""Proves in the background what a start from a snapshot has not read: every seal before it.

A start that folds everything proves everything on the way. One from a snapshot takes orders first and
catches up on the proof, slowly, so that orders do not feel it. A seal that does not hold stops the account
as it would have at the start. Changes nothing else.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ordergate.core.faults import JournalCorrupt, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Journal
from ordergate.telemetry.log import logger

log = logger("proving")

EVENTS_OF_A_READING: Final = 2_000
EVENTS_AT_ONCE: Final = 25
REST_TIMES: Final = 19  # of what a reading took: a twentieth of one processor's time
REST_S_MIN: Final = 0.1
RETRY_S: Final = 10.0


class Proving:
    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._proven: dict[AccountId, int] = {}
        self._turn = asyncio.Lock()  # however many accounts there are, one is read at a time

    async def follow(self, seat: Seat) -> None:
        """Prove what lies before the snapshot that the first fold began with; then nothing more."""
        lane = seat.lane
        await lane.ready.wait()
        since = lane.folded_since
        while (proven := self._proven.get(lane.account, 0)) < since:
            try:
                await self._read_on(lane.account, proven, min(proven + EVENTS_OF_A_READING, since))
            except JournalCorrupt as fault:
                lane.halt(fault)
                break
            except JournalUnavailable as fault:
                log.info("proof.put_off", account=lane.account, event_number=proven, why=str(fault))
                await self._clock.sleep(RETRY_S)
        else:
            if since:
                log.info("journal.proven", account=lane.account, upto=since)
        await asyncio.Event().wait()

    async def _read_on(self, account: AccountId, after: int, upto: int) -> None:
        """Read, which proves; then rest for as long as that was work. Raises JournalCorrupt."""
        async with self._turn:
            began = self._clock.monotonic()
            async for stored in self._journal.read(account, after=after, upto=upto):
                if stored.seq % EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            self._proven[account] = upto
            await self._clock.sleep(max(REST_TIMES * (self._clock.monotonic() - began), REST_S_MIN))
