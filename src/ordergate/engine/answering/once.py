"""A key buys one decision: remembered, durable, and answered again for ever.

The loop around every command: wait for the lane, look the key up, decide, wait for the
commit. Where the commit failed the lane is folded again from the journal, and the same look-up
then tells exactly whether the decision exists; only when it certainly does not is it made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

import msgspec

from ordergate.core.contingent.terms import is_group_id
from ordergate.core.faults import Fault
from ordergate.core.idempotency import Receipt, judge
from ordergate.core.ids import OrderId
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.terms import OrderType, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts.lane import Recorded
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.receipts import Receipts
from ordergate.engine.answering.answers import Answer
from ordergate.engine.answering.envelopes import Request
from ordergate.engine.answering.misuse import misused
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Committed, Journal, OrderRow
from ordergate.ports.views import Views
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("once")

ATTEMPTS_MAX: Final = 3
READY_WAIT_S_MAX: Final = 2.0
KEPT: Final = timedelta(days=7)
_UNANSWERED: Final = frozenset({Status.ACCEPTED, Status.PENDING_CANCEL, Status.PENDING_REPLACE})
_UNENDED: Final = _UNANSWERED | {Status.WORKING}
_AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


NOT_KNOWN: Final = Refusal(Code.UNAVAILABLE, "not yet known to be durable; ask again with the same key")


class Decided(msgspec.Struct, frozen=True):
    """A decision on its way to the disk; `failed` is not empty when risk denied it."""

    recorded: Recorded
    failed: tuple[FailedControl, ...] = ()


class Begun(msgspec.Struct, frozen=True):
    """A decision that is made and not yet known to be durable; `at` is a monotonic second."""

    decided: Decided
    at: float

    @property
    def committed(self) -> Committed:
        return self.decided.recorded.committed


class Once:
    def __init__(self, lanes: Lanes, journal: Journal, views: Views, clock: Clock, metrics: Metrics) -> None:
        self._lanes = lanes
        self._journal = journal
        self._views = views
        self._clock = clock
        self._metrics = metrics

    async def decide(
        self,
        seat: Seat,
        request: Request,
        decide: Callable[[], Decided | Refusal],
        *,
        deadline_s: float,
    ) -> Answer | Refusal:
        """Decide once per key; answer when it is durable."""
        for _ in range(ATTEMPTS_MAX):
            if (refusal := await until_ready(seat)) is not None:
                return refusal
            known = await self.recall(seat, request)
            if known is not None:
                return known if isinstance(known, Refusal) else await self._again(seat, known)
            begun = self._begin(seat, decide)
            if begun is None:
                continue
            if isinstance(begun, Refusal):
                if not await stands(seat, deadline_s):
                    continue
                return begun
            if not await _done_within(begun.committed, deadline_s):
                return NOT_KNOWN
            if (answer := self.end(begun)) is not None:
                return answer
            if (no := await misused(seat.lane, request, _failure(begun.committed))) is not None:
                return no
        return Refusal(Code.NOT_READY, "the account is being recovered; ask again with this key")

    def begin(
        self, seat: Seat, request: Request, decide: Callable[[], Decided | Refusal]
    ) -> Begun | Refusal | None:
        """Decide at once; None where something must be waited for first, which is `decide`'s to do."""
        receipts = seat.lane.receipts
        if seat.trouble is not None or receipts.recall(request.scope, request.fingerprint) is not None:
            return None
        if receipts.may_be_stored(request.scope) or self._holders(seat, request):
            return None
        return self._begin(seat, decide)

    def _begin(self, seat: Seat, decide: Callable[[], Decided | Refusal]) -> Begun | Refusal | None:
        """A new decision on its way to the disk; None when the lane could not take it."""
        started = self._clock.monotonic()
        try:
            decided = decide()
        except Fault as fault:
            log.error("decision.failed", account=seat.lane.account, why=str(fault))
            return None
        if isinstance(decided, Refusal):
            return decided
        decided_at = self._clock.monotonic()
        self._metrics.decide.observe(decided_at - started)
        return Begun(decided, decided_at)

    def end(self, begun: Begun) -> Answer | None:
        """The answer, once the commit has ended; None when it failed and the key must be asked again."""
        if begun.committed.cancelled() or begun.committed.exception() is not None:
            return None
        self._metrics.commit.observe(self._clock.monotonic() - begun.at)
        return _answer(begun.decided)

    async def recall(self, seat: Seat, request: Request) -> Receipt | Refusal | None:
        """What the key bought before; None when it certainly bought nothing."""
        receipts = seat.lane.receipts
        known = receipts.recall(request.scope, request.fingerprint)
        if known is None and receipts.may_be_stored(request.scope):
            stored = await self._journal.receipt(request.scope)
            if stored is not None:
                known = judge(stored, request.fingerprint)
            else:
                # The wait let others in: the key may have been used meanwhile.
                known = seat.lane.receipts.recall(request.scope, request.fingerprint)
        if known is None:
            known = await self._bought_elsewhere(seat, request)
        if isinstance(known, Receipt) and self._clock.now() - known.at > KEPT:
            words = "the key bought this more than 7 days ago"
            return Refusal(Code.IDEMPOTENCY_KEY_CONSUMED, words, _of(known))
        return known

    def _holders(self, seat: Seat, request: Request) -> list[Receipts]:
        """Of the client's other accounts, the keys of each in which this one may be.

        Asked before anything is decided: what the journal itself refuses has to be folded away again, which
        everybody who uses the account waits for.
        """
        if len(request.accounts) == 1:
            return []
        others = (self._lanes.get(account) for account in request.accounts)
        keys = [other.lane.receipts for other in others if other is not None and other is not seat]
        return [receipts for receipts in keys if receipts.may_hold(request.scope)]

    async def _bought_elsewhere(self, seat: Seat, request: Request) -> Receipt | Refusal | None:
        holders = self._holders(seat, request)
        for receipts in holders:
            if (known := receipts.recall(request.scope, request.fingerprint)) is not None:
                return known
        stored = await self._journal.receipt(request.scope) if holders else None
        return None if stored is None else judge(stored, request.fingerprint)

    async def has_client_order_id(self, seat: Seat, terms: Terms) -> bool:
        """True when an order that memory has let go of carries the client's own id."""
        label = terms.client_order_id
        books = seat.lane.books
        if label is None or not books.may_have_client_order_id(label):
            return False
        if books.has_client_order_id(label):
            return True
        return await self._views.order_by_client_id(seat.lane.account, label) is not None

    async def after_broker(self, seat: Seat, answer: Answer, wait_s: float) -> Answer:
        """The answer once the broker has spoken, or as it is when that takes too long.

        Of an order that does not rest the broker has spoken when it has ended.
        """
        placed = seat.lane.books.order(answer.order_id)
        waiting = _UNENDED if placed is not None and _ends_at_once(placed.terms) else _UNANSWERED
        latest = answer.body
        if _status_in(latest) not in waiting:
            return answer  # of one that ended long ago memory knows nothing, and nothing more will come
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    changed = seat.lane.changed(answer.order_id)
                    try:
                        body = await self._answered(seat, answer.order_id, changed, waiting)
                    finally:
                        seat.lane.unwatch(answer.order_id, changed)
                    latest = body or latest
                    if body is not None and _status_in(body) not in waiting:
                        return _with_body(answer, body)
        except TimeoutError:
            return _with_body(answer, latest)

    async def _answered(
        self,
        seat: Seat,
        order_id: OrderId,
        changed: asyncio.Future[OrderRow | None],
        waiting: AbstractSet[Status],
    ) -> bytes | None:
        """The order when it has changed, or has changed before; None when that was something else."""
        order = seat.lane.books.order(order_id)
        if order is not None and order.status not in waiting:
            body = await self._shown(seat, order_id)
            if body is not None and _status_in(body) not in waiting:
                return body
        row = await changed
        return None if row is None else row.body

    async def _again(self, seat: Seat, receipt: Receipt) -> Answer | Refusal:
        """The same request again: the order as it is now."""
        if receipt.order is None:
            return Refusal(Code.IDEMPOTENCY_KEY_CONSUMED, "the key bought no single order")
        body = await self._shown(seat, receipt.order)
        if body is None:
            return Refusal(Code.UNAVAILABLE, f"order {receipt.order} cannot be shown now")
        failed: tuple[FailedControl, ...] = ()
        if receipt.body is not None:
            failed = msgspec.json.decode(receipt.body, type=tuple[FailedControl, ...])
        return Answer(order_id=receipt.order, body=body, replayed=True, failed=failed)

    async def _shown(self, seat: Seat, order_id: OrderId) -> bytes | None:
        return await self._views.order(order_id, (seat.lane.account,))


