"""Makes the daily controls report: the day's events, read and proven, on a page of their own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import ordergate
from ordergate.audit import daily
from ordergate.audit.daily import Tally
from ordergate.audit.report_page import Cover, page
from ordergate.core.faults import Fault, JournalCorrupt
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.journal.pool import ReadPool
from ordergate.journal.reading import read
from ordergate.journal.tables import heads
from ordergate.wiring import proofs
from ordergate.wiring.databases import of, reached
from ordergate.wiring.settings import CannotStart, Settings

STATEMENT_S_MAX: Final = 60.0


def write_day(settings: Settings, day: date, file: Path, now: datetime) -> Tally:
    """The report of a day (UTC) of every account and of the house's own streams. Raises CannotStart."""
    found = proofs.verify(settings, lambda _: None)
    try:
        tally = asyncio.run(_tally(settings, day))
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error
    cover = Cover(
        day=day,
        environment=settings.environment.value,
        tenant=settings.tenant,
        accounts=tuple(settings.accounts),
        controls={one.id: one.name for one in PRECEDENCE},
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
    tally = Tally()
    async with reached(of(settings)) as dsn:
        pool = await ReadPool.connect(dsn, connections_max=2, statement_s_max=STATEMENT_S_MAX)
        try:
            for account in sorted(await heads(pool)):
                with suppress(JournalCorrupt):  # the page says so already, and shows what came before
                    async for stored in read(pool, account, after=0, upto=None):
                        if stored.at.astimezone(UTC).date() == day:
                            daily.add(tally, account, stored)
        finally:
            await pool.close()
    for lines in tally.sections.values():
        lines.sort(key=lambda one: one.at)
    return tally
