"""An account's books as folded from its events.

Securities and coins are paid for when traded; a future moves cash by its realised profit
only. A bust or a correction is booked in the execution's own place, so the books come out as if
it had never been, or had always been so, whenever the news of it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts import alarms, breaks
from ordergate.core.accounts import events as a
from ordergate.core.accounts.breaks import Break
from ordergate.core.accounts.positions import NO_POSITIONS, Position, amended, traded
from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Execution, Order
from ordergate.core.orders.terms import Side

_replace = msgspec.structs.replace


OVERRIDES_KEPT_MAX: Final = 1_000
"""Longer than any of them lives."""


class Account(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Cash is in `currency`, and that in others in `foreign_cash`. `breaks` are
    the open and the dismissed ones, by id.

    `cursor` is how far the broker's list of executions has been read, `opening_cursor` how far
    they are in the figures that the account was opened with. `high_water` is the highest profit of a
    trading day, `loss_locks` the loss limits that were reached, by their reasons.
    """

    id: AccountId
    broker: str
    broker_account: str
    currency: str
    cash: Decimal
    cursor: str | None = None
    opening_cursor: str | None = None
    positions: Mapping[Symbol, Position] = NO_POSITIONS
    breaks: Mapping[str, Break] = {}
    alarms: alarms.Alarms = alarms.NO_ALARMS
    overrides_used: tuple[str, ...] = ()
    renamed: frozenset[Symbol] = frozenset()
    high_water: a.HighWaterRaised | None = None
    loss_locks: Mapping[str, a.LossLimitReached] = {}
    foreign_cash: Mapping[str, Decimal] = {}

    def cash_in(self, currency: str) -> Decimal:
        return self.cash if currency == self.currency else self.foreign_cash.get(currency, ZERO)

    def position(self, symbol: Symbol) -> Position:
        return self.positions.get(symbol) or Position(symbol=symbol)


def opened(event: a.AccountOpened) -> Account:
    return Account(
        id=event.account,
        broker=event.broker,
        broker_account=event.broker_account,
        currency=event.currency,
        cash=event.cash,
        foreign_cash=event.foreign_cash,
        cursor=event.cursor,
        opening_cursor=event.cursor,
    )


def evolve(account: Account, event: a.AnyAccountEvent) -> Account:
    """The account after an event of its own."""
    match event:
        case a.AccountOpened():
            return opened(event)
        case a.AccountSynced():
            return _replace(account, cursor=event.cursor)
        case a.CashAdjusted():
            return _adjusted(account, event)
        case a.PositionAdjusted():
            side = Side.BUY if event.quantity > ZERO else Side.SELL
            before = account.position(event.symbol)
            after = traded(before, side, abs(event.quantity), event.price)
            return _replace(account, positions={**account.positions, event.symbol: after})
        case a.SymbolRenamed():
            return _replace(account, renamed=account.renamed | {event.was})
        case a.HighWaterRaised():
            return _replace(account, high_water=event)
        case a.LossLimitReached():
            return _replace(account, loss_locks={**account.loss_locks, event.reason: event})
        case a.AlarmRaised() | a.AlarmCleared():
            return _replace(account, alarms=alarms.evolve(account.alarms, event))
        case a.UseRefused():
            return account  # nothing has happened to it
        case a.OverrideUsed():
            used = (*account.overrides_used, event.override_id)
            return _replace(account, overrides_used=used[-OVERRIDES_KEPT_MAX:])
        case _:
            return _with_break(account, broken(account, event))


def _adjusted(account: Account, event: a.CashAdjusted) -> Account:
    currency = event.currency
    if currency is None or currency == account.currency:
        return _replace(account, cash=account.cash + event.amount)
    foreign = {**account.foreign_cash, currency: account.cash_in(currency) + event.amount}
    return _replace(account, foreign_cash=foreign)


def broken(account: Account, event: a.AnyBreakEvent) -> Break:
    """The break after an event of its own."""
    if isinstance(event, a.BreakOpened):
        return breaks.opened(event)
    known = account.breaks.get(event.break_id)
    if known is None:
        raise InvariantBroken(f"{account.id} has no break {event.break_id}")
    return breaks.evolve(known, event)


def _with_break(account: Account, item: Break) -> Account:
    """A settled break is forgotten, unless it was dismissed: then it is watched."""
    left = {**account.breaks, item.id: item}
    if not (item.is_open or item.is_dismissed):
        del left[item.id]
    return _replace(account, breaks=left)


def book(account: Account, instrument: Instrument, before: Order, event: e.AnyOrderEvent) -> Account:
    """The account after an event of one of its orders; `before` is the order before it."""
    side = before.terms.side
    match event:
        case e.OrderPartiallyFilled() | e.OrderFilled():
            return _trade(
                account, instrument, side, event.quantity, event.price, fee=event.fee, at=event.broker_at
            )
        case e.ExecutionBusted():
            gone = before.executions.get(event.exec_id)
            if gone is None:
                return account  # taken back before it was told
            return _amend(account, instrument, side, gone, quantity=ZERO, price=gone.price)
        case e.ExecutionCorrected():
            gone, at = before.executions[event.exec_id], event.broker_at
            return _amend(account, instrument, side, gone, quantity=event.quantity, price=event.price, at=at)
        case _:
            return account


def _trade(
    account: Account,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    *,
    fee: Decimal = ZERO,
    at: datetime | None = None,
) -> Account:
    if quantity == ZERO:
        return account
    before = account.position(instrument.symbol)
    after = traded(before, side, quantity, price, at)
    if instrument.moves_cash_on_trade:
        moved = -side.sign * quantity * price * instrument.multiplier
    else:
        moved = (after.realised - before.realised) * instrument.multiplier
    return _moved(account, instrument, after, moved, fee)


def _amend(
    account: Account,
    instrument: Instrument,
    side: Side,
    gone: Execution,
    *,
    quantity: Decimal,
    price: Decimal,
    at: datetime | None = None,
) -> Account:
    """As if the execution had always been so; one of long ago is undone by the opposite trade.

    `at` is when it was, where that is told only now.
    """
    before = account.position(instrument.symbol)
    was, now = (gone.quantity, gone.price), (quantity, price)
    after = None if gone.opening else amended(before, side, was, now, was_at=gone.at, at=gone.at or at)
    if after is None:
        undone = _trade(account, instrument, _opposite(side), gone.quantity, gone.price)
        return _trade(undone, instrument, side, quantity, price)
    if instrument.moves_cash_on_trade:
        moved = -side.sign * (quantity * price - gone.quantity * gone.price) * instrument.multiplier
    else:
        moved = (after.realised - before.realised) * instrument.multiplier
    return _moved(account, instrument, after, moved, ZERO)


def _moved(
    account: Account, instrument: Instrument, after: Position, moved: Decimal, fee: Decimal
) -> Account:
    """The position, and the cash in the instrument's own currency; a fee is in the account's."""
    positions, currency = {**account.positions, instrument.symbol: after}, instrument.currency
    if currency == account.currency:
        return _replace(account, cash=account.cash + moved - fee, positions=positions)
    foreign = {**account.foreign_cash, currency: account.cash_in(currency) + moved}
    return _replace(account, cash=account.cash - fee, foreign_cash=foreign, positions=positions)


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
