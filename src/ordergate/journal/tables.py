"""The read tables of an account as of one moment, for whoever compares them with the events."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.ids import AccountId
from ordergate.journal import sqlfiles
from ordergate.journal.pool import ReadPool

TABLES: Final = ("orders", "executions", "positions", "balances", "breaks")

_SQL: Final = sqlfiles.statements("tables")
_PREFETCH_ROWS: Final = 1_000

Digests = dict[tuple[str, str], bytes]
"""Table and key to the digest of the row: a year of orders fits into memory."""


class Moment(msgspec.Struct, frozen=True):
    """Every row as it was when the stream's head was `head`."""

    head: int
    rows: Digests


def digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


async def heads(pool: ReadPool) -> dict[AccountId, int]:
    """How many events every stream says it has."""
    return {AccountId(row["account"]): row["head"] for row in await pool.fetch(_SQL["heads"])}


class Trace(msgspec.Struct, frozen=True):
    """Where an event stands, and what it is about; `order_id` where it is about an order."""

    account: str
    seq: int
    at: datetime
    kind: str
    order_id: str | None
    correlation: str


async def find(pool: ReadPool, sought: str, most: int) -> list[Trace]:
    """The events of this order, or of this correlation id, which are not indexed: all are looked through."""
    return [Trace(*row) for row in await pool.fetch(_SQL["find"], sought, most)]


async def tables(pool: ReadPool, account: AccountId) -> Moment:
    """Raises JournalUnavailable."""
    rows: Digests = {}
    async with pool.moment() as connection:
        head = await connection.fetchval(_SQL["head"], account)
        for table in TABLES:
            async for row in connection.cursor(_SQL[table], account, prefetch=_PREFETCH_ROWS):
                rows[table, row["key"]] = digest(row["body"])
    return Moment(head or 0, rows)
