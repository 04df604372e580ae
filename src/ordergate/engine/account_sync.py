"""Opens an account from the broker's figures, and compares the two sets of books ever after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts import breaks
from ordergate.core.accounts.events import (
    AccountOpened,
    AnyAccountEvent,
    BreakOpened,
    BreakResolved,
    PositionAdjusted,
)
from ordergate.core.accounts.positions import Position
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.events import AnyOrderEvent, BookedExecution, OrderAdopted
from ordergate.core.orders.reports import ExecutedReport, OrderSnapshot
from ordergate.engine.ingest import adopted_order_id
from ordergate.engine.lanes import Seat
from ordergate.ports.broker import BrokerAccount, BrokerUnavailable, Holding
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("account_sync")

STANDING_TRIES_MAX: Final = 5

Booked = dict[str, list[BookedExecution]]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The broker's side of an account at one moment, in which nothing was traded.

    `booked` are the executions of `orders`, by the broker's order id; the positions contain them.
    """

    cursor: str | None
    figures: BrokerAccount
    positions: Mapping[Symbol, Holding]
    orders: list[OrderSnapshot]
    booked: Booked


class AccountSync:
    def __init__(self, clock: Clock, instruments: Mapping[Symbol, object]) -> None:
        self._clock = clock
        self._instruments = instruments

    async def figures(self, seat: Seat) -> BrokerAccount:
        """The broker's own figures, remembered for risk. Raises BrokerUnavailable."""
        seat.at_broker = await seat.broker.account()
        seat.at_broker_since = self._clock.now()
        return seat.at_broker

    async def open(self, seat: Seat) -> None:
        """The account's first event: cash, positions and executions as they stand at the broker.

        Raises BrokerUnavailable or Fault; nothing is written then.
        """
        standing = await self._standing(seat)
        theirs = standing.figures
        now = self._clock.now()
        events: list[AnyAccountEvent | AnyOrderEvent] = [
            AccountOpened(
                account=seat.lane.account,
                at=now,
                broker=seat.broker.capabilities.name,
                broker_account=theirs.fingerprint,
                currency=theirs.currency,
                cash=theirs.cash,
                cursor=standing.cursor,
            )
        ]
        events.extend(
            PositionAdjusted(
                account=seat.lane.account,
                at=now,
                symbol=symbol,
                quantity=holding.quantity,
                price=holding.avg_px,
                why="held at the broker when the account was opened",
            )
            for symbol, holding in sorted(standing.positions.items())
            if holding.quantity != ZERO and symbol in self._instruments
        )
        events.extend(
            OrderAdopted(
                order_id=adopted_order_id(seat.broker.env, seen.broker_order_id),
                at=now,
                terms=seen.terms,
                broker_order_id=seen.broker_order_id,
                broker_client_order_id=seen.cl_ord_id,
                executions=tuple(standing.booked[seen.broker_order_id]),
            )
            for seen in standing.orders
            if seen.broker_order_id in standing.booked and seen.terms.symbol in self._instruments
        )
        await seat.lane.record(events, correlation="account.open").committed
        log.info("account.opened", account=seat.lane.account, cash=theirs.cash)

    async def _standing(self, seat: Seat) -> Standing:
        """Where the account stands. A fill between two of the questions would be counted twice or never."""
        for _ in range(STANDING_TRIES_MAX):
            orders = await seat.broker.open_orders()
            cursor, booked = await _history(seat, {seen.broker_order_id for seen in orders}, after=None)
            figures = await self.figures(seat)
            positions = await seat.broker.positions()
            later, _ = await _history(seat, frozenset(), after=cursor)
            if later == cursor and _filled(await seat.broker.open_orders()) == _filled(orders):
                return Standing(
                    cursor=cursor, figures=figures, positions=positions, orders=orders, booked=booked
                )
        raise BrokerUnavailable("the account traded whenever it was read")

    async def compare(self, seat: Seat) -> list[breaks.Difference] | None:
        """Where positions, cash or identity differ now. Raises BrokerUnavailable.

        None when the account moved meanwhile: then there was no like with like to compare.
        """
        head = seat.lane.head
        theirs = await self.figures(seat)
        positions = await seat.broker.positions()
        theirs_held = {symbol: holding.quantity for symbol, holding in positions.items()}
        account = seat.lane.books.account
        if account is None or seat.lane.head != head:
            return None
        found = breaks.position_differences(_held(account.positions), theirs_held)
        cash = breaks.cash_difference(account.currency, account.cash, theirs.cash)
        if cash is not None:
            found.append(cash)
        if theirs.fingerprint != account.broker_account:
            found.append(
                breaks.Difference(
                    nature=breaks.Nature.ENVIRONMENT,
                    subject=seat.lane.account,
                    ours=account.broker_account,
                    theirs=theirs.fingerprint,
                )
            )
        return found

    def note(self, seat: Seat, differences: list[breaks.Difference]) -> None:
        """Open a break for each new difference, and resolve the breaks whose difference is gone."""
        account = seat.lane.books.account
        if account is None:
            return
        now = self._clock.now()
        current = {_break_id(seat, difference): difference for difference in differences}
        events: list[AnyAccountEvent] = [
            BreakOpened(
                account=account.id,
                at=now,
                break_id=break_id,
                nature=item.nature,
                subject=item.subject,
                ours=item.ours,
                theirs=item.theirs,
            )
            for break_id, item in current.items()
            if break_id not in account.breaks
        ]
        events.extend(
            BreakResolved(account=account.id, at=now, break_id=break_id, how="the sides agree")
            for break_id in account.breaks
            if break_id not in current
        )
        if events:
            seat.lane.record(events, correlation="reconciliation")


async def _history(seat: Seat, orders: AbstractSet[str], *, after: str | None) -> tuple[str | None, Booked]:
    """How far the broker's list of executions goes, and those of these orders."""
    cursor, booked = after, Booked()
    async for execution in seat.broker.executions(after=after):
        cursor, report = execution.cursor, execution.report
        if isinstance(report, ExecutedReport) and report.broker_order_id in orders:
            booked.setdefault(report.broker_order_id, []).append(
                BookedExecution(
                    exec_id=report.exec_id,
                    revision=report.revision,
                    quantity=report.quantity,
                    price=report.price,
                )
            )
    return cursor, booked


def _filled(orders: list[OrderSnapshot]) -> dict[str, Decimal]:
    return {seen.broker_order_id: seen.cum_qty for seen in orders}


def _held(positions: Mapping[Symbol, Position]) -> dict[Symbol, Decimal]:
    return {symbol: position.quantity for symbol, position in positions.items() if position.quantity != ZERO}


def _break_id(seat: Seat, item: breaks.Difference) -> str:
    """The same difference is the same break, however often it is seen."""
    whole = f"{seat.lane.account}\0{item.nature}\0{item.subject}\0{item.ours}\0{item.theirs}"
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
