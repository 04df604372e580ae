"""Opens an account from the broker's figures, and compares the two sets of books ever after."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts import breaks
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import (
    AccountOpened,
    AnyAccountEvent,
    PositionAdjusted,
)
from ordergate.core.accounts.positions import Position
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.events import AnyOrderEvent, BookedExecution, OrderAdopted
from ordergate.core.orders.reports import ExecutedReport, OrderSnapshot
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.ingest import adopted_order_id
from ordergate.ports.broker import BrokerAccount, BrokerUnavailable, Holding
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("account_sync")

STANDING_TRIES_MAX: Final = 5
AVERAGES_ROUNDED_BY: Final = Decimal("0.000001")

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


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """`natures` were compared whole, save the keys in `moving`.

    `mispriced` are positions of which both sides hold as much, had for another average price. That is no
    difference: brokers average by rules of their own. It may come of an execution corrected unheard.
    """

    differences: tuple[breaks.Difference, ...] = ()
    natures: frozenset[breaks.Nature] = frozenset()
    moving: frozenset[tuple[str, str]] = frozenset()
    mispriced: frozenset[Symbol] = frozenset()


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
        require_expected(seat.expected, theirs.fingerprint)
        now = self._clock.now()
        events: list[AnyAccountEvent | AnyOrderEvent] = [
            AccountOpened(
                account=seat.lane.account,
                at=now,
                broker=seat.broker.capabilities.name,
                broker_account=theirs.fingerprint,
                currency=theirs.currency,
                cash=theirs.cash,
                foreign_cash={at: cash for at, cash in (theirs.foreign_cash or {}).items() if cash != ZERO},
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
                order_id=adopted_order_id(seat.broker.env, seat.lane.account, seen, now),
                at=now,
                terms=seen.terms,
                broker_order_id=seen.broker_order_id,
                broker_client_order_id=seen.cl_ord_id,
                executions=tuple(standing.booked[seen.broker_order_id]),
                inexpressible=seen.inexpressible,
                unsized=seen.unsized,
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

    async def compare(self, seat: Seat) -> Compared:
        """Where positions and cash differ now. Raises BrokerUnavailable.

        A position that moved while the broker was asked is compared with nothing, and so is cash
        when anything moved: like with like, or not at all.
        """
        before = seat.lane.books.account
        theirs = await self.figures(seat)
        positions = await seat.broker.positions()
        after = seat.lane.books.account
        if before is None or after is None:
            return Compared()
        moving = _moved(before.positions, after.positions)
        theirs_held = {symbol: holding.quantity for symbol, holding in positions.items()}
        found = [
            item
            for item in breaks.position_differences(
                _held(after.positions), theirs_held, frozenset(map(Symbol, self._instruments))
            )
            if item.subject not in moving
        ]
        still = not moving and before.cash == after.cash and before.foreign_cash == after.foreign_cash
        return Compared(
            differences=(*found, *(_cash_differences(after, theirs) if still else ())),
            natures=_POSITIONS | {breaks.Nature.CASH} if still else _POSITIONS,
            moving=frozenset((nature, symbol) for nature in _POSITIONS for symbol in moving)
            | _untold(after, theirs),
            mispriced=_mispriced(after.positions, positions) - moving,
        )

    async def wrong_account(self, seat: Seat) -> breaks.Difference | None:
        """The difference when the session is logged in to another account than ours.

        Raises BrokerUnavailable.
        """
        theirs = await self.figures(seat)
        account = seat.lane.books.account
        if account is None or theirs.fingerprint == account.broker_account:
            return None
        return breaks.Difference(
            nature=breaks.Nature.ENVIRONMENT,
            subject=account.id,
            ours=account.broker_account,
            theirs=theirs.fingerprint,
        )


def _cash_differences(account: Account, theirs: BrokerAccount) -> list[breaks.Difference]:
    """A broker that tells one currency alone is compared in that one."""
    if theirs.foreign_cash is None:
        ours = {theirs.currency: account.cash_in(theirs.currency)}
        return breaks.cash_differences(ours, {theirs.currency: theirs.cash})
    ours = {**account.foreign_cash, account.currency: account.cash}
    return breaks.cash_differences(ours, {**theirs.foreign_cash, theirs.currency: theirs.cash})


def _untold(account: Account, theirs: BrokerAccount) -> frozenset[tuple[str, str]]:
    """Breaks of cash of which a broker that tells one currency alone says nothing, neither yes nor no."""
    if theirs.foreign_cash is not None:
        return frozenset()
    return frozenset(
        item.key
        for item in account.breaks.values()
        if item.nature is breaks.Nature.CASH and item.subject != theirs.currency
    )


def require_expected(expected: str | None, found: str) -> None:
    """Raises BrokerUnavailable where the session is logged in to another account than was registered."""
    if expected not in (None, found):
        raise BrokerUnavailable(f"the session is logged in to {found}, not to {expected}")


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


_POSITIONS: Final = frozenset({breaks.Nature.POSITION, breaks.Nature.UNLISTED_SYMBOL})


def _held(positions: Mapping[Symbol, Position]) -> dict[Symbol, Decimal]:
    return {symbol: position.quantity for symbol, position in positions.items() if position.quantity != ZERO}


def _mispriced(ours: Mapping[Symbol, Position], theirs: Mapping[Symbol, Holding]) -> frozenset[Symbol]:
    held = [(symbol, ours[symbol], theirs[symbol]) for symbol in ours.keys() & theirs.keys()]
    return frozenset(
        symbol
        for symbol, mine, its in held
        if mine.quantity == its.quantity
        and mine.avg_px is not None
        and not _is_close(mine.avg_px, its.avg_px)
    )


def _is_close(one: Decimal, other: Decimal) -> bool:
    """But for what rounding an average leaves."""
    return abs(one - other) <= abs(other) * AVERAGES_ROUNDED_BY


def _moved(before: Mapping[Symbol, Position], after: Mapping[Symbol, Position]) -> frozenset[Symbol]:
    """Positions are values: one that is the same object has not moved."""
    return frozenset(symbol for symbol in {*before, *after} if before.get(symbol) is not after.get(symbol))
