"""An account's books from the journal: the events after a snapshot where one holds, all of them otherwise.

A snapshot only saves work. What cannot be read or does not fit is passed over, and the first event is
begun with: both ways lead to the same books. Never writes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ordergate.core.accounts.events import AccountEvent, AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import IllegalTransition, InvariantBroken, JournalCorrupt, Unfoldable
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import AnyOrderEvent, OrderEvent
from ordergate.core.orders.lifecycle import BEGINNINGS
from ordergate.engine.accounts.books import Books, order_from
from ordergate.engine.accounts.pictures import Unreadable, read
from ordergate.engine.accounts.units import kind_of
from ordergate.ports.journal import Journal, Stored, Taken
from ordergate.telemetry.log import logger

log = logger("recovery")

Tell = Callable[[Stored], None]


class Folded(msgspec.Struct, frozen=True):
    """`since` is the event that the snapshot was made at; 0 where everything was folded."""

    books: Books
    since: int


class Recovery:
    """How one account is folded. `rules` names everything that the fold depends on besides the events."""

    def __init__(
        self,
        account: AccountId,
        journal: Journal,
        instruments: dict[Symbol, Instrument],
        rules: str,
        *,
        nameless: bool = False,
    ) -> None:
        self._account: Final = account
        self._journal: Final = journal
        self._instruments: Final = instruments
        self._rules: Final = rules
        self._nameless: Final = nameless

    async def require(self, durable: tuple[int, bytes], taken: Taken) -> None:
        """See that what was durable, up to an event and its seal, is in the journal still.

        Raises JournalCorrupt where it is not: it was acknowledged, told to clients and perhaps to a broker,
        and a database took the place of the one that had it. Raises JournalUnavailable.
        """
        seq, seal = durable
        if seq == 0:
            return
        at_head = taken.head == seq
        found = taken.last_hash if at_head else await self._journal.seal_at(self._account, seq)
        if taken.head >= seq and found == seal:
            return
        log.critical("journal.went_back", account=self._account, durable=seq, head=taken.head)
        if taken.head < seq:
            words = f"the journal went back to event {taken.head}"
        else:
            words = f"event {seq} of the journal is another one"
        raise JournalCorrupt(f"{self._account}: {words}, and was durable up to event {seq}")

    async def fold(self, head: int, told: int, tell: Tell) -> Folded:
        """The books at `head`. `tell` is called with every event after `told`, each once.

        Raises Unfoldable, JournalCorrupt and JournalUnavailable.
        """
        shown = await self._shown(head)
        if shown is None:
            return await self._fold_on(Folded(self._books(), 0), head, told, tell)
        try:
            return await self._fold_on(shown, head, told, tell)
        except Unfoldable as fault:
            log.error("snapshot.passed_over", account=self._account, seq=shown.since, why=str(fault))
        return await self._fold_on(Folded(self._books(), 0), head, told, tell)

    async def _shown(self, head: int) -> Folded | None:
        """The books of the snapshot, if there is one that can be used."""
        snapshot = await self._journal.snapshot(self._account, rules=self._rules)
        if snapshot is None or snapshot.seq > head:
            return None
        books = self._books()
        try:
            books.show(read(snapshot.body))
        except Unreadable as error:
            log.error("snapshot.passed_over", account=self._account, seq=snapshot.seq, why=str(error))
            return None
        return Folded(books, snapshot.seq)

    async def _fold_on(self, begun: Folded, head: int, told: int, tell: Tell) -> Folded:
        books = begun.books
        async for stored in self._journal.read(self._account, after=min(begun.since, told), upto=head):
            event = stored.event
            if not isinstance(event, OrderEvent | AccountEvent):
                continue
            if stored.seq > begun.since:
                await self._fold_one(books, stored, event)
            if stored.seq > told:
                tell(stored)
        books.reserve()
        return begun

    async def _fold_one(
        self, books: Books, stored: Stored, event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent
    ) -> None:
        if (
            isinstance(event, OrderEvent)
            and type(event) not in BEGINNINGS
            and books.order(event.order_id) is None
        ):
            await self._recall(books, stored, event)
        try:
            books.fold(event)
        except (IllegalTransition, InvariantBroken) as fault:
            what = f"event {stored.seq}, {named(event)}"
            raise Unfoldable(f"{what}, cannot be folded: {fault}") from fault

    async def _recall(self, books: Books, stored: Stored, event: OrderEvent) -> None:
        """Late news of an order that was final so long that the books have let it go again."""
        history = await self._journal.history(event.order_id)
        before = [one.event for one in history if one.seq < stored.seq]
        found = order_from([one for one in before if isinstance(one, OrderEvent)])
        if found is not None:
            books.remember(found)

    def _books(self) -> Books:
        return Books(self._instruments, reserves=False, nameless=self._nameless)


def named(event: AnyOrderEvent | AnyAccountEvent | AnyGroupEvent | None) -> str:
    if event is None:
        return "nothing"
    return f"{kind_of(event)} of {event.order_id}" if isinstance(event, OrderEvent) else kind_of(event)
