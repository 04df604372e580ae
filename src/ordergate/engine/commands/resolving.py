"""Where a person decides about an order that no question to the broker can prove.

The broker is asked once more first: what it shows is proof, and proof is never overruled. Only then is the
person's word written down, with the reason, as the evidence for what follows from it. While something about
the order is on its way to the broker nobody's word is taken.
"""

from __future__ import annotations

from ordergate.core.idempotency import Receipt
from ordergate.core.ids import ClOrdId
from ordergate.core.orders.commands import ResolveOrder
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.order import Order
from ordergate.core.orders.quarantine import may_be
from ordergate.core.orders.reconcile import DedupClass, proofs
from ordergate.core.orders.resolving import decide_resolve
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.quarantine import Quarantine, in_present_name
from ordergate.engine.answering.answers import Answer
from ordergate.engine.answering.envelopes import Request
from ordergate.engine.answering.once import Decided, Once
from ordergate.engine.wire.dispatcher import Dispatcher
from ordergate.engine.wire.ingest import Ingest
from ordergate.ports.broker import BrokerUnavailable, NotFound
from ordergate.telemetry.log import logger

log = logger("resolving")


class Resolving:
    def __init__(self, *, once: Once, ingest: Ingest, dispatcher: Dispatcher, quarantine: Quarantine) -> None:
        self._once = once
        self._ingest = ingest
        self._dispatcher = dispatcher
        self._quarantine = quarantine

    async def resolve(
        self, seat: Seat, command: ResolveOrder, request: Request, *, deadline_s: float
    ) -> Answer | Refusal:
        """Decide on the person's word, unless the broker has a better one."""
        known = await self._once.recall(seat, request)
        if known is None and (refusal := await self._proven(seat, command)) is not None:
            return refusal

        def decide() -> Decided | Refusal:
            return self._decided(seat, command, request)

        answer = await self._once.decide(seat, request, decide, deadline_s=deadline_s)
        if isinstance(answer, Answer) and not answer.replayed:
            log.warning(
                "order.resolved",
                order=command.order_id,
                resolution=command.resolution,
                actor=command.actor,
                why=command.reason,
            )
            self._quarantine.release(seat, command.order_id)
            seat.suspect(f"order {command.order_id} was resolved")
        return answer

    def _decided(self, seat: Seat, command: ResolveOrder, request: Request) -> Decided | Refusal:
        order = seat.lane.books.order(command.order_id)
        if order is None:
            return Refusal(Code.NOT_FOUND, f"there is no order {command.order_id}")
        if order.is_in_question and self._dispatcher.is_speaking_of(order.id):
            # It may be leaving once more, and what has left is no longer for anybody to say.
            return Refusal(Code.ORDER_PENDING, f"the broker is being asked about order {order.id} just now")
        if (refusal := _taken(seat, order, command)) is not None:
            return refusal
        events = decide_resolve(order, command)
        if isinstance(events, Refusal):
            return events
        receipt = Receipt(
            scope=request.scope,
            fingerprint=request.fingerprint,
            account=seat.lane.account,
            order=order.id,
            status=200,
            body=None,
            at=command.asked_at,
        )
        return Decided(seat.lane.record(events, correlation=request.correlation, receipt=receipt))

    async def _proven(self, seat: Seat, command: ResolveOrder) -> Refusal | None:
        """A refusal when the broker's own word decides, or when it cannot be asked for it."""
        order = seat.lane.books.order(command.order_id)
        if order is None or not order.is_in_question:
            return None  # decided without a question
        try:
            if seat.broker.capabilities.dedup is DedupClass.C:
                return await self._shown(seat, order, command)
            found = await seat.broker.find(order.cl_ord_id)
        except BrokerUnavailable as absent:
            return Refusal(Code.UNAVAILABLE, f"the broker could not be asked: {absent}")
        if isinstance(found, NotFound):
            return None
        for report in proofs(order, found):
            await self._ingest.absorb(seat, report, found)
        seat.suspect(f"the broker shows order {order.id}")
        return Refusal(Code.ORDER_PROVEN, f"the broker shows order {order.id} as {found.status}")

    async def _shown(self, seat: Seat, order: Order, command: ResolveOrder) -> Refusal | None:
        """What the broker shows of the order that the person points at."""
        if command.broker_order_id is None:
            return None
        found = await seat.broker.find(ClOrdId(command.broker_order_id))
        working = command.resolution is Resolution.WORKING
        if isinstance(found, NotFound):
            missing = {"broker_order_id": "the broker shows no such order"}
            return Refusal(Code.INVALID, "it cannot be that order", missing) if working else None
        if not may_be(in_present_name(seat, order), found):
            return Refusal(
                Code.INVALID, "it cannot be that order", {"broker_order_id": "its terms are others"}
            )
        if working:
            return None
        told = f"the broker shows {found.broker_order_id} as {found.status}: resolve it as working, and its"
        return Refusal(Code.ORDER_PROVEN, f"{told} executions and its end are read from there")


def _taken(seat: Seat, order: Order, command: ResolveOrder) -> Refusal | None:
    """The broker's order can be one order of the books only."""
    if command.broker_order_id is None:
        return None
    other = seat.lane.books.id_of_broker(command.broker_order_id)
    if other is None or other == order.id:
        return None
    return Refusal(Code.INVALID, "it cannot be that order", {"broker_order_id": f"is order {other}"})
