"""Makes the daily controls report: the day's events, read and proven, on a page of their own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Final

import ordergate
from ordergate.audit.daily import Day, Tally, house_first
from ordergate.audit.report_page import Cover, page
from ordergate.core.faults import Fault, JournalCorrupt
from ordergate.core.ids import AccountId
from ordergate.core.risk.trading_state import Level, Place
from ordergate.journal.pool import ReadPool
from ordergate.journal.reading import read
from ordergate.journal.tables import heads
from ordergate.wiring import proofs
from ordergate.wiring.databases import of, reached
from ordergate.wiring.settings import CannotStart, Settings

STATEMENT_S_MAX: Final = 60.0


def write_day(settings: Settings, day: date, file: Path, now: datetime) -> Tally:
    """The report of a day (UTC) of every account and of the house's own streams. Raises CannotStart."""
    found = proofs.verify(settings, lambda _: None, now)
    try:
        tally = asyncio.run(_tally(settings, day))
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error
    cover = Cover(
        day=day,
        environment=settings.environment.value,
        tenant=settings.tenant,
        accounts=tuple(settings.accounts),
        made_at=now,
        version=ordergate.__version__,
        records=found.records,
        signed=found.signed,
        problems=found.problems,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(cover, tally), encoding="utf-8")
    return tally


async def _tally(settings: Settings, day: date) -> Tally:
    told = Day(day, _wide(settings))
    async with reached(of(settings)) as dsn:
        pool = await ReadPool.connect(dsn, connections_max=2, statement_s_max=STATEMENT_S_MAX)
        try:
            for account in house_first(await heads(pool)):
                with suppress(JournalCorrupt):  # the page says so already, and shows what came before
                    async for stored in read(pool, account, after=0, upto=None):
                        told.add(account, stored)
        finally:
            await pool.close()
    return told.made()


def _wide(settings: Settings) -> dict[AccountId, frozenset[Place]]:
    """Of each account, the places whose stop is one of the whole account."""
    return {
        AccountId(account): frozenset(
            {
                (Level.BROKER, its.broker),
                (Level.TENANT, its.tenant or settings.tenant),
                (Level.ENVIRONMENT, settings.environment.value),
            }
        )
        for account, its in settings.accounts.items()
    }