def _of(receipt: Receipt) -> dict[str, str]:
    """The order or the group that the key bought, where it was one."""
    if receipt.order is None:
        return {}
    return {"group_id" if is_group_id(receipt.scope.env, receipt.order) else "order_id": receipt.order}


async def until_ready(seat: Seat) -> Refusal | None:
    """None as soon as the account takes commands; a refusal when that takes too long."""
    if not seat.lane.ready.is_set():
        try:
            await asyncio.wait_for(seat.lane.ready.wait(), READY_WAIT_S_MAX)
        except TimeoutError:
            return Refusal(Code.NOT_READY, seat.trouble or "the account is being recovered")
    if (trouble := seat.trouble) is not None:
        return Refusal(Code.NOT_READY, trouble)
    return None


async def stands(seat: Seat, deadline_s: float) -> bool:
    """Whether everything that a refusal may rest on is durable: memory runs ahead of the disk.

    Nobody may be told of an order's end, and then read that it goes on.
    """
    try:
        async with asyncio.timeout(deadline_s):
            await seat.lane.written()
    except (Fault, TimeoutError):
        return False
    return True


async def _done_within(future: Committed, seconds: float) -> bool:
    """True once the future is done, however it ended; False when that takes longer.

    What `asyncio.wait` does for many futures, for one and at a fraction of its cost: every command
    waits here.
    """
    if future.done():
        return True
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end(_: Committed | None = None) -> None:
        if not over.done():
            over.set_result(None)

    future.add_done_callback(end)
    late = loop.call_later(seconds, end)
    try:
        await over
    finally:
        late.cancel()
        future.remove_done_callback(end)
    return future.done()


def _failure(committed: Committed) -> BaseException | None:
    """Why a commit that has ended failed."""
    return None if committed.cancelled() else committed.exception()


def _answer(decided: Decided) -> Answer:
    row = decided.recorded.unit.orders[-1]
    return Answer(order_id=OrderId(row.id), body=row.body, failed=decided.failed)


def _with_body(answer: Answer, body: bytes) -> Answer:
    return msgspec.structs.replace(answer, body=body)


class _Shown(msgspec.Struct):
    status: Status


def _status_in(body: bytes) -> Status:
    return msgspec.json.decode(body, type=_Shown).status


def _ends_at_once(terms: Terms) -> bool:
    """Filled or canceled as soon as the market has it; a stop waits for its price first."""
    if terms.type.needs_stop_price:
        return False
    return terms.type is OrderType.MARKET or terms.time_in_force in _AT_ONCE
