"""Asks for the cancel of everything open in an account, with a result for each order.

Groups are canceled with their orders, so that none of them places another. A flatten is left alone:
it cancels everything itself, and closes what is held only afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.contingent.events import GroupCancelRequested
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.terms import GroupKind
from ordergate.core.faults import Fault
from ordergate.core.idempotency import Receipt
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.commands import CancelOrder
from ordergate.core.orders.decide import decide_cancel
from ordergate.core.orders.events import CancelRequested
from ordergate.core.orders.order import Order
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts.lane import Recorded
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.answering.answers import CancelAllAnswer, CancelResult
from ordergate.engine.answering.envelopes import Request
from ordergate.engine.answering.misuse import misused
from ordergate.telemetry.log import logger

log = logger("cancels")

CANCEL_REQUESTED: Final = "cancel-requested"
EVENTS_PER_UNIT_MAX: Final = 200

Cancel = CancelRequested | GroupCancelRequested


async def ask_all(
    seat: Seat, request: Request, *, at: datetime, symbol: Symbol | None, within_s: float
) -> CancelAllAnswer | Refusal:
    """The whole of it, durable, under a key that has bought nothing yet."""
    events, results = decide_all(seat, actor=request.actor, at=at, symbol=symbol)
    receipt = Receipt(
        scope=request.scope,
        fingerprint=request.fingerprint,
        account=seat.lane.account,
        order=None,
        status=207,
        body=msgspec.json.encode(results).decode(),
        at=at,
    )
    try:
        recorded = record_all(seat, events, at=at, correlation=request.correlation, receipt=receipt)
        await until_durable(recorded, within_s)
    except (Fault, TimeoutError) as fault:
        if (no := await misused(seat.lane, request, fault)) is not None:
            return no
        log.error("cancel_all.unrecorded", account=seat.lane.account, why=str(fault))
        return Refusal(Code.UNAVAILABLE, "not known to be durable; ask again with this key")
    return CancelAllAnswer(results=results)


def decide_all(
    seat: Seat, *, actor: str, at: datetime, symbol: Symbol | None = None
) -> tuple[list[Cancel], tuple[CancelResult, ...]]:
    """The cancels to ask for, and what to answer about each open order."""
    return decide_each(
        seat,
        actor=actor,
        at=at,
        orders=lambda order: _is_in(seat, symbol, order.terms.symbol),
        groups=lambda group: _is_in(seat, symbol, group.terms.symbol),
    )


def refuse_nothing(
    seat: Seat, symbol: Symbol | None, instruments: Mapping[Symbol, Instrument]
) -> Refusal | None:
    """Of a symbol that is neither listed nor open here: a misspelt one would only look like safety."""
    books = seat.lane.books
    if symbol is None or books.present_name(symbol) in instruments:
        return None
    groups = (group.terms.symbol for group in books.groups.active.values())
    if symbol in groups or any(order.terms.symbol == symbol for order in books.open_orders()):
        return None
    return Refusal(Code.UNKNOWN_INSTRUMENT, f"{symbol} is not listed here, and nothing is open in it")


def _is_in(seat: Seat, wanted: Symbol | None, symbol: Symbol | None) -> bool:
    """By any name: what was placed before an instrument was renamed is open in it all the same."""
    return wanted is None or (symbol is not None and wanted in seat.lane.books.names_of(symbol))


def decide_each(
    seat: Seat,
    *,
    actor: str,
    at: datetime,
    orders: Callable[[Order], bool],
    groups: Callable[[Group], bool],
) -> tuple[list[Cancel], tuple[CancelResult, ...]]:
    """The same of the orders and groups that are wanted."""
    events: list[Cancel] = [
        GroupCancelRequested(account=seat.lane.account, at=at, group_id=group.id, actor=actor)
        for group in seat.lane.books.groups.guarding(at)
        if not group.cancel_requested and group.terms.kind is not GroupKind.FLATTEN and groups(group)
    ]
    results: list[CancelResult] = []
    for order in seat.lane.books.open_orders():
        if not orders(order):
            continue
        decided = decide_cancel(order, CancelOrder(order_id=order.id, actor=actor, asked_at=at))
        if isinstance(decided, Refusal):
            results.append(CancelResult(order_id=order.id, code=decided.code))
            continue
        events.append(decided)
        results.append(CancelResult(order_id=order.id, code=CANCEL_REQUESTED))
    return events, tuple(results)


def record_all(
    seat: Seat,
    events: Sequence[Cancel],
    *,
    at: datetime,
    correlation: str,
    receipt: Receipt | None = None,
) -> list[Recorded]:
    """Write the cancels down in units of a bounded size; each unit's commit starts its cancels.

    The receipt goes with the last unit. Raises Fault; what was recorded before it stands.
    """
    units = [
        events[start : start + EVENTS_PER_UNIT_MAX] for start in range(0, len(events), EVENTS_PER_UNIT_MAX)
    ] or [()]
    recorded = []
    for number, unit in enumerate(units, start=1):
        last = receipt if number == len(units) else None
        recorded.append(seat.lane.record(unit, correlation=correlation, receipt=last))
        for event in unit:
            if isinstance(event, CancelRequested):
                seat.buckets.cancel_sent(at)
    return recorded


async def until_durable(recorded: Sequence[Recorded], timeout_s: float) -> None:
    """Raises Fault when one of them failed, TimeoutError when it takes too long."""
    futures = [one.committed for one in recorded]
    _, waiting = await asyncio.wait(futures, timeout=timeout_s)
    if waiting:
        raise TimeoutError("the commit takes too long")
    for future in futures:
        future.result()
