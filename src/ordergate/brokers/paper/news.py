"""The paper exchange's stream: what happened, as reports, over a line that can be cut.

What happens while the line is cut is lost for good, as with a real broker; the listener learns
of the gap from StreamDown and StreamUp. A test may also have single reports lost or doubled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, TypedDict, assert_never

import msgspec

from ordergate.brokers.paper.exchange import Moved, PaperExchange
from ordergate.brokers.paper.kinds import leg_of, shown_terms
from ordergate.brokers.paper.orders import Kind, PaperExecution, PaperOrder
from ordergate.core.ids import Env, parse_cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.ports.broker import BrokerExecution, BrokerNews, News, StreamDown, StreamUp

WAITING_MAX: Final = 10_000

# How many times a report is delivered: 0 loses it, 2 doubles it.
Copies = Callable[[r.AnyReport], int]

# Carries a piece of news over the line and says it at the other end, when and as often as it likes.
Route = Callable[[BrokerNews, Callable[[BrokerNews], None]], None]


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker lets be seen: client order ids or only its own, wholes or changes."""

    nameless: bool = False
    delta: bool = False

    def order(self, order: PaperOrder) -> PaperOrder:
        return msgspec.structs.replace(order, cl_ord_id=order.id) if self.nameless else order

    def execution(self, execution: PaperExecution) -> PaperExecution:
        return msgspec.structs.replace(execution, order=self.order(execution.order))

    def moved(self, moved: Moved) -> Moved:
        execution = None if moved.execution is None else self.execution(moved.execution)
        return Moved(moved.word, self.order(moved.order), execution)


