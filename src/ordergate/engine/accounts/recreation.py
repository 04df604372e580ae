"""The state of an account at any past event, made again out of its events alone.

What the read tables showed then is what folding shows now, row by row; the books are kept by double
entry beside it, so that the two can be held against each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ordergate.core.accounts import ledger
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import AnyOrderEvent, OrderEvent
from ordergate.engine.accounts.books import Books, Change, order_from
from ordergate.engine.accounts.pictures import Unreadable, contradictions
from ordergate.engine.accounts.pictures import read as read_picture
from ordergate.engine.accounts.units import UnitBuilder
from ordergate.ports.journal import Snapshot, Stored

CORRELATION: Final = "replay"

History = Callable[[OrderId], Awaitable[Sequence[Stored]]]


class Recreation:
    """The books of one account as the engine would have them, and the rows it would have written.

    `history` is every event of one order; of each row `keep` is kept.
    """

    def __init__(
        self,
        account: AccountId,
        instruments: dict[Symbol, Instrument],
        history: History,
        keep: Callable[[bytes], bytes] = lambda body: body,
    ) -> None:
        self.events = 0
        self.rows: dict[tuple[str, str], bytes] = {}
        self._history = history
        self._keep = keep
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
            self.rows["orders", order.id] = self._keep(order.body)
        for table, rows in (
            ("executions", unit.executions),
            ("positions", unit.positions),
            ("balances", unit.balances),
            ("breaks", unit.breaks),
        ):
            for row in rows:
                self.rows[table, row.key] = self._keep(row.body)
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
        past = [stored for stored in await self._history(order_id) if stored.seq < before]
        found = order_from(stored.event for stored in past if isinstance(stored.event, OrderEvent))
        if found is not None:
            self._books.remember(found)
