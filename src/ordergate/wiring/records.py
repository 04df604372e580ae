"""Checks a journal from outside: its seals, and that read tables and snapshots say what the events say.

Beside a running gateway or without one. Nothing is ever mended here; snapshots can be thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from ordergate.core.accounts.events import AccountEvent
from ordergate.core.faults import Fault, JournalCorrupt
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument, by_any_name
from ordergate.core.orders.events import OrderEvent
from ordergate.engine.accounts.recreation import Recreation
from ordergate.journal import snapshots, tables
from ordergate.journal import verify as seals
from ordergate.journal.pool import ReadPool
from ordergate.journal.reading import history, read
from ordergate.journal.tables import TABLES, Digests, Trace, digest, heads
from ordergate.wiring.databases import Place, reached
from ordergate.wiring.fold_rules import fold_rules
from ordergate.wiring.settings import CannotStart

DIFFERENCES_MAX: Final = 20
FOUND_MAX: Final = 1_000
TELL_EVERY: Final = 500
STATEMENT_S_MAX: Final = 60.0

T = TypeVar("T")
Told = Callable[[int], None]
"""Is told of every few hundred events that were read."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `problems` is empty when everything holds; events before the first are counted."""

    account: str
    events: int
    rows: int = 0
    problems: tuple[str, ...] = ()


def size(place: Place, account: AccountId | None) -> int:
    """How many events there are to read. Raises CannotStart, also of an account that is not there:

    a misspelt one would be proven to hold.
    """

    async def ask(pool: ReadPool) -> int:
        found = await heads(pool)
        if account is None:
            return sum(found.values())
        if account not in found and account not in await seals.accounts_of_events(pool):
            raise CannotStart(f"the journal has no account {account}")
        return found.get(account, 0)

    return _on(place, ask)


def verify(place: Place, account: AccountId | None, told: Told) -> list[Checked]:
    """Every seal of one account's chain or of all. Raises CannotStart."""

    async def ask() -> list[Checked]:
        async with reached(place) as dsn:
            report = await seals.verify(dsn, account, progress=told)
        return [
            Checked(account=one.account, events=one.events, problems=(one.problem,) if one.problem else ())
            for one in report.accounts
        ]

    return _run(ask())


def drop_snapshots(place: Place) -> int:
    """Throw every snapshot away; how many there were. Raises CannotStart."""

    async def ask() -> int:
        async with reached(place) as dsn:
            return await snapshots.drop(dsn)

    return _run(ask())


def find(place: Place, sought: str) -> list[Trace]:
    """The events of an order or of a correlation id, at most `FOUND_MAX`. Raises CannotStart."""

    async def ask(pool: ReadPool) -> list[Trace]:
        return await tables.find(pool, sought, FOUND_MAX)

    return _on(place, ask)


def replay(
    place: Place, instruments: Mapping[Symbol, Instrument], account: AccountId | None, told: Told
) -> list[Checked]:
    """Fold one account's events or everybody's, and compare with the read tables. Raises CannotStart."""

    async def ask(pool: ReadPool) -> list[Checked]:
        accounts = list(await heads(pool)) if account is None else [account]
        return [await _replayed(pool, one, by_any_name(instruments), told) for one in accounts]

    return _on(place, ask)


def recreate(
    place: Place, instruments: Mapping[Symbol, Instrument], account: AccountId, seq: int
) -> dict[str, dict[str, Any]]:
    """The account as it stood after one of its events, by table and key. Raises CannotStart."""

    async def ask(pool: ReadPool) -> dict[str, dict[str, Any]]:
        found = await heads(pool)
        if account not in found or seq > found[account]:
            has = f"has {found[account]} events of" if account in found else "does not know"
            raise CannotStart(f"the journal {has} {account}: there is no event {seq}")
        fold = Recreation(account, by_any_name(instruments), lambda order: history(pool, order))
        async for stored in read(pool, account, after=0, upto=seq):
            if isinstance(stored.event, OrderEvent | AccountEvent):
                await fold.add(stored.seq, stored.event)
        state: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
        for (table, key), body in sorted(fold.rows.items()):
            state[table][key] = msgspec.json.decode(body)
        return state

    return _on(place, ask)


async def _replayed(
    pool: ReadPool, account: AccountId, instruments: dict[Symbol, Instrument], told: Told
) -> Checked:
    """The tables as of one head, against the fold of the events up to it, which nobody can change."""
    snapshot = await snapshots.snapshot(pool, account, fold_rules(instruments))
    moment = await tables.tables(pool, account)
    fold = Recreation(account, instruments, lambda order: history(pool, order), digest)
    problems: list[str] = []
    try:
        async for stored in read(pool, account, after=0, upto=moment.head):
            match stored.event:
                case OrderEvent() | AccountEvent() as event:
                    await fold.add(stored.seq, event)
                case _:
                    fold.events += 1  # the control stream has no books
            if snapshot is not None and stored.seq == snapshot.seq:
                problems += fold.compared(snapshot)
            if fold.events % TELL_EVERY == 0:
                told(TELL_EVERY)
    except JournalCorrupt as corrupt:
        problems.append(str(corrupt))
    except Fault as fault:
        problems.append(f"{account}: event {fold.events + 1} cannot be folded: {fault}")
    else:
        problems += _differences(account, fold.rows, moment.rows)
    told(fold.events % TELL_EVERY)
    return Checked(
        account=account, events=fold.events, rows=len(moment.rows), problems=tuple(problems[:DIFFERENCES_MAX])
    )


def _differences(account: AccountId, folded: Digests, stored: Digests) -> Sequence[str]:
    found = []
    for table, key in sorted(folded.keys() | stored.keys()):
        ours, theirs = folded.get((table, key)), stored.get((table, key))
        if theirs is None:
            found.append(f"{account}: {table} lacks {key}")
        elif ours is None:
            found.append(f"{account}: {table} has {key}, of which no event tells")
        elif ours != theirs:
            found.append(f"{account}: {table} shows {key} otherwise than its events do")
    return found


def _on(place: Place, ask: Callable[[ReadPool], Coroutine[None, None, T]]) -> T:
    async def asked() -> T:
        async with reached(place) as dsn:
            pool = await ReadPool.connect(dsn, connections_max=2, statement_s_max=STATEMENT_S_MAX)
            try:
                return await ask(pool)
            finally:
                await pool.close()

    return _run(asked())


def _run(asked: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(asked)
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error
