"""Matches every open order of both sides, and takes only proof for an answer.

Executions first, then orders, so that an ending is never booked before the fills that came before
it. Lists, not questions: only an order that no list settles is asked about by itself, and only so
many of those in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ordergate.core.accounts.breaks import NOT_FOUND, Difference, Nature
from ordergate.core.accounts.events import AccountSynced
from ordergate.core.ids import OrderId, parse_cl_ord_id
from ordergate.core.money import text
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.reconcile import lacks_executions, proofs
from ordergate.core.orders.versions import is_another
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.quarantine import Quarantine
from ordergate.engine.accounts.runs import Tally
from ordergate.engine.reconciling.absences import Absences
from ordergate.engine.reconciling.asked_again import AskedAgain
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.reconciling.successors import given_up_too_soon, identified
from ordergate.engine.wire.asking import LOOKED_BACK, find_version
from ordergate.engine.wire.dispatcher import Dispatcher
from ordergate.engine.wire.ingest import Ingest
from ordergate.engine.wire.sendings import correlation_of
from ordergate.ports.broker import DedupClass, NotFound, OrderUnreadable
from ordergate.ports.clock import Clock
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import correlated, logger

log = logger("reconciler")

LIST_FROM: Final = 5
"""So many orders that a list does not settle are worth another list."""

_CLOCKS_APART: Final = timedelta(minutes=15)


class Picture:
    """What one pass saw: `shown` are the orders that the broker holds open, `complete` those of which it

    counts no more executed than we do. `listed_all` says that its list left none out.
    """

    def __init__(self) -> None:
        self.sure: list[Difference] = []
        self.unsure: list[Difference] = []
        self.shown: set[OrderId] = set()
        self.complete: set[OrderId] = set()
        self.listed_all = False
        self.lacking = False

    @property
    def differences(self) -> list[Difference]:
        return [*self.sure, *self.unsure]


class OrderMatching:
    def __init__(
        self,
        *,
        ingest: Ingest,
        dispatcher: Dispatcher,
        quarantine: Quarantine,
        clock: Clock,
        rhythm: Rhythm,
    ) -> None:
        self._ingest = ingest
        self._quarantine = quarantine
        self._dispatcher = dispatcher
        self._clock = clock
        self._rhythm = rhythm
        self._absences = Absences(
            dispatcher=dispatcher, clock=clock, settle_s=rhythm.settle_s, resend_s_max=rhythm.resend_s_max
        )
        self._asked_again = AskedAgain()

    def forget_settled(self, seat: Seat) -> None:
        self._absences.forget_settled(seat)
        self._asked_again.forget_settled(seat.lane.account, seat.lane.books)

    async def doubt_unanswered(self, seat: Seat) -> None:
        """An order that is durable, not being spoken of and unanswered was possibly sent."""
        for order in await self.durable(seat, seat.lane.books.waiting_orders()):
            unasked = order.status in (Status.ACCEPTED, Status.PENDING_CANCEL)
            if not unasked or order.broker_order_id is not None or order.unknown_since is not None:
                continue
            if order.is_proven:
                continue  # by an execution's end alone: it is asked for by its name
            if self._dispatcher.is_speaking_of(order.id):
                continue
            seat.lane.record([self._doubt(seat, order)], correlation="reconciliation")

    def _doubt(self, seat: Seat, order: Order) -> e.AnyOrderEvent:
        """Possibly sent, unless sending would have been written down before and was not."""
        now = self._clock.now()
        if seat.broker.capabilities.dedup is DedupClass.C and order.dispatched_at is None:
            evidence = f"{order.cl_ord_id} was never sent: nothing was written down before sending it"
            return e.OrderRejected(order_id=order.id, at=now, reason="never-sent", evidence=evidence)
        why = "no answer was recorded before the account was taken"
        return e.OutcomeUnknown(order_id=order.id, at=now, asked=e.Asked.PLACE, why=why)

    async def durable(self, seat: Seat, orders: Iterable[Order]) -> list[Order]:
        """Those orders as they now are, once what was decided about them is written and in hand.

        Memory runs ahead of the disk, and nothing may be asked of a broker that is not there yet.
        """
        known = [order.id for order in orders]
        await seat.lane.written()
        now = (seat.lane.books.order(order_id) for order_id in known)
        return [order for order in now if order is not None and not order.is_final]

    async def executions(self, seat: Seat, *, after: str | None, tally: Tally) -> None:
        """Absorb the broker's list; what the stream should have told of it, it owes."""
        began, cursor = self._clock.monotonic(), after
        lag, books = seat.broker.capabilities.visibility_lag_s, seat.lane.books
        unread_since = None if seat.read_at is None else seat.read_at - lag
        seat.unplaced.clear()
        self._quarantine.look_anew(seat)
        async for execution in seat.broker.executions(after=after):
            report = execution.report
            tally.executions_read += 1
            recorded = await self._ingest.absorb(seat, report, execution.snapshot, listed=True)
            if execution.snapshot is not None:
                await self._prove(seat, execution.snapshot, Picture())  # it says that its order is over
            if recorded is not None and isinstance(report, r.ExecutedReport):
                seat.watch.learned(report.exec_id, self._clock.monotonic(), unread_since=unread_since)
            cursor = execution.cursor
        seat.read_at = began
        account = seat.lane.books.account
        if seat.withheld or seat.unplaced:
            return  # what was kept back, or could not be placed yet, has to be read again
        if seat.lane.books is not books:
            return  # folded anew meanwhile: what was known of the list may be forgotten
        if cursor is not None and account is not None and cursor != account.cursor:
            failpoints.reach("C12")
            synced = AccountSynced(account=account.id, at=self._clock.now(), cursor=cursor)
            await seat.lane.record([synced], correlation="reconciliation").committed

    async def orders(self, seat: Seat, tally: Tally) -> Picture:
        """Match every open order of both sides."""
        picture = Picture()
        theirs = await seat.broker.open_orders()
        tally.orders_listed += len(theirs)
        picture.listed_all = theirs.is_whole
        for seen in theirs:
            self._judge(seat, await self._prove(seat, seen, picture), picture)
        told = (order for order in seat.lane.books.open_orders() if order.status is not Status.HELD)
        ours = await self.durable(seat, told)
        tally.orders_ours = len(ours)
        left = self._unsettled(seat, ours, picture)
        if len(left) > LIST_FROM:
            await self._list_recent(seat, left, picture, tally)
            left = self._unsettled(seat, await self.durable(seat, left), picture)
        left += await self._in_breaks(seat, picture)
        most = self._rhythm.finds_per_run_max
        turns = in_turn(seat, left)
        for order in turns[:most]:
            seat.asked_last = order.id
            tally.orders_asked += 1
            self._judge(seat, await self.find(seat, order, picture), picture)
        if len(turns) > most:
            seat.sightings.put_off(order.id for order in turns[most:])
            seat.suspect("more orders to ask about")
        return picture

    async def find(self, seat: Seat, order: Order, picture: Picture | None = None) -> Difference | None:
        """Ask for one order that no list settled. Of one that cannot be read nothing is concluded."""
        try:
            return await self._find(seat, order, picture or Picture())
        except OrderUnreadable as fault:
            log.error("order.unreadable", account=seat.lane.account, order=order.id, why=str(fault))
            return None

    async def _find(self, seat: Seat, order: Order, picture: Picture) -> Difference | None:
        if seat.broker.capabilities.dedup is DedupClass.C:
            return await self._find_unnamed(seat, order, picture)
        if order.replacement is not None:
            found = await self._find_replaced(seat, order, order.replacement.version, picture)
        else:
            found = await find_version(seat, order, order.version)
            if isinstance(found, r.OrderSnapshot):
                self._absences.found(order.id)
        if isinstance(found, r.OrderSnapshot):
            return await self._prove(seat, found, picture)
        self._absences.of_order(seat, order.id)
        return self._denied(seat, order.id)

    async def _find_replaced(
        self, seat: Seat, order: Order, asked: int, picture: Picture
    ) -> r.OrderSnapshot | NotFound | None:
        """What the broker shows of an order that it may have replaced: the new version, or the old one.

        A new version that is refused may have been in force before. Then the old one says so, and goes first.
        """
        new = await find_version(seat, order, asked)
        if isinstance(new, r.OrderSnapshot) and new.status is not r.BrokerStatus.REJECTED:
            self._absences.found(order.id)
            return new
        old = await find_version(seat, order, order.version)
        if isinstance(old, r.OrderSnapshot) and old.status is r.BrokerStatus.REPLACED:
            self._absences.found(order.id)
            if not isinstance(new, r.OrderSnapshot) or lacks_executions(order, old):
                return old
            await self._prove(seat, old, picture)
            return new
        reason = "never-arrived"
        if isinstance(new, r.OrderSnapshot):
            reason = new.reason or "rejected by the broker"
        self._absences.of_replacement(seat, order.id, asked, reason)
        return old

    async def _find_unnamed(self, seat: Seat, order: Order, picture: Picture) -> Difference | None:
        """Where the broker holds no client order ids it is asked by its own, once that is known."""
        found = await find_version(seat, order, order.version)
        if found is None:
            await self._quarantine.examine(seat, order)
            return None
        if isinstance(found, NotFound):
            return self._denied(seat, order.id)
        if order.replacement is not None and found.status is not r.BrokerStatus.REPLACED:
            self._absences.of_replacement(seat, order.id, order.replacement.version, "never-arrived")
        return await self._prove(seat, found, picture)

    def ask_again(self, seat: Seat, order: Order) -> None:
        """A cancel that found the order still working is asked again: cancels are harmless."""
        overdue = self.is_suspect(order) and self.is_due(order)
        if not overdue or self._dispatcher.is_speaking_of(order.id):
            return
        self._asked_again.asked(order, self._clock.monotonic())
        if order.cancel_requested:
            with correlated(correlation_of(order)):
                self._dispatcher.ask(seat, order.id, self._dispatcher.cancel_again(seat, order.id))

    def is_due(self, order: Order) -> bool:
        """False of one that was just asked about, and whose request the broker keeps pending."""
        return self._asked_again.is_due(order, self._clock.monotonic())

    def is_suspect(self, order: Order) -> bool:
        """An order with a question open for longer than an answer takes."""
        if order.status is Status.WORKING and not order.is_asked:
            return False
        age_s = (self._clock.now() - order.updated_at).total_seconds()
        young = 0 <= age_s < self._rhythm.unanswered_s_min  # less than nothing: a clock was wrong
        return not young or order.status is Status.UNKNOWN

    def _unsettled(self, seat: Seat, ours: list[Order], picture: Picture) -> list[Order]:
        """Those that the lists do not show as they stand with us."""
        left = []
        for order in ours:
            settled = order.id in picture.shown and order.replacement is None
            if settled or self._dispatcher.is_speaking_of(order.id):
                self.ask_again(seat, order)
            else:
                left.append(order)
        return left

    async def _list_recent(self, seat: Seat, left: list[Order], picture: Picture, tally: Tally) -> None:
        """One list of how recent orders ended, instead of one question for each."""
        ids = {order.id for order in left}
        oldest = min(order.accepted_at for order in left)
        since = max(oldest - _CLOCKS_APART, self._clock.now() - LOOKED_BACK)
        try:
            recent = await seat.broker.recent_orders(since)
        except OrderUnreadable as fault:
            log.error("order.unreadable", account=seat.lane.account, order=None, why=str(fault))
            return  # then each is asked about by itself
        for seen in recent:
            tally.orders_listed += 1
            if self._our_id(seat, seen) in ids:
                self._judge(seat, await self._prove(seat, seen, picture), picture)

    async def _prove(self, seat: Seat, seen: r.OrderSnapshot, picture: Picture) -> Difference | None:
        """Absorb what a snapshot proves; a difference where it says what we cannot have."""
        self._ingest.name_inexpressible(seat, seen)
        order_id = self._our_id(seat, seen)
        order = None if order_id is None else await seat.lane.order(order_id)
        if order is None:
            await self._ingest.absorb(seat, _presence(seen), seen)
            order = seat.lane.books.order_of_broker(seen.broker_order_id)
            if order is None:
                return None
        if (given_up := given_up_too_soon(order, seen)) is not None:
            await self._ingest.absorb(seat, given_up, seen)
            order = seat.lane.books.order(order.id) or order
        for report in proofs(order, seen):
            await self._ingest.absorb(seat, await identified(seat, order, report), seen)
        if seen.status.is_alive:
            picture.shown.add(order.id)
        if seen.version not in (order.version, 0):
            return self._alive_after_its_end(seat, order.id, seen)
        if lacks_executions(order, seen):
            picture.lacking = True
            return Difference(
                nature=Nature.EXECUTION_MISSING,
                subject=order.id,
                ours=text(order.cum_qty),
                theirs=text(seen.cum_qty),
            )
        picture.complete.add(order.id)
        return self._alive_after_its_end(seat, order.id, seen)

    async def _in_breaks(self, seat: Seat, picture: Picture) -> list[Order]:
        """Orders that have ended, and of which the broker counted more executed than we do."""
        account = seat.lane.books.account
        breaks = () if account is None else tuple(account.breaks.values())
        found = [
            await seat.lane.order(OrderId(item.subject))
            for item in breaks
            if item.is_open and item.nature is Nature.EXECUTION_MISSING
        ]
        return [order for order in found if order and order.is_final and order.id not in picture.complete]

    def _alive_after_its_end(self, seat: Seat, order_id: OrderId, seen: r.OrderSnapshot) -> Difference | None:
        """Final with us, open with the broker: it could trade, and nothing is reserved for it."""
        order = seat.lane.books.order(order_id)
        if order is None or not order.is_final or not seen.status.is_alive:
            return None
        return Difference(nature=Nature.ORDER_STATUS, subject=order.id, ours=order.status, theirs=seen.status)

    def _denied(self, seat: Seat, order_id: OrderId) -> Difference | None:
        """Open with us, and the broker says "no such order" of one that it has shown before."""
        order = seat.lane.books.order(order_id)
        if order is None or order.is_final or not order.is_proven:
            return None
        return Difference(nature=Nature.ORDER_STATUS, subject=order.id, ours=order.status, theirs=NOT_FOUND)

    def _judge(self, seat: Seat, item: Difference | None, picture: Picture) -> None:
        """Sure when it is seen twice, apart, and after what is known of the order has settled."""
        if item is None:
            return
        if item.nature is Nature.ORDER_STATUS and not self._has_settled(seat, OrderId(item.subject)):
            picture.unsure.append(item)
            return
        sighting = seat.sightings.see(
            item,
            now=self._clock.now(),
            steady_s=self._clock.monotonic(),
            apart_s=max(seat.broker.capabilities.visibility_lag_s, self._rhythm.recheck_s),
        )
        if sighting is None:
            picture.unsure.append(item)
        else:
            picture.sure.append(_dated(item, sighting.first_at, sighting.last_at))

    def _has_settled(self, seat: Seat, order_id: OrderId) -> bool:
        order = seat.lane.books.order(order_id)
        if order is None:
            return True
        return seat.ages.seconds(order.id, order.updated_at, self._clock) >= self._rhythm.settle_s

    def _our_id(self, seat: Seat, seen: r.OrderSnapshot) -> OrderId | None:
        ours = parse_cl_ord_id(seat.broker.env, seen.cl_ord_id)
        order = None if ours is None else seat.lane.books.order(ours[0])
        known = seat.lane.books.order_of_broker(seen.broker_order_id)
        if ours is not None and (order is None or not is_another(order, seen, known)):
            return ours[0]
        return seat.lane.books.id_of_broker(seen.broker_order_id)


def in_turn(seat: Seat, orders: list[Order]) -> list[Order]:
    """Those after the last one asked for, then the others: a bounded run starves nobody."""
    return sorted(orders, key=lambda order: (order.id <= seat.asked_last, order.id))


def _dated(item: Difference, first: datetime, last: datetime) -> Difference:
    detail = f"seen at {first.isoformat()} and {last.isoformat()}"
    return msgspec.structs.replace(item, detail=detail)


def _presence(seen: r.OrderSnapshot) -> r.AcknowledgedReport:
    return r.AcknowledgedReport(
        cl_ord_id=seen.cl_ord_id,
        version=seen.version,
        broker_order_id=seen.broker_order_id,
        broker_at=seen.broker_at,
    )
