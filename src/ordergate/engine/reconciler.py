"""Asks the broker what is true, and takes only proof for an answer.

Runs at start, whenever the broker's stream comes up, on a timer, and on suspicion: an order
whose answer is missing is asked for until it is found, proven absent, or given to a person.
Executions first, then orders, then positions and cash, so that an ending is never booked
before the fills that came before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from ordergate.core.accounts.breaks import Difference, Nature
from ordergate.core.accounts.events import AccountSynced
from ordergate.core.faults import Fault
from ordergate.core.ids import OrderId, cl_ord_id, parse_cl_ord_id
from ordergate.core.money import text
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.reconcile import lacks_executions, proofs
from ordergate.engine.absences import Absences
from ordergate.engine.account_sync import AccountSync
from ordergate.engine.dispatcher import Dispatcher
from ordergate.engine.ingest import Ingest
from ordergate.engine.lanes import Seat
from ordergate.ports.broker import BrokerUnavailable, NotFound
from ordergate.ports.clock import Clock
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger

log = logger("reconciler")


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """When to ask. Seconds.

    An unanswered question is asked about every `suspicion_s`; all else every `interval_s`.
    `unanswered_s_min` is how long an answer may take before its lack is suspicious.
    """

    interval_s: float = 60.0
    suspicion_s: float = 1.0
    unanswered_s_min: float = 2.0
    settle_s: float = 30.0
    resend_s_max: float = 60.0
    recheck_s: float = 1.0
    run_timeout_s: float = 120.0
    finds_per_run_max: int = 50

    def __post_init__(self) -> None:
        if self.suspicion_s <= 0 or self.interval_s < self.suspicion_s:
            raise ValueError("interval_s must be at least suspicion_s, and both positive")


class Reconciler:
    def __init__(
        self,
        *,
        ingest: Ingest,
        sync: AccountSync,
        dispatcher: Dispatcher,
        clock: Clock,
        rhythm: Rhythm,
    ) -> None:
        self._ingest = ingest
        self._sync = sync
        self._dispatcher = dispatcher
        self._clock = clock
        self._rhythm = rhythm
        self._absences = Absences(
            dispatcher=dispatcher, clock=clock, settle_s=rhythm.settle_s, resend_s_max=rhythm.resend_s_max
        )

    async def follow(self, seat: Seat) -> None:
        """Reconcile the account for ever. Raises nothing that a broker's absence explains."""
        whole_at = self._clock.monotonic()
        while True:
            whole = seat.wake.is_set() or not seat.synced or self._clock.monotonic() >= whole_at
            if whole:
                seat.wake.clear()
                whole_at = self._clock.monotonic() + self._rhythm.interval_s
            try:
                async with asyncio.timeout(self._rhythm.run_timeout_s):
                    await (self.run(seat) if whole else self._settle_suspects(seat))
            except (BrokerUnavailable, TimeoutError) as absent:
                seat.synced = seat.synced and not whole
                log.warning("reconciliation.put_off", account=seat.lane.account, why=str(absent))
            except Fault as fault:
                seat.synced = seat.synced and not whole
                log.error("reconciliation.failed", account=seat.lane.account, why=str(fault))
            await self._wait_for_wake(seat, self._rhythm.suspicion_s)

    async def run(self, seat: Seat) -> None:
        """One whole reconciliation. Raises BrokerUnavailable or Fault; safe to repeat at any time."""
        await seat.lane.ready.wait()
        self._absences.forget_settled(seat)
        if seat.lane.books.account is None:
            await self._sync.open(seat)
        await self._doubt_unanswered(seat)
        await self._executions(seat, after=_cursor(seat))
        lacking = await self._orders(seat)
        if lacking:
            # A late execution can sort before the cursor: read the list once from where the
            # account begins. What is older is in the figures it was opened with.
            await self._executions(seat, after=_opening_cursor(seat))
            lacking = await self._orders(seat)
        await self._books(seat, lacking)
        seat.synced = True

    async def _settle_suspects(self, seat: Seat) -> None:
        """Ask for the orders whose answers are overdue, and for nothing else."""
        await seat.lane.ready.wait()
        await self._doubt_unanswered(seat)
        waiting = await self._durable(seat, seat.lane.books.waiting_orders())
        suspects = [order for order in waiting if self._is_suspect(order)]
        for order in _in_turn(seat, suspects)[: self._rhythm.finds_per_run_max]:
            seat.asked_last = order.id
            if not self._dispatcher.is_speaking_of(order.id):
                lacking = await self._find(seat, order)
                self._ask_again(seat, order)
                if lacking is not None:
                    seat.wake.set()

    async def _wait_for_wake(self, seat: Seat, seconds: float) -> None:
        """So long at most; a wake-up ends the wait."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(seat.wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    async def _doubt_unanswered(self, seat: Seat) -> None:
        """An order that is durable, not being spoken of and unanswered was possibly sent."""
        for order in await self._durable(seat, seat.lane.books.waiting_orders()):
            unasked = order.status in (Status.ACCEPTED, Status.PENDING_CANCEL)
            if not unasked or order.broker_order_id is not None or order.unknown_since is not None:
                continue
            if self._dispatcher.is_speaking_of(order.id):
                continue
            doubt = e.OutcomeUnknown(
                order_id=order.id,
                at=self._clock.now(),
                asked=e.Asked.PLACE,
                why="no answer was recorded before the account was taken",
            )
            seat.lane.record([doubt], correlation="reconciliation")

    async def _durable(self, seat: Seat, orders: Iterable[Order]) -> list[Order]:
        """Those orders as they now are, once what was decided about them is written and in hand.

        Memory runs ahead of the disk, and nothing may be asked of a broker that is not there yet.
        """
        known = [order.id for order in orders]
        await seat.lane.written()
        now = (seat.lane.books.order(order_id) for order_id in known)
        return [order for order in now if order is not None and not order.is_final]

    async def _executions(self, seat: Seat, *, after: str | None) -> None:
        cursor = after
        async for execution in seat.broker.executions(after=after):
            await self._ingest.absorb(seat, execution.report)
            cursor = execution.cursor
        if cursor is not None and cursor != _cursor(seat):
            failpoints.reach("C12")
            synced = AccountSynced(account=seat.lane.account, at=self._clock.now(), cursor=cursor)
            await seat.lane.record([synced], correlation="reconciliation").committed

    async def _orders(self, seat: Seat) -> list[Difference]:
        """Match every open order of both sides; return those whose executions are missing."""
        theirs = await seat.broker.open_orders()
        lacking = [found for seen in theirs if (found := await self._prove(seat, seen)) is not None]
        seen_ids = {self._our_id(seat, seen) for seen in theirs}
        finds = 0
        ours = await self._durable(seat, seat.lane.books.open_orders())
        for order in _in_turn(seat, ours):
            asked_for = order.id in seen_ids and order.replacement is None
            if asked_for or self._dispatcher.is_speaking_of(order.id):
                self._ask_again(seat, order)
                continue
            if finds >= self._rhythm.finds_per_run_max:
                seat.wake.set()
                break
            finds += 1
            seat.asked_last = order.id
            difference = await self._find(seat, order)
            if difference is not None:
                lacking.append(difference)
        return lacking

    async def _find(self, seat: Seat, order: Order) -> Difference | None:
        """Ask for one order that the list of open ones did not settle."""
        version = order.version if order.replacement is None else order.replacement.version
        found = await seat.broker.find(cl_ord_id(order.id, version))
        if isinstance(found, NotFound) and version != order.version:
            self._absences.of_replacement(seat, order.id, version)
            found = await seat.broker.find(order.cl_ord_id)
        if not isinstance(found, NotFound):
            self._absences.found(order.id)
            return await self._prove(seat, found)
        self._absences.of_order(seat, order.id)
        return None

    async def _prove(self, seat: Seat, seen: r.OrderSnapshot) -> Difference | None:
        """Absorb what a snapshot proves; a difference when it needs executions we lack."""
        order_id = self._our_id(seat, seen)
        order = None if order_id is None else await seat.lane.order(order_id)
        if order is None:
            await self._ingest.absorb(seat, _presence(seen), seen)
            order = seat.lane.books.order_of_broker(seen.broker_order_id)
            if order is None:
                return None
        for report in proofs(order, seen):
            await self._ingest.absorb(seat, report, seen)
        if seen.version not in (order.version, 0) or not lacks_executions(order, seen):
            return None
        return Difference(
            nature=Nature.EXECUTION_MISSING,
            subject=order.id,
            ours=text(order.cum_qty),
            theirs=text(seen.cum_qty),
        )

    def _ask_again(self, seat: Seat, order: Order) -> None:
        """A cancel that found the order still working is asked again: cancels are harmless."""
        overdue = order.cancel_requested and self._is_suspect(order)
        if overdue and not self._dispatcher.is_speaking_of(order.id):
            self._dispatcher.ask(order.id, self._dispatcher.cancel(seat, order.id))

    async def _books(self, seat: Seat, lacking: list[Difference]) -> None:
        """A difference is a break only when it is seen twice, with the news between read."""
        first = await self._sync.compare(seat)
        if first:
            await self._clock.sleep(self._rhythm.recheck_s)
            await self._executions(seat, after=_cursor(seat))
            second = await self._sync.compare(seat)
            first = None if second is None else [item for item in second if item in first]
        if first is not None:
            self._sync.note(seat, first + lacking)

    def _is_suspect(self, order: Order) -> bool:
        """An order with a question open for longer than an answer takes."""
        if order.status is Status.WORKING and not order.cancel_requested:
            return False
        age_s = (self._clock.now() - order.updated_at).total_seconds()
        return age_s >= self._rhythm.unanswered_s_min or order.status is Status.UNKNOWN

    def _our_id(self, seat: Seat, seen: r.OrderSnapshot) -> OrderId | None:
        ours = parse_cl_ord_id(seat.broker.env, seen.cl_ord_id)
        if ours is not None:
            return ours[0]
        known = seat.lane.books.order_of_broker(seen.broker_order_id)
        return None if known is None else known.id


def _in_turn(seat: Seat, orders: list[Order]) -> list[Order]:
    """Those after the last one asked for, then the others: a bounded run starves nobody."""
    return sorted(orders, key=lambda order: (order.id <= seat.asked_last, order.id))


def _cursor(seat: Seat) -> str | None:
    account = seat.lane.books.account
    return None if account is None else account.cursor


def _opening_cursor(seat: Seat) -> str | None:
    account = seat.lane.books.account
    return None if account is None else account.opening_cursor


def _presence(seen: r.OrderSnapshot) -> r.AcknowledgedReport:
    return r.AcknowledgedReport(
        cl_ord_id=seen.cl_ord_id,
        version=seen.version,
        broker_order_id=seen.broker_order_id,
        broker_at=seen.broker_at,
    )
