"""What reconciliations were made: when, why, how long, over what, and what they found.

Kept in memory, the latest of each account up to a bound; what they found for good is in the journal
as breaks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.accounts.breaks import Difference
from ordergate.core.ids import AccountId

RUNS_KEPT_MAX: Final = 1_000
DIFFERENCES_SHOWN_MAX: Final = 100


class RunResult(StrEnum):
    COMPLETED = "completed"
    PUT_OFF = "put_off"
    FAILED = "failed"
    WRONG_ACCOUNT = "wrong_account"


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """`sure` is False where it could still be news under way."""

    nature: str
    subject: str
    ours: str
    theirs: str
    detail: str
    sure: bool


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One reconciliation. Counts are of things looked at, and of breaks that followed."""

    id: str
    account_id: str
    why: tuple[str, ...]
    started_at: datetime
    took_ms: int
    result: str
    trouble: str | None
    executions_read: int
    orders_listed: int
    orders_ours: int
    orders_asked: int
    positions_compared: bool
    cash_compared: bool
    breaks_opened: int
    breaks_healed: int
    breaks_noted: int
    differences_found: int
    differences: tuple[DifferenceView, ...]


class Tally:
    """Counts of a run under way."""

    def __init__(self) -> None:
        self.executions_read = 0
        self.orders_listed = 0
        self.orders_ours = 0
        self.orders_asked = 0
        self.positions_compared = False
        self.cash_compared = False
        self.breaks_opened = 0
        self.breaks_healed = 0
        self.breaks_noted = 0
        self.sure: list[Difference] = []
        self.unsure: list[Difference] = []


class Runs:
    """The latest runs of one account, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[RunView] = deque(maxlen=RUNS_KEPT_MAX)
        self._count = 0
        self._begun = 0
        self.completed: RunView | None = None
        self._awaited: list[asyncio.Future[None]] = []

    @property
    def count(self) -> int:
        """The number of the latest run that has ended."""
        return self._count

    @property
    def begun(self) -> int:
        """The number of the latest run that has begun, ended or not."""
        return self._begun

    def begins(self) -> None:
        """One begins now: what is asked from here on is for the next one. Broken off, it has its number."""
        self._begun += 1

    @property
    def latest(self) -> RunView | None:
        return self._kept[-1] if self._kept else None

    def newest_first(self) -> list[RunView]:
        return list(reversed(self._kept))

    async def answering(self, after: int) -> RunView:
        """The first run beyond the `after`th. Bound it with a timeout."""
        while True:
            for run in self._kept:
                if number_of(run) > after:
                    return run
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.append(ended)
            await ended

    def add(
        self,
        account: AccountId,
        why: Sequence[str],
        tally: Tally,
        *,
        started_at: datetime,
        took_s: float,
        result: RunResult,
        trouble: str | None,
    ) -> RunView:
        self._count = self._begun
        shown = [_shown(item, sure=True) for item in tally.sure]
        shown += [_shown(item, sure=False) for item in tally.unsure]
        run = RunView(
            id=f"run-{int(started_at.timestamp() * 1000):012x}-{self._count:06d}",
            account_id=account,
            why=tuple(why),
            started_at=started_at,
            took_ms=round(took_s * 1000),
            result=result,
            trouble=trouble,
            executions_read=tally.executions_read,
            orders_listed=tally.orders_listed,
            orders_ours=tally.orders_ours,
            orders_asked=tally.orders_asked,
            positions_compared=tally.positions_compared,
            cash_compared=tally.cash_compared,
            breaks_opened=tally.breaks_opened,
            breaks_healed=tally.breaks_healed,
            breaks_noted=tally.breaks_noted,
            differences_found=len(shown),
            differences=tuple(shown[:DIFFERENCES_SHOWN_MAX]),
        )
        self._kept.append(run)
        if result is RunResult.COMPLETED:
            self.completed = run
        awaited, self._awaited = self._awaited, []
        for ended in awaited:
            if not ended.done():
                ended.set_result(None)
        return run


def number_of(run: RunView) -> int:
    return int(run.id.rpartition("-")[2])


def _shown(item: Difference, *, sure: bool) -> DifferenceView:
    return DifferenceView(
        nature=item.nature,
        subject=item.subject,
        ours=item.ours,
        theirs=item.theirs,
        detail=item.detail,
        sure=sure,
    )
