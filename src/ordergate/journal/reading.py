"""Reads an account's events and checks every seal on the way.

The read half of the guard: a row changed, removed, inserted or reordered by hand is a fault at
that place, and a tail cut off is one at the end. What is yielded has been checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, Final

from asyncpg.pool import PoolConnectionProxy
from asyncpg.prepared_stmt import PreparedStatement

from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import AccountId, OrderId
from ordergate.journal import chain, codec, sqlfiles
from ordergate.journal.pool import ReadPool
from ordergate.ports.journal import Stored

_SQL: Final = sqlfiles.statements("journal")
_PAGE_ROWS: Final = 1_000


async def read(pool: ReadPool, account: AccountId, *, after: int, upto: int | None) -> AsyncIterator[Stored]:
    """The events after `after`, up to `upto` or the head as it stands now."""
    async with pool.moment() as connection:
        stream = await connection.fetchrow(_SQL["stream_head"], account)
        head, head_hash = (0, chain.genesis(account)) if stream is None else stream
        last = head if upto is None else min(upto, head)
        if upto is None:
            await _check_nothing_beyond(connection, account, head)
        if after > last:
            return
        link = await _link_at(connection, account, after)
        seq = after
        if after < last:
            statement = await connection.prepare(_SQL["read_events"])
            async with aclosing(_pages(statement, account, after, last)) as pages:
                async for page in pages:
                    for row in page:
                        stored, link = unseal(account, row.values(), seq + 1, link)
                        seq += 1
                        yield stored
        if seq != last:
            raise JournalCorrupt(f"{account}: the stream's head is {head}, but events end at {seq}")
        if last == head and link != head_hash:
            raise JournalCorrupt(f"{account}: the last seal is not the one the stream ends with")


async def _pages(
    statement: PreparedStatement[Any], account: AccountId, after: int, last: int
) -> AsyncGenerator[list[Any], None]:
    """The server fills the next page while this one is worked on.

    Each page is asked for by its numbers. Asked for everything, a server reads and sorts the whole table
    before it answers with the first row: with a long past that takes longer than any answer may.
    """

    def page(first: int) -> asyncio.Future[list[Any]]:
        return asyncio.ensure_future(statement.fetch(account, first, min(first + _PAGE_ROWS, last)))

    coming = page(after)
    try:
        for first in range(after, last, _PAGE_ROWS):
            rows = await coming
            if first + _PAGE_ROWS < last:
                coming = page(first + _PAGE_ROWS)
                await asyncio.sleep(0)  # the question leaves before anything else is done
            yield rows
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait((coming,))


async def history(pool: ReadPool, order: OrderId) -> list[Stored]:
    """One order's events, each proven to follow the one before it in its account's chain."""
    events = []
    for row in await pool.fetch(_SQL["history"], order):
        account, *fields, prior = row
        link = chain.genesis(account) if fields[0] == 1 else prior
        if link is None:
            raise JournalCorrupt(f"{account}: event {fields[0] - 1} is missing")
        events.append(unseal(account, fields, fields[0], link)[0])
    return events


def unseal(account: AccountId, row: Iterable[Any], expected: int, link: bytes) -> tuple[Stored, bytes]:
    """The event in a row, and its seal, both proven to follow `link`."""
    seq, kind, version, order_id, at, correlation, body, frame, sealed = row
    if seq != expected:
        raise JournalCorrupt(f"{account}: event {expected} is missing")
    found = chain.seal(
        link,
        account=account,
        seq=seq,
        kind=kind,
        version=version,
        order_id=order_id,
        at=at,
        correlation=correlation,
        body=body,
        frame=frame,
    )
    if found != sealed:
        raise JournalCorrupt(f"{account}: the chain breaks at event {seq}")
    event = codec.decode(kind, version, body)
    if event.at != at:
        raise JournalCorrupt(f"{account}: event {seq} did not happen when its row says")
    stored = Stored(seq=seq, version=version, event=event, at=at, correlation=correlation, frame=frame)
    return stored, sealed


async def _link_at(connection: PoolConnectionProxy[Any], account: AccountId, seq: int) -> bytes:
    if seq == 0:
        return chain.genesis(account)
    link = await connection.fetchval(_SQL["link_at"], account, seq)
    if link is None:
        raise JournalCorrupt(f"{account}: event {seq} is missing")
    return bytes(link)


async def _check_nothing_beyond(connection: PoolConnectionProxy[Any], account: AccountId, head: int) -> None:
    if await connection.fetchval(_SQL["events_beyond"], account, head):
        raise JournalCorrupt(f"{account}: events lie beyond the stream's head, {head}")
