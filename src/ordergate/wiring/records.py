"""Checks a journal from outside: its seals, and that read tables and snapshots say what the events say.

Beside a running gateway or without one. Nothing is ever mended here; snapshots can be thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from ordergate.core.accounts import ledger
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import AccountEvent, AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import Fault, JournalCorrupt
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.instruments import Instrument, by_any_name
from ordergate.core.orders.events import AnyOrderEvent, OrderEvent
from ordergate.engine.books import Books, Change, order_from
from ordergate.engine.pictures import Unreadable, contradictions
from ordergate.engine.pictures import read as read_picture
from ordergate.engine.units import UnitBuilder
from ordergate.journal import snapshots
from ordergate.journal import verify as seals
from ordergate.journal.pool import ReadPool
from ordergate.journal.reading import history, read
from ordergate.journal.tables import Digests, digest, heads, tables
from ordergate.ports.journal import Snapshot
from ordergate.wiring.databases import Place, reached
from ordergate.wiring.fold_rules import fold_rules
from ordergate.wiring.settings import CannotStart

DIFFERENCES_MAX: Final = 20
TELL_EVERY: Final = 500
STATEMENT_S_MAX: Final = 60.0
CORRELATION: Final = "replay"

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
    """How many events there are to read. Raises CannotStart."""

    async def ask(pool: ReadPool) -> int:
        found = await heads(pool)
        return sum(found.values()) if account is None else found.get(account, 0)

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


def replay(
    place: Place, instruments: Mapping[Symbol, Instrument], account: AccountId | None, told: Told
) -> list[Checked]:
    """Fold one account's events or everybody's, and compare with the read tables. Raises CannotStart."""

    async def ask(pool: ReadPool) -> list[Checked]:
        accounts = list(await heads(pool)) if account is None else [account]
        return [await _replayed(pool, one, by_any_name(instruments), told) for one in accounts]

    return _on(place, ask)


async def _replayed(
    pool: ReadPool, account: AccountId, instruments: dict[Symbol, Instrument], told: Told
) -> Checked:
    """The tables as of one head, against the fold of the events up to it, which nobody can change."""
    snapshot = await snapshots.snapshot(pool, account, fold_rules(instruments))
    moment = await tables(pool, account)
    fold = _Fold(pool, account, instruments)
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


class _Fold:
    """The books of one account as the engine would have them, and the rows it would have written."""

    def __init__(self, pool: ReadPool, account: AccountId, instruments: dict[Symbol, Instrument]) -> None:
        self.events = 0
        self.rows: Digests = {}
        self._pool = pool
        self._account = account
        self._instruments = instruments
        self._books = Books(instruments)
        self._ledger = ledger.Ledger()

    async def add(self, seq: int, event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent) -> None:
        if isinstance(event, OrderEvent) and self._books.order(event.order_id) is None:
            await self._remember(event.order_id, seq)
        builder = UnitBuilder(self._account, 0, seq - 1, CORRELATION, self._instruments)
        before = self._books.account
        change = self._books.fold(event)
        self._post(before, event, change)
        builder.add(event, change)
        unit = builder.build(None)
        for order in unit.orders:
            self.rows["orders", order.id] = digest(order.body)
        for table, rows in (
            ("executions", unit.executions),
            ("positions", unit.positions),
            ("balances", unit.balances),
            ("breaks", unit.breaks),
        ):
            for row in rows:
                self.rows[table, row.key] = digest(row.body)
        self.events += 1

    def compared(self, snapshot: Snapshot) -> list[str]:
        """What a snapshot of this very moment says otherwise."""
        what = f"{self._account}: the snapshot at event {snapshot.seq}"
        try:
            found = contradictions(read_picture(snapshot.body), self._books.picture())
        except Unreadable as error:
            return [f"{what} cannot be read: {error}"]
        return [f"{what} shows {name} otherwise than the events do" for name in found]

    def _post(
        self,
        before: Account | None,
        event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent,
        change: Change,
    ) -> None:
        """The same by double entry. Raises InvariantBroken where the two do not agree."""
        after = change.account
        if after is None or after is before:
            return
        if isinstance(event, OrderEvent) and before is not None and change.after is not None:
            instrument = self._instruments[change.after.terms.symbol]
            self._ledger.post(ledger.traded(before, after, instrument, event))
        else:
            self._ledger.post(ledger.adjusted(before, after, set(self._instruments.values())))
        self._ledger.require_agreement(after)

    async def _remember(self, order_id: OrderId, before: int) -> None:
        """An order that ended so long ago that the books have let go of it."""
        past = [stored for stored in await history(self._pool, order_id) if stored.seq < before]
        found = order_from(stored.event for stored in past if isinstance(stored.event, OrderEvent))
        if found is not None:
            self._books.remember(found)


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
