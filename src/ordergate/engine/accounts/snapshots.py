"""Keeps a snapshot of every account's books, so that a start folds little.

Between the commits and beside them: the books are looked at in one moment, written down piece by
piece while orders go on, and kept only once every event in them is durable. A snapshot that fails is
forgotten, and the next one tried in its time. Never waited for by anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import msgspec

from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.accounts.lanes import Lanes
from ordergate.engine.accounts.pictures import lines
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Journal, Snapshot
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("snapshots")

BODY_BYTES_MAX: Final = 512 * 1024 * 1024


class SnapshotPace(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot after every so many `events`, looked for every `look_s` seconds; after a failure not
    before `retry_s`."""

    events: int = 100_000
    look_s: float = 2.0
    retry_s: float = 60.0


class Snapshots:
    def __init__(
        self,
        lanes: Lanes,
        *,
        journal: Journal,
        clock: Clock,
        metrics: Metrics,
        rules: str,
        pace: SnapshotPace,
    ) -> None:
        self._lanes = lanes
        self._journal = journal
        self._clock = clock
        self._metrics = metrics
        self._rules = rules
        self._pace = pace
        self._tried: dict[AccountId, float] = {}

    async def watch(self) -> None:
        """Keep a snapshot of whichever account has gone on for long enough; for ever."""
        while True:
            for seat in self._lanes:
                if self._is_due(seat.lane):
                    await self.keep(seat.lane)
            behind = (seat.lane.head - seat.lane.kept_at for seat in self._lanes)
            self._metrics.snapshot_behind.set(max(behind, default=0))
            await self._clock.sleep(self._pace.look_s)

    async def keep(self, lane: Lane) -> bool:
        """Keep the lane's books as they are now; False when that could not be."""
        self._tried[lane.account] = self._clock.monotonic()
        epoch, seq, picture = lane.epoch, lane.head, lane.books.picture()
        try:
            body = await self._written_down(lines(picture))
            await lane.written()
            failpoints.reach("C18")
            kept = await self._journal.keep(
                Snapshot(account=lane.account, epoch=epoch, seq=seq, rules=self._rules, body=body)
            )
        except Fault as fault:
            log.warning("snapshot.failed", account=lane.account, seq=seq, why=str(fault))
            return False
        failpoints.reach("C19")
        if not kept:
            log.info("snapshot.refused", account=lane.account, seq=seq)
            return False
        if lane.epoch == epoch:
            lane.kept_at = seq
        del self._tried[lane.account]
        log.info("snapshot.kept", account=lane.account, seq=seq, bytes=len(body))
        return True

    def _is_due(self, lane: Lane) -> bool:
        """One that failed is not tried again at once: it would only cost."""
        if not lane.ready.is_set() or lane.head - lane.kept_at < self._pace.events:
            return False
        tried = self._tried.get(lane.account)
        return tried is None or self._clock.monotonic() - tried >= self._pace.retry_s

    async def _written_down(self, pieces: Iterator[bytes]) -> bytes:
        """All pieces, with everything else that goes on in between. Raises Fault when they are too many."""
        written, size = [], 0
        for piece in pieces:
            written.append(piece)
            size += len(piece)
            if size > BODY_BYTES_MAX:
                raise Fault(f"the books are larger than {BODY_BYTES_MAX} bytes")
            await asyncio.sleep(0)
        return b"".join(written)