class PaperNews:
    """The stream of one broker. Listened to by one at a time."""

    def __init__(self, exchange: PaperExchange, env: Env, face: Face | None = None) -> None:
        self.copies: Copies = lambda report: 1
        self.route: Route = lambda news, say: say(news)
        self._exchange = exchange
        self._env = env
        self._face = face or Face()
        self._waiting: deque[BrokerNews] = deque()
        self._is_up = True
        self._closed = False
        self._stirred = asyncio.Event()
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether what is said now is heard."""
        return self._is_up

    def cut(self, why: str = "cut") -> None:
        """Lose the line, and everything that was still in it."""
        if self._is_up:
            self._is_up = False
            self._waiting.clear()
            self._say(StreamDown(why))

    def restore(self) -> None:
        if not self._is_up:
            self._is_up = True
            self._say(StreamUp())

    def close(self) -> None:
        self._closed = True
        self._stirred.set()

    def forsake(self) -> None:
        """Whoever listened is gone and will not say so: tell nobody any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    async def listen(self) -> AsyncIterator[BrokerNews]:
        self._waiting.clear()
        self._say(StreamUp() if self._is_up else StreamDown("cut"))
        self._unsubscribe = self._exchange.subscribe(self._heard)
        try:
            while not self._closed:
                while self._waiting:
                    yield self._waiting.popleft()
                self._stirred.clear()
                if not self._waiting and not self._closed:
                    await self._stirred.wait()
        finally:
            self.forsake()

    def _heard(self, moved: Moved) -> None:
        if not self._is_up:
            return
        report = report_of(self._face.moved(moved), self._env, delta=self._face.delta)
        news = News(report, snapshot_of(self._face.order(moved.order), self._env))
        for _ in range(self.copies(report)):
            self.route(news, self._say_if_up)

    def _say_if_up(self, news: BrokerNews) -> None:
        """What was on its way when the line was lost is lost with it."""
        if self._is_up:
            self._say(news)

    def _say(self, news: BrokerNews) -> None:
        """A listener that lets the queue fill up loses the line, never a single report silently."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.clear()
            self._waiting.extend((StreamDown("too slow"), StreamUp()))
        self._waiting.append(news)
        self._stirred.set()


def snapshot_of(order: PaperOrder, env: Env) -> OrderSnapshot:
    """Where an order stands, in totals as our orders count them."""
    return OrderSnapshot(
        cl_ord_id=order.cl_ord_id,
        version=_version(order, env),
        broker_order_id=order.id,
        status=order.status,
        terms=shown_terms(order),
        cum_qty=order.cum_qty + order.filled_before,
        avg_px=order.avg_px,
        replaced_by=order.replaced_by,
        reason=order.reason,
        broker_at=order.updated_at,
        inexpressible=None if order.kind is Kind.PLAIN else order.kind,
        unsized=order.kind is Kind.BY_VALUE,
        created_at=order.placed_at,
    )


class _Head(TypedDict):
    """What every report begins with."""

    cl_ord_id: str
    version: int
    broker_order_id: str
    broker_at: datetime


def report_of(moved: Moved, env: Env, *, delta: bool = False) -> r.AnyReport:
    """The report that a word of the exchange amounts to."""
    order, execution = moved.order, moved.execution
    head = _Head(
        cl_ord_id=order.cl_ord_id,
        version=_version(order, env),
        broker_order_id=order.id,
        broker_at=order.updated_at,
    )
    filled = order.cum_qty + order.filled_before
    match moved.word:
        case "new":
            return r.AcknowledgedReport(**head)
        case "canceled":
            return r.CanceledReport(**head, cum_qty=filled)
        case "expired":
            return r.ExpiredReport(**head, cum_qty=filled)
        case "rejected":
            return r.RejectedReport(**head, cum_qty=filled, reason=order.reason or "rejected")
        case "replaced":
            return r.ReplacedReport(**head, cum_qty=filled, replaced_by=order.replaced_by or "")
        case "partial_fill" | "fill":
            return executed(_existing(execution), env)
        case "busted":
            gone = _existing(execution)
            return r.BustedReport(**head, exec_id=gone.exec_id, revision=gone.revision)
        case "corrected":
            amended = _existing(execution)
            return r.CorrectedReport(
                **head,
                exec_id=amended.exec_id,
                revision=amended.revision,
                quantity=amended.changed_by if delta else amended.quantity,
                price=amended.price,
                delta=delta,
            )
        case _:
            assert_never(moved.word)


def of_history(execution: PaperExecution, env: Env) -> BrokerExecution:
    """An execution as the list has it, and of an order in several symbols as that of a leg."""
    report, leg = listed(execution, env), leg_of(execution)
    if leg is not None:
        report = msgspec.structs.replace(
            report, cl_ord_id=leg.cl_ord_id, version=leg.version, broker_order_id=leg.broker_order_id
        )
    symbol = execution.order.terms.symbol
    return BrokerExecution(cursor=execution.cursor, report=report, symbol=symbol, snapshot=leg)


def listed(execution: PaperExecution, env: Env) -> r.ExecutedReport | r.BustedReport:
    """An execution as the list has it: its latest revision, one that was taken back too."""
    if execution.quantity:
        return executed(execution, env)
    order = execution.order
    return r.BustedReport(
        cl_ord_id=order.cl_ord_id,
        version=_version(order, env),
        broker_order_id=order.id,
        broker_at=execution.at,
        exec_id=execution.exec_id,
        revision=execution.revision,
    )


def executed(execution: PaperExecution, env: Env) -> r.ExecutedReport:
    """An execution as it stands now, its latest revision."""
    order = execution.order
    return r.ExecutedReport(
        cl_ord_id=order.cl_ord_id,
        version=_version(order, env),
        broker_order_id=order.id,
        broker_at=execution.at,
        exec_id=execution.exec_id,
        revision=execution.revision,
        quantity=execution.quantity,
        price=execution.price,
        fee=execution.fee,
        cum_qty=order.cum_qty if order.replaces is None else None,
    )


def _version(order: PaperOrder, env: Env) -> int:
    parsed = parse_cl_ord_id(env, order.cl_ord_id)
    return 0 if parsed is None else parsed[1]


def _existing(execution: PaperExecution | None) -> PaperExecution:
    if execution is None:
        raise ValueError("an execution is told without the execution")
    return execution
