"""Takes a broker's news into the books: report, absorb, event. Never decides what is true.

News of an order that is not ours makes an adopted one: somebody traded the account elsewhere,
and its books must say so.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.faults import Fault, IllegalTransition, Unfoldable
from ordergate.core.ids import AccountId, ClOrdId, Env, OrderId, order_id, parse_cl_ord_id
from ordergate.core.money import ZERO, text
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import comes_before_executions, proven
from ordergate.core.orders.executions import as_told, is_out_of_turn, told_again
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, evolve
from ordergate.core.orders.versions import (
    is_another,
    is_of_asked,
    is_of_one_given_up,
    is_of_order_itself,
    is_of_some_replacement,
)
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lane import Recorded
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.quarantine import Quarantine
from ordergate.engine.wire.asking import LOOKED_BACK, listed
from ordergate.engine.wire.doubled import tell_doubled
from ordergate.engine.wire.repeats import Repeat, repeat_of
from ordergate.ports.broker import BrokerUnavailable, News, NotFound, StreamDown, StreamUp
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import bind, logger, unbind
from ordergate.telemetry.metrics import Metrics

log = logger("ingest")


class Ingest:
    def __init__(
        self,
        env: Env,
        *,
        clock: Clock,
        metrics: Metrics,
        lists: Callable[[str], bool],
        suspect: Callable[[Seat, str], None],
        alarms: Alarms,
        quarantine: Quarantine,
    ) -> None:
        """`lists` knows the traded symbols; `suspect` asks for a reconciliation soon."""
        self._env = env
        self._clock = clock
        self._metrics = metrics
        self._lists = lists
        self._suspect = suspect
        self._alarms = alarms
        self._quarantine = quarantine

    async def follow(self, seat: Seat) -> None:
        """Absorb the account's news for as long as the broker gives any."""
        try:
            async for news in seat.broker.news():
                seat.heard_at = self._clock.monotonic()
                match news:
                    case StreamUp():
                        seat.stream_came_up(seat.heard_at)
                        self._suspect(seat, "the broker's stream came up")
                    case StreamDown(why=why):
                        seat.stream_went_down(self._clock.now(), why)
                        log.warning("broker_stream.down", account=seat.lane.account, why=why)
                    case News(report=report, snapshot=snapshot):
                        await self._hear(seat, report, snapshot)
        finally:
            seat.stream_went_down(self._clock.now(), "nobody listens to it")

    async def _hear(self, seat: Seat, report: r.AnyReport, snapshot: r.OrderSnapshot | None) -> None:
        started = self._clock.monotonic()
        seat.watch.heard(report)
        known = _is_known(seat, report)
        if not known and type(report) is r.AcknowledgedReport:
            await asyncio.sleep(0)  # the broker's answer, if it came in the same turn, says it for less
            known = _is_known(seat, report)
        if known:
            self._metrics.absorb.observe(self._clock.monotonic() - started)
            return
        try:
            if await self.absorb(seat, report, snapshot) is None and (why := self._left_open(seat, report)):
                self._suspect(seat, why)
        except (Fault, BrokerUnavailable) as fault:
            # Nothing is lost: the broker still knows it, and will be asked.
            facts = {"order": report.cl_ord_id, "why": str(fault)}
            log.error("report.unabsorbed", correlation_id=_correlation(report), **facts)
            self._suspect(seat, "a report could not be absorbed")
        self._metrics.absorb.observe(self._clock.monotonic() - started)

    async def absorb(
        self,
        seat: Seat,
        report: r.AnyReport,
        snapshot: r.OrderSnapshot | None = None,
        *,
        listed: bool = False,
    ) -> Recorded | None:
        """What the report proves, recorded; None when it proves nothing new.

        `listed` says that it stands on the broker's list, behind where the account was opened.
        Raises Fault, or BrokerUnavailable when a foreign order's terms could not be asked.
        """
        bound = bind(_correlation(report))
        try:
            return await self._absorb(seat, report, snapshot, listed)
        finally:
            unbind(bound)

    async def _absorb(
        self, seat: Seat, report: r.AnyReport, snapshot: r.OrderSnapshot | None, listed: bool
    ) -> Recorded | None:
        await seat.lane.ready.wait()
        if seat.lane.books.account is None:
            return None  # opening the account reads everything that was before
        order = await self._order_of(seat, report, snapshot)
        if order is None:
            return None
        if not listed and _may_be_older(order, report):
            self._suspect(seat, "the first execution of an order from elsewhere")
            return None
        told = as_told(order, report)
        if isinstance(told, r.ExecutedReport | r.BustedReport) and order.executions:
            books = seat.lane.books
            repeated = await repeat_of(seat, order, told)
            if seat.lane.books is not books:  # folded anew meanwhile: what it repeats may be lost
                return await self._absorb(seat, report, snapshot, listed)
            order = books.order(order.id) or order  # asking takes time
            if repeated is not None:
                return self._told_again(seat, order, told, repeated)
        try:
            events = proven(order, report, self._clock.now())
        except IllegalTransition as fault:
            unfoldable = Unfoldable(f"{type(report).__name__} of {order.id} cannot be folded: {fault}")
            seat.lane.stop(unfoldable)
            raise unfoldable from fault
        if not events:
            return None
        recorded = seat.lane.record(list(events), correlation=_correlation(report))
        self._look_closer(seat, order, events)
        return recorded

    def _told_again(
        self, seat: Seat, order: Order, report: r.ExecutedReport | r.BustedReport, repeat: Repeat
    ) -> Recorded | None:
        """Evidence, and no quantity; a broker whose list lags is asked again soon."""
        if not repeat.is_sure:
            self._suspect(seat, "an execution equals another, and the broker does not list both")
            return None
        same = repeat.of
        event = told_again(order, report, same, self._clock.now())
        if event is None:
            return None
        changed = repeat.is_listed and (report.revision or isinstance(report, r.BustedReport))
        changes = proven(evolve(order, event), report, event.at) if changed else ()
        recorded = seat.lane.record([event, *changes], correlation=_correlation(report))
        facts = {"order": order.id, "same_as": same, "broker_order": report.broker_order_id}
        detail = f"execution {same} was told again as {report.exec_id}; it is booked once"
        self._alarms.sound(seat, AlarmNature.EXECUTION_REPEATED, report.exec_id, detail, facts)
        self._suspect(seat, "an execution was told again under another id")
        return recorded

    def _look_closer(self, seat: Seat, before: Order, events: tuple[e.AnyOrderEvent, ...]) -> None:
        """Some news is true and still nobody may overlook it."""
        order = seat.lane.books.order(before.id)
        if order is not None and order.is_overfilled and not before.is_overfilled:
            detail = f"order {order.id} for {order.terms.quantity} has executions for {order.cum_qty}"
            facts = {"quantity": text(order.terms.quantity), "cum_qty": text(order.cum_qty)}
            self._alarms.sound(seat, AlarmNature.ORDER_OVERFILLED, order.id, detail, facts)
        if order is not None and order.unsized and not order.is_final and order.cum_qty > before.cum_qty:
            self._suspect(seat, "only the broker knows whether an order without a quantity is complete")
        if order is not None and any(one.is_undated for one in order.executions.values()):
            self._suspect(seat, "an execution is known by its correction alone")
        if any(type(event) is e.OrderReplaced and event.broker_order_id in seat.withheld for event in events):
            self._suspect(seat, "what was kept back is the replacement of an order")
        if any(type(event) is e.OrderReopened for event in events):
            self._suspect(seat, "an order was reopened: the broker says whether it works it")

    def _left_open(self, seat: Seat, report: r.AnyReport) -> str | None:
        """What the broker has to be asked because of news that proves nothing by itself."""
        if not isinstance(report, _LEAVES_OPEN):
            return None
        ours = parse_cl_ord_id(self._env, report.cl_ord_id)
        books = seat.lane.books
        order = books.order_of_broker(report.broker_order_id) if ours is None else books.order(ours[0])
        if order is None:
            return None
        if isinstance(report, r.ReplacedReport):
            is_open = is_of_order_itself(order, report) and not order.is_final
            return "an order was replaced, and by what is open" if is_open else None
        if is_of_one_given_up(order, report):
            return "a replacement shows that had been given up"
        if isinstance(report, r.RejectedReport) and is_of_asked(order, report):
            return "a replacement was refused, and may have been in force"
        if isinstance(report, r.EndedReport):
            early = not order.is_final and comes_before_executions(order, report)
            return "an order ended with executions that are not booked" if early else None
        if isinstance(report, r.ReplaceRejectedReport):
            return "a refusal may be of an earlier replacement" if is_of_some_replacement(order) else None
        return "a correction came before what it corrects" if is_out_of_turn(order, report) else None

    async def _order_of(
        self, seat: Seat, report: r.AnyReport, snapshot: r.OrderSnapshot | None
    ) -> Order | None:
        ours = parse_cl_ord_id(self._env, report.cl_ord_id)
        order = None if ours is None else await seat.lane.order(ours[0])
        if order is not None and report.broker_order_id == order.broker_order_id:
            return order
        known = await seat.lane.order_of_broker(report.broker_order_id)
        if order is not None:
            if not is_another(order, report, known):
                return order
            tell_doubled(self._alarms, seat, order, report.cl_ord_id, report.broker_order_id)
        if known is None:
            return await self._adopted(seat, report, snapshot)
        if seat.withheld:
            seat.withheld.pop(report.broker_order_id, None)
        return known

    async def _adopted(
        self, seat: Seat, report: r.AnyReport, snapshot: r.OrderSnapshot | None
    ) -> Order | None:
        """An order placed elsewhere, taken into the books as it is."""
        books = seat.lane.books
        if (order := await seat.lane.adopted(report.broker_order_id)) is not None:
            return order
        seen = snapshot or await self._asked(seat, report)
        if seen is None:
            if isinstance(report, r.ExecutedReport):
                seat.unplaced.add(report.broker_order_id)
            self._evidence(seat, AlarmNature.ORDER_NOT_SHOWN, report, "an order that it does not show")
            return None
        self.name_inexpressible(seat, seen)
        if seen.terms.symbol == r.NO_SYMBOL:
            if isinstance(report, r.ExecutedReport | r.BustedReport | r.CorrectedReport):
                self._suspect(seat, "an execution of an order in several symbols: the list says in which")
            return None
        if not self._lists(seen.terms.symbol):
            what = f"an order in {seen.terms.symbol}, which is not listed here"
            self._evidence(seat, AlarmNature.UNLISTED_SYMBOL, report, what)
            return None
        if self._quarantine.holds(seat, seen):
            return None
        executions = await _opened_with(seat, seen) if seen.cum_qty > ZERO else ()
        if (order := seat.lane.books.order_of_broker(report.broker_order_id)) is not None:
            return order  # while it was asked for, another asked too, or the answer to our own order came
        if seat.lane.books is not books:  # folded anew meanwhile: by what was lost it was a stranger's
            self._suspect(seat, "an order from elsewhere was asked for while its account was folded anew")
            return None
        now = self._clock.now()
        adopted_id = adopted_order_id(self._env, seat.lane.account, seen, now)
        event = e.OrderAdopted(
            order_id=adopted_id,
            at=now,
            terms=seen.terms,
            broker_order_id=seen.broker_order_id,
            broker_client_order_id=seen.cl_ord_id,
            executions=executions,
            inexpressible=seen.inexpressible,
            unsized=seen.unsized,
        )
        seat.lane.record([event], correlation=_correlation(report))
        log.info("order.adopted", order=adopted_id, broker_order=seen.broker_order_id)
        return seat.lane.books.order(adopted_id)

    def name_inexpressible(self, seat: Seat, seen: r.OrderSnapshot) -> None:
        """Our terms leave something out of what the broker shows: somebody has to know it."""
        if seen.inexpressible is None:
            return
        detail = f"the broker's order {seen.broker_order_id} is {seen.inexpressible}"
        facts = {
            "client_order_id": seen.cl_ord_id,
            "symbol": seen.terms.symbol,
            "side": seen.terms.side if seen.terms.symbol else "",
            "booked_as": seen.terms.type if seen.terms.symbol else "",
            "cum_qty": str(seen.cum_qty),
        }
        self._alarms.sound(seat, AlarmNature.ORDER_INEXPRESSIBLE, seen.broker_order_id, detail, facts)

    def _evidence(self, seat: Seat, nature: AlarmNature, report: r.AnyReport, what: str) -> None:
        """News that cannot be booked is never dropped without a trace."""
        log.warning("report.foreign", order=report.broker_order_id, account=seat.lane.account)
        facts = {"news": type(report).__name__, "client_order_id": report.cl_ord_id}
        if isinstance(report, r.ExecutedReport):
            facts |= {
                "exec_id": report.exec_id,
                "quantity": text(report.quantity),
                "price": text(report.price),
            }
        self._alarms.sound(seat, nature, report.broker_order_id, f"the broker told of {what}", facts)

    async def _asked(self, seat: Seat, report: r.AnyReport) -> r.OrderSnapshot | None:
        """What it shows of the order itself: by the same name it may hold another as well."""
        found = await seat.broker.find(ClOrdId(report.cl_ord_id))
        if isinstance(found, NotFound) or found.broker_order_id == report.broker_order_id:
            return None if isinstance(found, NotFound) else found
        return await listed(seat, report.broker_order_id, self._clock.now() - LOOKED_BACK)


