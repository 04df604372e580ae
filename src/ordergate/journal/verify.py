"""Proves the journal: every seal of every account, and that each stream ends where it says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import AccountId
from ordergate.journal import sqlfiles
from ordergate.journal.pool import ReadPool
from ordergate.journal.reading import read


class AccountProof(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` says where and how the chain fails; events before that place are counted."""

    account: AccountId
    events: int
    problem: str | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    accounts: tuple[AccountProof, ...]

    @property
    def events(self) -> int:
        return sum(proof.events for proof in self.accounts)

    @property
    def clean(self) -> bool:
        return all(proof.problem is None for proof in self.accounts)


async def verify(
    dsn: str, account: AccountId | None = None, *, progress: Callable[[int], None] | None = None
) -> Report:
    """Check one account or all. `progress` is told of every thousand events. Needs no fence."""
    pool = await ReadPool.connect(dsn, connections_max=2, statement_s_max=60.0)
    try:
        if account is None:
            accounts = await accounts_of_events(pool)
        else:
            accounts = [account]
        return Report(accounts=tuple([await _prove(pool, one, progress) for one in accounts]))
    finally:
        await pool.close()


async def accounts_of_events(pool: ReadPool) -> list[AccountId]:
    """By what is written, streams that were taken away included."""
    rows = await pool.fetch(sqlfiles.statements("journal")["accounts_of_events"])
    return [AccountId(row["account"]) for row in rows]


async def _prove(pool: ReadPool, account: AccountId, progress: Callable[[int], None] | None) -> AccountProof:
    events, told = 0, 0
    problem = None
    try:
        async for _ in read(pool, account, after=0, upto=None):
            events += 1
            if progress is not None and events - told == 1_000:
                progress(events - told)
                told = events
    except JournalCorrupt as corrupt:
        problem = str(corrupt)
    if progress is not None:
        progress(events - told)
    return AccountProof(account=account, events=events, problem=problem)
