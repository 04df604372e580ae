"""Writes order records by day and account, as Parquet and as CSV, from a journal proven on the way.

Beside a running gateway or without one. A file is written whole or not at all.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ordergate.audit.order_records import AMOUNT, COLUMNS, FLAG, NUMBER, TIME, OrderRecords, Origin
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.core.money import text
from ordergate.journal.pool import ReadPool
from ordergate.journal.reading import read
from ordergate.journal.surveillance import PostgresSurveillance
from ordergate.journal.tables import heads
from ordergate.ports.surveillance import Forgotten
from ordergate.wiring.databases import of, reached
from ordergate.wiring.settings import CannotStart, Settings
from ordergate.wiring.surveillance import retention_of

STATEMENT_S_MAX: Final = 60.0

_TYPES: Final = {
    NUMBER: pa.int64(),
    AMOUNT: pa.decimal128(38, 12),
    TIME: pa.timestamp("us", tz="UTC"),
    FLAG: pa.bool_(),
}
SCHEMA: Final = pa.schema(
    [
        pa.field(name, _TYPES.get(kind, pa.string()), metadata={"asked_by": asked_by})
        for name, kind, asked_by in COLUMNS
    ]
)


class Form(StrEnum):
    PARQUET = "parquet"
    CSV = "csv"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One file, and how many records are in it."""

    account: str
    day: str
    records: int
    file: str


def write_day(
    settings: Settings, day: date, accounts: Sequence[AccountId], folder: Path, form: Form
) -> list[Written]:
    """The order events of a day (UTC), a file for each account. Raises CannotStart."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for account in accounts:
        try:
            rows = asyncio.run(_rows(settings, account, day))
        except (Fault, OSError) as error:
            raise CannotStart(str(error)) from error
        file = folder / f"orders-{account}-{day.isoformat()}.{form}"
        draft = file.with_suffix(f".{form}.new")
        (write_parquet if form is Form.PARQUET else write_csv)(draft, rows)
        draft.replace(file)
        written.append(Written(account=account, day=day.isoformat(), records=len(rows), file=str(file)))
    return written


def write_parquet(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), file, compression="zstd")


def write_csv(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Decimals as the journal has them, times as RFC 3339, nothing where nothing is known."""
    with file.open("w", encoding="utf-8", newline="") as output:
        table = csv.writer(output)
        table.writerow([name for name, _, _ in COLUMNS])
        for row in rows:
            table.writerow([_told(row[name]) for name, _, _ in COLUMNS])


def _told(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    told = str(value)
    return f"'{told}" if told[:1] in ("=", "+", "-", "@") else told  # no spreadsheet takes it for a formula


def drop_copy(settings: Settings, after: int, most: int) -> list[dict[str, Any]]:
    """What was told, in the order of its numbers. Raises CannotStart."""

    async def ask() -> list[dict[str, Any]]:
        async with reached(of(settings)) as dsn:
            store = await PostgresSurveillance.connect(dsn)
            try:
                copies = await store.copies(after, most)
            finally:
                await store.close()
        return [
            {"number": one.number, "told_at": one.at, "event": msgspec.Raw(one.notice.frame)}
            for one in copies
        ]

    try:
        return asyncio.run(ask())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error


def retire(settings: Settings, now: datetime, *, really: bool) -> Forgotten:
    """Drop what is old enough by the settings; or only say how much that is. Raises CannotStart."""
    retention = retention_of(settings)

    async def ask() -> Forgotten:
        async with reached(of(settings)) as dsn:
            store = await PostgresSurveillance.connect(dsn)
            try:
                drop = store.forget if really else store.forgettable
                return await drop(now - retention.taken, now - retention.dead)
            finally:
                await store.close()

    try:
        return asyncio.run(ask())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error


async def _rows(settings: Settings, account: AccountId, day: date) -> list[dict[str, Any]]:
    origin = Origin(
        tenant=settings.tenant,
        environment=settings.environment.value,
        account=account,
        firm=settings.audit.firm,
        capacity=settings.audit.capacity,
    )
    records, rows = OrderRecords(origin), []
    async with reached(of(settings)) as dsn:
        pool = await ReadPool.connect(dsn, connections_max=2, statement_s_max=STATEMENT_S_MAX)
        try:
            if account not in settings.accounts and account not in await heads(pool):
                raise CannotStart(f"neither the settings nor the journal have an account {account}")
            async for stored in read(pool, account, after=0, upto=None):
                row = records.add(stored)
                if row is not None and stored.at.astimezone(UTC).date() == day:
                    rows.append(row)
        finally:
            await pool.close()
    return rows