def _correlation(report: r.AnyReport) -> str:
    """Under which its events are in the journal, and what is logged of it."""
    return f"report.{report.broker_order_id}"


def _is_known(seat: Seat, report: r.AnyReport) -> bool:
    """The stream's word that an order is there, which its broker's answer has said before."""
    if type(report) is not r.AcknowledgedReport:
        return False
    order = seat.lane.books.order_of_broker(report.broker_order_id)
    return (
        order is not None
        and order.status is Status.WORKING
        and order.acknowledged_at is not None
        and order.last_asked is None
        and order.cl_ord_id == report.cl_ord_id
    )


_LEAVES_OPEN: Final = (
    r.AcknowledgedReport,
    r.CorrectedReport,
    r.EndedReport,
    r.ReplaceRejectedReport,
)


def _may_be_older(order: Order, report: r.AnyReport) -> bool:
    """True of an execution that the account may have been opened with: the list knows, a stream does not."""
    untold = order.external and not order.executions
    return untold and isinstance(report, r.ExecutedReport | r.CorrectedReport)


async def _opened_with(seat: Seat, seen: r.OrderSnapshot) -> tuple[e.BookedExecution, ...]:
    """The order's executions that are in the figures the account was opened with.

    Raises BrokerUnavailable.
    """
    account = seat.lane.books.account
    if account is None or account.opening_cursor is None:
        return ()
    later = {
        one.report.exec_id
        async for one in seat.broker.executions(after=account.opening_cursor)
        if isinstance(one.report, r.ExecutedReport)
    }
    return tuple(
        [
            e.BookedExecution(
                exec_id=one.report.exec_id,
                revision=one.report.revision,
                quantity=one.report.quantity,
                price=one.report.price,
            )
            async for one in seat.broker.executions(after=None)
            if isinstance(one.report, r.ExecutedReport)
            and one.report.broker_order_id == seen.broker_order_id
            and one.report.exec_id not in later
        ]
    )


def adopted_order_id(env: Env, account: AccountId, seen: r.OrderSnapshot, now: datetime) -> OrderId:
    """It begins with when the broker says that the order was created, so that it is listed in its place.

    The same foreign order gets the same id, whoever sees it and however often; where the broker does not say
    when, only the journal knows that it was adopted before. Two brokers may number their orders alike, so the
    account is part of it.
    """
    whole = f"{account}\0{seen.broker_order_id}"
    created_at = seen.created_at or now
    return order_id(
        env,
        at_ms=max(0, int(created_at.timestamp() * 1000)),
        entropy=int.from_bytes(hashlib.sha256(whole.encode()).digest()[:12], "big"),
    )
