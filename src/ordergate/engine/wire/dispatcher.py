"""Speaks to brokers about what is durable, and writes down what was heard.

Started by commits. Questions about one order are asked one after the other; orders do not
wait for each other. An answer that is not certain becomes `outcome_unknown` and is never
followed by sending again from here: that is the reconciler's to decide, on proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Final

import msgspec

from ordergate.core.accounts.events import AnyAccountEvent, BreakCancelAsked
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, ClOrdId, OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.content import EGRESS_PARITY
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, Replacement
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.sending import Sending
from ordergate.engine.accounts.shares import Shares
from ordergate.engine.stopping.kill_guard import KillGuard
from ordergate.engine.wire.break_cancels import cancel_at_broker
from ordergate.engine.wire.doubled import heed_answer
from ordergate.engine.wire.early_cancels import EarlyCancels
from ordergate.engine.wire.egress import Egress, Withheld
from ordergate.engine.wire.holding import Held, until_free
from ordergate.engine.wire.parity_breaks import break_parity
from ordergate.engine.wire.sendings import answered, correlation_of, of_cancel, of_replacement, sent_before
from ordergate.ports.broker import DedupClass, Outcome, Rejected, Unsent, no_veto
from ordergate.ports.clock import Clock
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("dispatcher")

OVERTAKEN: Final = "overtaken"
KILL_SWITCH: Final = "kill-switch"
NOT_OURS: Final = "the account was not proven to be ours of late"
SELF_MATCH: Final = "self-match"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long to try again while certainly nothing was sent."""

    unsent_attempts_max: int = 6
    unsent_wait_s_min: float = 0.1
    unsent_wait_s_max: float = 2.0
    lane_wait_s_max: float = 60.0
    send_within_s: float = 5.0
    questions_max: int = 20_000


