"""One account's lane: its single owner, holding it folded to its head in memory.

Decisions are made and folded without waiting, so nothing can come between a decision and its
effect; durability is then awaited by whoever asked. What follows a commit (speaking to the
broker, telling clients) is started by the commit, not by the request, and so happens whether
or not the client is still there.

When anything fails on the way to the journal the memory is no longer trusted: the lane stops,
takes its account again and folds it from the journal. Recovery is start-up.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from ordergate.core.accounts.events import AccountEvent, AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import (
    Fault,
    IllegalTransition,
    InvariantBroken,
    JournalCorrupt,
    StaleEpoch,
    Unfoldable,
)
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import AnyOrderEvent, OrderEvent, OrderSent
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.books import Books, order_from
from ordergate.engine.accounts.receipts import Receipts
from ordergate.engine.accounts.recovery import Recovery, named
from ordergate.engine.accounts.shares import is_too_much
from ordergate.engine.accounts.units import UnitBuilder, kind_of
from ordergate.engine.accounts.unsaid import Unsaid
from ordergate.ports.audience import Audience
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Committed, Journal, OrderRow, Stored, Unit
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import bind, logger, unbind
from ordergate.telemetry.metrics import Metrics

log = logger("lane")

UNFOLDED_MAX: Final = 3

Follow = Callable[["Lane", AnyOrderEvent | AnyAccountEvent | AnyGroupEvent, bytes], None]
"""Is told of every committed event, and of the bytes of it that the journal wrote."""


class LaneStopped(Fault):
    """The lane does not trust its memory now; nothing was decided."""


class Recorded(msgspec.Struct, frozen=True):
    """A decision on its way to the disk. `committed` fails with a Fault when it did not get there."""

    unit: Unit
    committed: Committed

    @property
    def body(self) -> bytes:
        """The JSON of the one order that the unit changed."""
        return self.unit.orders[-1].body


class Lane:
    """See the module. What is not `async` runs without waiting.

    `proven_at` is a monotonic second at which the account was certainly still ours: when the latest
    commit was asked for, not when its answer was read. `kept_at` is the event of the latest snapshot,
    `folded_since` of the one that the latest fold began with.
    """

    def __init__(
        self,
        account: AccountId,
        *,
        journal: Journal,
        instruments: dict[Symbol, Instrument],
        audience: Audience,
        follow: Follow,
        clock: Clock,
        metrics: Metrics,
        rules: str = "",
        nameless: bool = False,
    ) -> None:
        """`rules` names what the fold depends on besides the events: a snapshot of others is not used.

        `nameless` is the account whose broker knows no client order ids.
        """
        self.account = account
        self.books = Books(instruments, nameless=nameless)
        self.receipts = Receipts()
        self.ready = asyncio.Event()
        self.trouble: str | None = "starting"
        self.fenced = False
        self.stopped = asyncio.Event()
        self.proven_at = -math.inf
        self.halted = False
        self.kept_at = self.folded_since = 0
        self._unfolded: Counter[str] = Counter()
        self._journal = journal
        self._recovery = Recovery(account, journal, instruments, rules, nameless=nameless)
        self._instruments = instruments
        self._audience = audience
        self._follow = follow
        self._clock = clock
        self._metrics = metrics
        self.epoch = 0
        self._head = 0
        self._told = -1
        self._durable = (0, b"")  # the last event that is certainly in the journal, and its seal
        self._unwritten = 0
        self._last_commit: Committed | None = None
        self._watchers: dict[OrderId, list[asyncio.Future[OrderRow | None]]] = {}
        self._unsaid = Unsaid()

    @property
    def head(self) -> int:
        return self._head

    @property
    def is_crowded(self) -> bool:
        """Whether too much of this account waits for the journal, of which others have to find room too."""
        return is_too_much(self._unwritten, self._journal.room)

    def record(
        self,
        events: Sequence[AnyOrderEvent | AnyAccountEvent | AnyGroupEvent],
        *,
        correlation: str,
        receipt: Receipt | None = None,
    ) -> Recorded:
        """Fold the events and queue them for the journal as one unit.

        Raises LaneStopped while the lane recovers, and Fault when the events cannot be folded or
        the journal takes no more; the lane then stops and recovers by itself.
        """
        if not self.ready.is_set():
            raise LaneStopped(self.trouble or "recovering")
        builder = UnitBuilder(self.account, self.epoch, self._head, correlation, self._instruments)
        reached: list[Status] = []
        event = None
        try:
            for event in self._unsaid.said_with(events):
                change = self.books.fold(event)
                builder.add(event, change)
                if (status := change.reached) is not None:
                    reached.append(status)
            unit = builder.build(receipt, watched=bool(self._watchers))
            committed = self._journal.append(unit)
        except (IllegalTransition, InvariantBroken) as fault:
            unfoldable = Unfoldable(f"{named(event)} cannot be folded: {fault}")
            self.stop(unfoldable)
            raise unfoldable from fault
        except BaseException as fault:  # whatever it was, memory has moved and the journal has not
            self.stop(fault)
            raise
        self._head += len(unit.entries)
        if receipt is not None:
            self.receipts.begin(receipt)
        asked_at = self._clock.monotonic()
        committed.add_done_callback(partial(self._on_commit, unit, reached, asked_at))
        self._last_commit = committed
        self._unwritten += 1
        return Recorded(unit, committed)

    def note_sent(self, *left: OrderSent) -> None:
        """Say of each with its order's next event that it left, or now where none may come.

        Raises Fault as `record` does.
        """
        alone: list[OrderSent] = []
        for sent in left:
            order = self.books.order(sent.order_id)
            if order is not None and (order.is_final or not self._unsaid.keep(sent)):
                alone.append(sent)
        if alone:
            self.record(alone, correlation="dispatch.sent")

    def say_sent(self, by: datetime) -> None:
        """Say now what left by then and had no event to go with, if the lane stands."""
        overdue = self._unsaid.overdue(by) if self.ready.is_set() else []
        if not overdue:
            return
        try:
            self.record(overdue, correlation="dispatch.sent")
        except Fault as fault:
            log.error("sent.unrecorded", account=self.account, why=str(fault))

    @property
    def watched(self) -> int:
        """How many orders somebody waits for."""
        return len(self._watchers)

    async def written(self) -> None:
        """Wait until everything recorded so far is durable and its follow-ups have begun.

        Raises LaneStopped when it is not. Bounded by the journal, which fails what takes too long.
        """
        last = self._last_commit
        if last is not None and not last.done():
            await asyncio.wait((last,))
            if _failed(last):
                raise LaneStopped("what was recorded was not written")  # the lane may be ready again by now
        await asyncio.sleep(0)  # what a commit starts is started in the turn after it
        if not self.ready.is_set():
            raise LaneStopped(self.trouble or "recovering")

    def stop(self, fault: BaseException) -> None:
        """Distrust the memory. Whoever supervises the lane recovers it."""
        if not self.ready.is_set():
            return
        self.ready.clear()
        self.fenced = isinstance(fault, StaleEpoch)
        self.trouble = f"{type(fault).__name__}: {fault}"
        if isinstance(fault, Unfoldable):
            self._count(fault)
        self.stopped.set()
        log.error("lane.stopped", account=self.account, why=self.trouble)

    def halt(self, fault: Fault) -> None:
        """Stop for good: folding again would only come to the same. A person has to look."""
        self.ready.clear()
        if self.halted:
            return  # for the first reason
        self.halted = True
        self.trouble = f"halted: {fault}"
        log.critical("lane.halted", account=self.account, why=self.trouble)

    def _count(self, fault: Unfoldable) -> None:
        """What cannot be folded comes again as long as its sender is asked: not for ever."""
        self._unfolded[str(fault)] += 1
        if self._unfolded[str(fault)] >= UNFOLDED_MAX:
            self.halt(fault)

    async def recover(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        """Take the account and fold it from the journal. Raises Fault when that cannot be done.

        What was durable must be there still: a journal without it is JournalCorrupt.
        `catch_up` reads what else another owner may have decided meanwhile: nothing is judged before that.
        """
        self.ready.clear()
        self.stopped.clear()
        taken = await self._journal.take(self.account)
        failpoints.reach("C15")
        await self._recovery.require(self._durable, taken)
        await catch_up()
        self._told = self._told if self._told >= 0 else taken.head
        folded = await self._recovery.fold(taken.head, self._told, self._tell_stored)
        self.receipts = self.receipts.anew(await self._journal.key_digests(self.account))
        if self.halted:  # meanwhile: what was not read now has been found broken
            raise JournalCorrupt(f"{self.account} was {self.trouble}")
        self._unsaid.forget()  # it may be another's to speak of these orders by now
        self.books, self._head, self.epoch = folded.books, taken.head, taken.epoch
        self._durable = (taken.head, taken.last_hash)
        self.folded_since = self.kept_at = folded.since
        self.trouble = None
        self._wake_all()
        self.ready.set()
        stands = {"head": taken.head, "epoch": taken.epoch, "snapshot": folded.since}
        log.info("lane.ready", account=self.account, **stands)

    async def order(self, order_id: OrderId) -> Order | None:
        """An order of the account, from memory, or folded from the journal when long final."""
        held = self.books.order(order_id)
        if held is not None:
            return held
        history = await self._journal.history(order_id)
        events = [stored.event for stored in history if isinstance(stored.event, OrderEvent)]
        found = order_from(events)
        if found is None or found.terms.account != self.account:
            return None
        if (held := self.books.order(order_id)) is not None:
            return held
        named = (getattr(event, "broker_order_id", None) for event in events)
        self.books.remember(found, dict.fromkeys(one for one in named if one is not None))
        return found

    async def bought(self, scope: Scope) -> Receipt | None:
        """What the journal says that a key bought; one that did so on another account is kept in mind."""
        stored = await self._journal.receipt(scope)
        if stored is not None and stored.account != self.account:
            self.receipts.learn_elsewhere(stored)
        return stored

    async def adopted(self, broker_order_id: str) -> Order | None:
        """The order as which this one of the broker's was adopted, if it ever was and is durable."""
        known = await self._journal.adopted(self.account, broker_order_id)
        return None if known is None else await self.order(known)

    async def order_of_broker(self, broker_order_id: str) -> Order | None:
        """The order that the broker calls so, or called so, from memory or from the journal."""
        known = self.books.id_of_broker(broker_order_id)
        return None if known is None else await self.order(known)

    def changed(self, order_id: OrderId) -> asyncio.Future[OrderRow | None]:
        """The order's row at its next commit; None when the lane recovered meanwhile."""
        waiter: asyncio.Future[OrderRow | None] = asyncio.get_running_loop().create_future()
        self._watchers.setdefault(order_id, []).append(waiter)
        return waiter

    def unwatch(self, order_id: OrderId, waiter: asyncio.Future[OrderRow | None]) -> None:
        """Nobody waits for this one any more."""
        waiting = self._watchers.get(order_id)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            if not waiting:
                del self._watchers[order_id]

    def _on_commit(
        self, unit: Unit, reached: Sequence[Status], asked_at: float, committed: Committed
    ) -> None:
        self._unwritten -= 1
        if unit.receipt is not None:
            self.receipts.end(unit.receipt, kept=not _failed(committed))
        if committed.cancelled():
            self.stop(Fault("a commit was cancelled"))
            return
        if (fault := committed.exception()) is not None:
            self.stop(fault)
            return
        self.proven_at = asked_at
        if written := committed.result():
            self._durable = (written[-1].seq, written[-1].hash)
        failpoints.reach("C10")
        started = self._clock.monotonic()
        for entry in unit.entries:
            self._tell(entry.seq, kind_of(entry.event), entry.frame)
        self._metrics.publish.observe(self._clock.monotonic() - started)
        failpoints.reach("C11")
        for status in reached:
            self._metrics.order_reached(status)
        if self._watchers:
            for row in unit.orders:
                self._wake(OrderId(row.id), row)
        for entry, sealed in zip(unit.entries, written, strict=True):
            match entry.event:
                case OrderEvent() | AccountEvent() as event:
                    bound = bind(entry.correlation)
                    try:
                        self._follow(self, event, sealed.body)
                    finally:
                        unbind(bound)
                case _:
                    continue

    def _tell_stored(self, stored: Stored) -> None:
        self._tell(stored.seq, kind_of(stored.event), stored.frame)

    def _tell(self, seq: int, kind: str, frame: bytes) -> None:
        if seq <= self._told:
            return
        self._told = seq
        self._audience.tell(self.account, seq, kind, frame)

    def _wake(self, order_id: OrderId, row: OrderRow | None) -> None:
        for waiter in self._watchers.pop(order_id, ()):
            if not waiter.done():
                waiter.set_result(row)

    def _wake_all(self) -> None:
        for order_id in tuple(self._watchers):
            self._wake(order_id, None)


def _failed(future: Committed) -> bool:
    return future.cancelled() or future.exception() is not None
