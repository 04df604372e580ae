"""The journal as a log of leaves on PostgreSQL, and the heads that were signed of it.

Reads events by their seals alone. Keeps ranges and a head in one transaction; a second checkpointer
on the same database is refused by the keys of the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from ordergate.core.faults import AppendConflict, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal import chain, session, sqlfiles
from ordergate.journal.pool import ReadPool, stop_who_is_cancelled
from ordergate.ports.audit import Head, Range

_SQL: Final = sqlfiles.statements("audit")
_PAGE: Final = 1_000
_HASH_BYTES: Final = 32


class Record(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event with every field that its seal covers, as stored."""

    account: AccountId
    seq: int
    kind: str
    version: int
    order_id: str | None
    at: datetime
    correlation: str
    body: bytes
    frame: bytes
    seal: bytes

    def sealed_after(self, prior: bytes) -> bytes:
        """The seal that it must have."""
        return chain.seal(
            prior,
            account=self.account,
            seq=self.seq,
            kind=self.kind,
            version=self.version,
            order_id=self.order_id,
            at=self.at,
            correlation=self.correlation,
            body=self.body,
            frame=self.frame,
        )


class PostgresAuditLog:
    """Keeps the promises of `ports.audit.AuditLog`."""

    def __init__(self, dsn: str, pool: ReadPool, statement_s_max: float) -> None:
        self._dsn = dsn
        self._pool = pool
        self._statement_s_max = statement_s_max

    @classmethod
    async def connect(cls, dsn: str, *, statement_s_max: float = 10.0) -> PostgresAuditLog:
        """Raises JournalUnavailable."""
        pool = await ReadPool.connect(dsn, connections_max=2, statement_s_max=statement_s_max)
        return cls(dsn, pool, statement_s_max)

    async def heads(self) -> Mapping[AccountId, int]:
        return {AccountId(row["account"]): row["head"] for row in await self._pool.fetch(_SQL["heads"])}

    async def taken(self, size: int) -> Mapping[AccountId, int]:
        return {AccountId(row["account"]): row["upto"] for row in await self._pool.fetch(_SQL["taken"], size)}

    async def seals(self, account: AccountId, after: int, upto: int) -> Sequence[bytes]:
        rows = await self._pool.fetch(_SQL["seals"], account, after, upto)
        return [bytes(row["hash"]) for row in rows]

    async def ranges(self) -> AsyncIterator[Range]:
        first = 0
        while page := await self._pool.fetch(_SQL["ranges"], first, _PAGE):
            for row in page:
                index, account, after, upto = row.values()
                yield Range(index, AccountId(account), after, upto)
                first = index + 1

    async def newest(self) -> Head | None:
        return _head(await self._pool.fetchrow(_SQL["newest"]))

    async def at(self, size: int) -> Head | None:
        return _head(await self._pool.fetchrow(_SQL["at_size"], size))

    async def notes(self) -> AsyncIterator[str]:
        """Every signed head, the smallest first."""
        size = -1
        while page := await self._pool.fetch(_SQL["checkpoints"], size, _PAGE):
            for row in page:
                yield row["note"]
                size = row["size"]

    async def whole(self) -> AsyncIterator[Range]:
        """As `ranges`, and after them what is durable and not in the tree yet."""
        first, taken = 0, {}
        async for one in self.ranges():
            yield one
            first, taken[one.account] = one.first + one.count, one.upto
        for account, head in sorted((await self.heads()).items()):
            after = taken.get(account, 0)
            if head > after:
                yield Range(first, account, after, head)
                first += head - after

    async def records(self, account: AccountId, after: int, upto: int) -> AsyncIterator[Record]:
        """Every stored field of the events, unchecked, in order."""
        while page := await self._pool.fetch(_SQL["records"], account, after, min(upto, after + _PAGE)):
            for row in page:
                seq, kind, version, order_id, at, correlation, body, frame, seal = row.values()
                yield Record(
                    account=account,
                    seq=seq,
                    kind=kind,
                    version=version,
                    order_id=order_id,
                    at=at,
                    correlation=correlation,
                    body=bytes(body),
                    frame=bytes(frame),
                    seal=bytes(seal),
                )
                after = seq
            if after >= upto:
                return

    async def keep(self, ranges: Sequence[Range], head: Head) -> None:
        connection = await session.connect(self._dsn, timeout_s=self._statement_s_max)
        try:
            async with asyncio.timeout(self._statement_s_max), connection.transaction():
                await connection.executemany(
                    _SQL["keep_range"], [(one.first, one.account, one.after, one.upto) for one in ranges]
                )
                frontier = b"".join(head.frontier)
                await connection.execute(
                    _SQL["keep_checkpoint"], head.size, head.root, frontier, head.note, head.at
                )
        except asyncpg.UniqueViolationError as error:
            raise AppendConflict("a checkpoint was not kept: another has gone on") from error
        except session.WIRE_FAULTS as error:
            stop_who_is_cancelled(error)
            raise JournalUnavailable(f"a checkpoint was not kept: {session.said(error)}") from error
        finally:
            connection.terminate()

    async def close(self) -> None:
        await self._pool.close()


def _head(row: asyncpg.Record | None) -> Head | None:
    if row is None:
        return None
    joined = bytes(row["frontier"])
    hashes = tuple(joined[at : at + _HASH_BYTES] for at in range(0, len(joined), _HASH_BYTES))
    return Head(row["size"], bytes(row["root"]), hashes, row["note"], row["at"])