class Dispatcher:
    def __init__(
        self,
        lanes: Lanes,
        *,
        egress: Egress,
        alarms: Alarms,
        kill_guard: KillGuard,
        clock: Clock,
        metrics: Metrics,
        pace: Pace,
    ) -> None:
        self._lanes = lanes
        self._egress = egress
        self._alarms = alarms
        self._kill_guard = kill_guard
        self._clock = clock
        self._metrics = metrics
        self._pace = pace
        self._last_question: dict[OrderId, asyncio.Task[None]] = {}
        self._asking = Shares(pace.questions_max)
        self._early_cancels = EarlyCancels()

    def is_full_for(self, account: AccountId) -> bool:
        return self._asking.is_full_for(account)

    def is_speaking_of(self, order_id: OrderId) -> bool:
        return order_id in self._last_question

    def follow(
        self, lane: Lane, event: e.AnyOrderEvent | AnyAccountEvent | AnyGroupEvent, written: bytes
    ) -> None:
        """Called for every committed event: start what the event calls for."""
        seat = self._lanes.get(lane.account)
        if seat is None:
            return
        self._egress.committed(event, written)
        if isinstance(event, e.OrderEvent) and event.order_id in self._early_cancels:
            self._cancel_once_found(seat, event.order_id)
        match event:
            case e.OrderAccepted(order_id=order_id):
                self.ask(seat, order_id, self.place(seat, order_id, self._clock.monotonic()))
            case e.CancelRequested(order_id=order_id):
                self.ask(seat, order_id, self.cancel(seat, order_id, self._clock.monotonic()))
            case e.ReplaceRequested(order_id=order_id):
                self.ask(seat, order_id, self._replace(seat, order_id, self._clock.monotonic()))
            case BreakCancelAsked() as asked:
                self.ask(seat, asked.order_id, cancel_at_broker(seat, asked, self._clock))
            case e.OrderAcknowledged(order_id=order_id):
                order = lane.books.order(order_id)
                # A cancel asked while the order was unknown could not reach it before, and after a restart
                # nobody asks for it; one asked while it was being placed is in turn already.
                if order is not None and order.cancel_requested and not self._is_in_turn(order):
                    self.ask(seat, order_id, self.cancel_again(seat, order_id))
            case _:
                return

    def _is_in_turn(self, order: Order) -> bool:
        return order.status is Status.PENDING_CANCEL and self.is_speaking_of(order.id)

    def carry_on(self, seat: Seat) -> None:
        """The account was folded anew: ask what a person wanted asked of a break, and nobody has answered."""
        account = seat.lane.books.account
        for item in () if account is None else tuple(account.breaks.values()):
            asked = item.cancel_asked
            if item.is_open and asked is not None and not self.is_speaking_of(asked.order_id):
                self.ask(seat, asked.order_id, cancel_at_broker(seat, asked, self._clock))

    def ask(self, seat: Seat, order_id: OrderId, question: Coroutine[None, None, None]) -> None:
        """Ask once the questions before it on the same order are answered."""
        before = self._last_question.get(order_id)
        if before is None:
            self._asking.take(seat.lane.account)
        task = asyncio.create_task(question if before is None else _in_turn(before, question))
        self._last_question[order_id] = task
        task.add_done_callback(lambda done: self._answered(seat.lane.account, order_id, done))

    async def drain(self, timeout_s: float) -> None:
        """Wait for the questions under way, for so long at most, and say of each when it left."""
        waiting = tuple(self._last_question.values())
        if waiting:
            await asyncio.wait(waiting, timeout=timeout_s)
        for seat in self._lanes:
            seat.lane.say_sent(self._clock.now())

    def abandon(self) -> None:
        """Break off every question; what was asked stays unanswered."""
        for task in self._last_question.values():
            task.cancel()

    async def place(
        self, seat: Seat, order_id: OrderId, committed_at: float | None = None, *, again: bool = False
    ) -> None:
        """The order is durable: speak, then write down what was heard."""
        if committed_at is not None:
            self._metrics.dispatch.observe(self._clock.monotonic() - committed_at)
        failpoints.reach("C4")
        await self._kill_guard.until_heard()
        order = seat.lane.books.order(order_id)
        if order is None or order.is_final or _is_at_broker(order):
            return
        order = sent_before(order) if again else order
        if order.waits_for and not await self._is_free(seat, order):
            return
        if seat.broker.capabilities.dedup is DedupClass.C:
            if order.dispatched_at is not None:
                return  # it may have left once, and nothing could tell the second from the first
            await self._mark_started(seat, order)
        await self._egress.prepare(seat, order_id)
        await self._still_ours(seat, order)
        sending = Sending(self._clock, committed_at)
        outcome = await self._place_until_sent(seat, order, sending)
        if isinstance(outcome, Withheld):
            await self._withhold(seat, order, outcome)
            return
        if outcome is None:
            return
        if order.unknown_since is not None and isinstance(outcome, Rejected | Unsent):
            # A refused repeat says nothing about the first.
            await self._until_ready(seat)
            self._record(seat, order, sent=sending.sent(order_id, outcome))
            return
        failpoints.reach("C8")
        await self._until_ready(seat)
        self._note_placed(seat, order_id, order.cl_ord_id, outcome, sending)

    def lets_out(self, seat: Seat, order: Order) -> bool:
        """False under a stop: what could not leave is not to be marked as if it did."""
        return not self._kill_guard.forbids(seat, order)

    async def place_again(self, seat: Seat, order_id: OrderId) -> None:
        """Send an unanswered order once more, where its absence or the broker's dedup makes that harmless."""
        order = seat.lane.books.order(order_id)
        if order is None or order.is_final or _is_at_broker(order) or order.cancel_requested:
            return
        await self._mark_started(seat, order)  # from then on what may be on its way is newer
        await self.place(seat, order_id, again=True)

    async def cancel_again(self, seat: Seat, order_id: OrderId) -> None:
        """Ask for a cancel that was found in memory, once it is durable: memory runs ahead of the disk."""
        order = seat.lane.books.order(order_id)
        if order is None or not order.cancel_requested:
            return
        await seat.lane.written()
        await self.cancel(seat, order_id)

    def _cancel_once_found(self, seat: Seat, order_id: OrderId) -> None:
        if self._early_cancels.are_due(order_id, seat.lane.books.order(order_id)):
            self.ask(seat, order_id, self.cancel_again(seat, order_id))

    async def cancel(self, seat: Seat, order_id: OrderId, committed_at: float | None = None) -> None:
        order = seat.lane.books.order(order_id)
        if order is None or order.is_final or not order.cancel_requested:
            return
        if order.status is Status.HELD:
            await self._never_sent(seat, order, None)
            return
        if order.broker_order_id is None and not seat.broker.capabilities.cancels_by_client_id:
            return  # remembered; asked as soon as the order is found
        sending, which = Sending(self._clock, committed_at, e.Asked.CANCEL), order.cancels_asked
        version = order.version
        started = self._clock.monotonic()
        outcome = await seat.broker.cancel(order.cl_ord_id, order.broker_order_id, sending.timed(no_veto))
        self._metrics.broker.observe(self._clock.monotonic() - started)
        await self._until_ready(seat)
        order = seat.lane.books.order(order_id)
        if order is None:
            return
        self._early_cancels.asked(order)
        # The stream was quicker; and another cancel may have been asked since, which this is no answer to.
        told = order.is_final or not order.cancel_requested or order.cancels_asked != which
        events = () if told else of_cancel(order, version, outcome, self._clock.now())
        self._record(seat, order, *events, sent=sending.sent(order_id, outcome))

    async def _replace(self, seat: Seat, order_id: OrderId, committed_at: float) -> None:
        await self._kill_guard.until_heard()
        order = seat.lane.books.order(order_id)
        if order is None or not _may_change(order) or order.replacement is None:
            return
        asked = order.replacement
        sending = Sending(self._clock, committed_at, e.Asked.REPLACE, asked.version)
        outcome = await self._send_replacement(seat, order, asked, sending)
        await self._until_ready(seat)
        if isinstance(outcome, Withheld):
            if not outcome.overtaken:
                break_parity(seat, order_id, outcome, self._alarms, self._clock)
            outcome = Unsent(OVERTAKEN if outcome.overtaken else EGRESS_PARITY)
        order = seat.lane.books.order(order_id)
        if order is None:
            return
        told = order.is_final or order.replacement is None or order.replacement.version != asked.version
        events = () if told else of_replacement(order, asked.version, outcome, self._clock.now())
        self._record(seat, order, *events, sent=sending.sent(order_id, outcome))

    async def _send_replacement(
        self, seat: Seat, order: Order, asked: Replacement, sending: Sending
    ) -> Outcome | Withheld:
        """What came of it; certainly unsent where nothing could be found to compare it with."""
        try:
            await self._egress.prepare(seat, order.id, replacing=True)
        except Fault as fault:
            log.error("replace.uncompared", order=order.id, why=str(fault))
            return Unsent("what was approved could not be read")
        await self._still_ours(seat, order)
        now = seat.lane.books.order(order.id)
        if now is None or not _may_change(now):
            return Unsent("it has ended by now")
        started = self._clock.monotonic()
        veto = sending.timed(partial(self._veto, seat, now, asked))
        outcome = await self._egress.replace(seat, now, asked, veto)
        self._metrics.broker.observe(self._clock.monotonic() - started)
        return outcome

    async def _is_free(self, seat: Seat, order: Order) -> bool:
        """Whether the orders before it are gone. If not, it ends here without having been sent."""
        held = await until_free(seat, order, self._clock)
        if held is Held.CANCELED:
            await self._never_sent(seat, order, None)
        elif held is Held.LATE:
            await self._never_sent(seat, order, SELF_MATCH)
        return held is Held.FREE

    async def _place_until_sent(
        self, seat: Seat, order: Order, sending: Sending
    ) -> Outcome | Withheld | None:
        """The outcome, or None when the order ended here without having been sent."""
        pace, veto = self._pace, partial(self._veto, seat, order)
        outcome: Outcome | Withheld = Unsent("not tried")
        for attempt in range(1, pace.unsent_attempts_max + 1):
            if veto() == KILL_SWITCH:
                await self._never_sent(seat, order, KILL_SWITCH)
                return None
            started = self._clock.monotonic()
            outcome = await self._egress.place(seat, order, sending.timed(veto))
            self._metrics.broker.observe(self._clock.monotonic() - started)
            if isinstance(outcome, Unsent) and outcome.why == OVERTAKEN:
                return None
            if not isinstance(outcome, Unsent) or attempt == pace.unsent_attempts_max:
                break
            wait = max(outcome.retry_after_s, pace.unsent_wait_s_min * 2**attempt)
            await self._clock.sleep(min(wait, pace.unsent_wait_s_max))
            now = seat.lane.books.order(order.id)
            if now is None or now.is_final or _is_at_broker(now):
                return None
            await self._still_ours(seat, order)
            now = seat.lane.books.order(order.id)
            if now is not None and now.cancel_requested:
                await self._never_sent(seat, order, None)
                return None
        return outcome

    def _veto(self, seat: Seat, order: Order, asked: Replacement | None = None) -> str | None:
        """Asked by the adapter last of all: it may have waited for its turn, or for a connection.

        Meanwhile the stream may have shown the order: an earlier call arrived after all.
        """
        now = seat.lane.books.order(order.id)
        if asked is None and now is not None and _is_at_broker(now):
            return OVERTAKEN
        if self._kill_guard.forbids(seat, order, asked):
            return KILL_SWITCH
        return None if self._is_proven_ours(seat) else NOT_OURS

    def _note_placed(
        self, seat: Seat, order_id: OrderId, cl_ord: ClOrdId, outcome: Outcome, sending: Sending
    ) -> None:
        order = seat.lane.books.order(order_id)
        if order is None:
            return
        events = answered(order, cl_ord, outcome, sending.sent(order_id, outcome), self._clock.now())
        if events:
            self._record(seat, order, *events)
        heed_answer(self._alarms, seat, order, cl_ord, outcome)

    async def _withhold(self, seat: Seat, order: Order, withheld: Withheld) -> None:
        """What is not what was approved is not sent, and the account opens nothing more."""
        await self._until_ready(seat)
        if withheld.overtaken:
            log.warning("egress.overtaken", order=order.id, account=seat.lane.account, **withheld.sides)
            await self._never_sent(seat, order, OVERTAKEN)
            return
        break_parity(seat, order.id, withheld, self._alarms, self._clock)
        await self._never_sent(seat, order, EGRESS_PARITY)

    async def _never_sent(self, seat: Seat, order: Order, reason: str | None) -> None:
        """End an order that certainly has not left: rejected for `reason`, or canceled."""
        if order.unknown_since is not None:
            return  # it may have left before: only the broker can say
        await self._until_ready(seat)
        evidence = f"{order.cl_ord_id} was never sent"
        now = self._clock.now()
        event: e.AnyOrderEvent
        if reason is None:
            event = e.OrderCanceled(order_id=order.id, at=now, evidence=evidence)
        else:
            event = e.OrderRejected(order_id=order.id, at=now, reason=reason, evidence=evidence)
        self._record(seat, order, event)

    async def _still_ours(self, seat: Seat, order: Order) -> None:
        """After a pause nothing is sent before a commit has proven the account ours again.

        Raises Fault when it is not. No broker checks an epoch: this is what keeps an owner that
        slept through the end of its ownership from speaking for an order that has a new one.
        """
        if not self._is_proven_ours(seat):
            log.warning("dispatch.stale", order=order.id, account=seat.lane.account)
            await self._mark_started(seat, order)

    def _is_proven_ours(self, seat: Seat) -> bool:
        return self._clock.monotonic() - seat.lane.proven_at <= self._pace.send_within_s

    async def _mark_started(self, seat: Seat, order: Order) -> None:
        event = e.DispatchStarted(order_id=order.id, at=self._clock.now(), cl_ord_id=order.cl_ord_id)
        await seat.lane.record([event], correlation=correlation_of(order)).committed

    def _record(
        self, seat: Seat, order: Order, *events: e.AnyOrderEvent, sent: e.OrderSent | None = None
    ) -> None:
        """With the events, or with the order's next one, when the question left that they answer."""
        try:
            if sent is not None:
                seat.lane.note_sent(sent)
            if events:
                seat.lane.record(events, correlation=correlation_of(order))
                failpoints.reach_soon("C9")
        except Fault as fault:
            # The lane recovers, and the reconciler then asks the broker what became of it.
            log.error("outcome.unrecorded", order=order.id, why=str(fault))

    async def _until_ready(self, seat: Seat) -> None:
        if not seat.lane.ready.is_set():
            await asyncio.wait_for(seat.lane.ready.wait(), self._pace.lane_wait_s_max)

    def _answered(self, account: AccountId, order_id: OrderId, task: asyncio.Task[None]) -> None:
        if self._last_question.get(order_id) is task:
            del self._last_question[order_id]
            self._asking.give_back(account)
            self._egress.forget(order_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("dispatch.failed", order=order_id, error=repr(error))


def _may_change(order: Order) -> bool:
    """News may have ended it since the replacement was asked for, even in the same commit."""
    return order.broker_order_id is not None and not order.is_final


def _is_at_broker(order: Order) -> bool:
    return order.broker_order_id is not None or order.is_proven


async def _in_turn(before: asyncio.Task[None], question: Coroutine[None, None, None]) -> None:
    try:
        await asyncio.wait((before,))
    except asyncio.CancelledError:
        question.close()  # it was never begun
        raise
    await question
