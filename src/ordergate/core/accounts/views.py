"""How an account and its orders are shown: on the API, on the stream, in the read tables.

One shape for all three. Amounts are plain decimal strings, times are RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import Break, Step
from ordergate.core.accounts.positions import Position
from ordergate.core.instruments import Instrument
from ordergate.core.money import text
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order


class OrderView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    id: str
    account_id: str
    client_order_id: str | None
    symbol: str
    side: str
    type: str
    converted_from: str | None
    time_in_force: str
    quantity: str
    limit_price: str | None
    stop_price: str | None
    extended_hours: bool
    strategy: str | None
    strategy_version: str | None
    user: str | None
    venue: str | None
    status: str
    cum_qty: str
    leaves_qty: str
    avg_px: str | None
    version: int
    revision: int
    broker_order_id: str | None
    reason: str | None
    failed_controls: tuple[e.FailedControl, ...]
    noted_controls: tuple[e.FailedControl, ...]
    cancel_requested: bool
    waits_for: tuple[str, ...]
    held_until: datetime | None
    external: bool
    overfilled: bool
    quarantined: bool
    accepted_at: datetime
    acknowledged_at: datetime | None
    unknown_since: datetime | None
    updated_at: datetime
    final_at: datetime | None


class ExecutionView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    exec_id: str
    revision: int
    order_id: str
    account_id: str
    symbol: str
    side: str
    quantity: str
    price: str
    fee: str
    status: str
    broker_order_id: str | None
    broker_at: datetime | None
    at: datetime


class PositionView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`realised_pnl` is in the instrument's currency, the multiplier included."""

    account_id: str
    symbol: str
    quantity: str
    avg_px: str | None
    cost: str
    realised_pnl: str
    currency: str


class BalanceView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    account_id: str
    currency: str
    cash: str


class BreakStepView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    at: datetime
    what: str
    actor: str
    note: str


class BreakView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`rule` healed it, or `action` resolved it, with a `reason`; all three are None while it is open."""

    id: str
    account_id: str
    nature: str
    severity: str
    state: str
    subject: str
    ours: str
    theirs: str
    detail: str
    owner: str | None
    allowed_actions: tuple[str, ...]
    rule: str | None
    action: str | None
    reason: str | None
    opened_at: datetime
    updated_at: datetime
    settled_at: datetime | None
    history: tuple[BreakStepView, ...]


def order_view(order: Order) -> OrderView:
    terms = order.terms
    average = order.avg_px
    return OrderView(
        id=order.id,
        account_id=terms.account,
        client_order_id=terms.client_order_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        converted_from=order.converted_from,
        time_in_force=terms.time_in_force,
        quantity=text(terms.quantity),
        limit_price=None if terms.limit_price is None else text(terms.limit_price),
        stop_price=None if terms.stop_price is None else text(terms.stop_price),
        extended_hours=terms.extended_hours,
        strategy=terms.strategy,
        strategy_version=terms.strategy_version,
        user=terms.user,
        venue=terms.venue,
        status=order.status,
        cum_qty=text(order.cum_qty),
        leaves_qty=text(order.leaves_qty),
        avg_px=None if average is None else text(average),
        version=order.version,
        revision=order.revision,
        broker_order_id=order.broker_order_id,
        reason=order.reason,
        failed_controls=order.failed,
        noted_controls=order.noted,
        cancel_requested=order.cancel_requested,
        waits_for=order.waits_for,
        held_until=order.held_until,
        external=order.external,
        overfilled=order.is_overfilled,
        quarantined=order.quarantined_at is not None,
        accepted_at=order.accepted_at,
        acknowledged_at=order.acknowledged_at,
        unknown_since=order.unknown_since,
        updated_at=order.updated_at,
        final_at=order.final_at,
    )


def execution_view(order: Order, exec_id: str, event: e.AnyOrderEvent) -> ExecutionView:
    """The execution as it stands in `order`, after `event` touched it."""
    execution = order.executions[exec_id]
    return ExecutionView(
        exec_id=exec_id,
        revision=execution.revision,
        order_id=order.id,
        account_id=order.terms.account,
        symbol=order.terms.symbol,
        side=order.terms.side,
        quantity=text(execution.quantity),
        price=text(execution.price),
        fee=text(execution.fee),
        status=_execution_status(event),
        broker_order_id=execution.broker_order_id or order.broker_order_id,
        broker_at=execution.at,
        at=event.at,
    )


def _execution_status(event: e.AnyOrderEvent) -> str:
    if isinstance(event, e.ExecutionBusted):
        return "busted"
    return "corrected" if isinstance(event, e.ExecutionCorrected) else "live"


def position_view(account: Account, position: Position, instrument: Instrument) -> PositionView:
    average = position.avg_px
    return PositionView(
        account_id=account.id,
        symbol=position.symbol,
        quantity=text(position.quantity),
        avg_px=None if average is None else text(average),
        cost=text(position.cost * instrument.multiplier),
        realised_pnl=text(position.realised * instrument.multiplier),
        currency=instrument.currency,
    )


def balance_views(account: Account) -> tuple[BalanceView, ...]:
    """The account's own currency first."""
    cash = ((account.currency, account.cash), *account.foreign_cash.items())
    return tuple(
        BalanceView(account_id=account.id, currency=currency, cash=text(amount)) for currency, amount in cash
    )


def break_view(item: Break) -> BreakView:
    return BreakView(
        id=item.id,
        account_id=item.account,
        nature=item.nature,
        severity=item.severity,
        state=item.state,
        subject=item.subject,
        ours=item.ours,
        theirs=item.theirs,
        detail=item.detail,
        owner=item.owner,
        allowed_actions=item.allowed_actions,
        rule=item.rule,
        action=item.action,
        reason=item.reason,
        opened_at=item.opened_at,
        updated_at=item.updated_at,
        settled_at=item.settled_at,
        history=tuple(_step_view(step) for step in item.history),
    )


def _step_view(step: Step) -> BreakStepView:
    return BreakStepView(at=step.at, what=step.what, actor=step.actor, note=step.note)
