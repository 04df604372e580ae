"""Whether a person may settle a break that way, and the events that do it.

A figure is adopted only as it was shown: when the sides differ in another way by now the answer is
no, and the person looks again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from ordergate.core.accounts import events as a
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import Action, Break, Nature
from ordergate.core.accounts.commands import AssignBreak, Facts, ResolveBreak
from ordergate.core.accounts.positions import Position, traded
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO, text
from ordergate.core.orders.events import OrderCanceled
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal

Settling = list[a.AnyAccountEvent | OrderCanceled]


def decide_assign(account: Account, asked: AssignBreak) -> a.BreakAssigned | Refusal:
    item = _open_break(account, asked.break_id)
    if isinstance(item, Refusal):
        return item
    return a.BreakAssigned(
        account=account.id,
        at=asked.asked_at,
        break_id=item.id,
        owner=asked.owner,
        actor=asked.actor,
        note=asked.note,
    )


def decide_resolve(account: Account, asked: ResolveBreak, facts: Facts) -> Settling | Refusal:
    """Everything that settles the break, to be written as one.

    A cancel at the broker settles nothing yet: the order may fill first, and the broker may refuse.
    """
    item = _open_break(account, asked.break_id)
    if isinstance(item, Refusal):
        return item
    if asked.action not in item.allowed_actions:
        allowed = ", ".join(item.allowed_actions) or "none"
        return Refusal(Code.ACTION_NOT_ALLOWED, f"a break of nature {item.nature} allows: {allowed}")
    if asked.action is Action.CANCEL_ORDER:
        canceling = _canceling(account, item, asked, facts)
        return canceling if isinstance(canceling, Refusal) else [canceling]
    done = _done(account, item, asked, facts)
    if isinstance(done, Refusal):
        return done
    resolved = a.BreakResolved(
        account=account.id,
        at=asked.asked_at,
        break_id=item.id,
        action=asked.action,
        actor=asked.actor,
        reason=asked.reason,
    )
    return [*done, resolved]


def _open_break(account: Account, break_id: str) -> Break | Refusal:
    item = account.breaks.get(break_id)
    if item is None:
        return Refusal(Code.NOT_FOUND, f"there is no open break {break_id}")
    if not item.is_open:
        return Refusal(Code.BREAK_SETTLED, f"{break_id} was resolved: {item.action}")
    return item


def _done(account: Account, item: Break, asked: ResolveBreak, facts: Facts) -> Settling | Refusal:
    match asked.action:
        case Action.DISMISS:
            return []
        case Action.CONFIRM:
            if facts.fingerprint != account.broker_account:
                return _changed(f"the session is logged in to {facts.fingerprint or 'an unknown account'}")
            return []
        case Action.CANCEL_ORDER:
            return []
        case Action.CLOSE_ORDER:
            return _closed(item, asked, facts)
        case Action.ADOPT:
            return _adopted(account, item, asked, facts)
        case _:
            assert_never(asked.action)


def _closed(item: Break, asked: ResolveBreak, facts: Facts) -> Settling | Refusal:
    order = facts.order
    if order is None or order.is_final:
        return _changed("the order has ended meanwhile")
    if not facts.broker_denies:
        return _changed("the broker shows the order, or could not be asked")
    evidence = f"declared absent by {asked.actor}: {asked.reason}; break {item.id}, {item.detail}"
    return [OrderCanceled(order_id=order.id, at=asked.asked_at, evidence=evidence)]


def _canceling(
    account: Account, item: Break, asked: ResolveBreak, facts: Facts
) -> a.BreakCancelAsked | Refusal:
    if facts.order is None or not facts.order.is_final:
        return _changed("the order works with us, too, by now: cancel it there")
    if facts.shown is None or not facts.shown.status.is_alive:
        return _changed("the broker holds the order open no more")
    return a.BreakCancelAsked(
        account=account.id,
        at=asked.asked_at,
        break_id=item.id,
        order_id=facts.order.id,
        broker_order_id=facts.shown.broker_order_id,
        actor=asked.actor,
        reason=asked.reason,
    )


def _adopted(account: Account, item: Break, asked: ResolveBreak, facts: Facts) -> Settling | Refusal:
    """The broker's figure, when the sides still differ by as much as the break says."""
    if facts.theirs is None:
        return _changed("what the broker holds could not be compared now")
    cash = item.nature is Nature.CASH
    held = account.cash_in(item.subject) if cash else account.position(Symbol(item.subject)).quantity
    missing = facts.theirs - held
    if missing == ZERO or text(missing) != item.gap:
        return _changed(f"ours is {text(held)} and theirs {text(facts.theirs)} by now")
    why = f"break {item.id}, {asked.actor}: {asked.reason}"
    if cash:
        return [
            a.CashAdjusted(
                account=account.id, at=asked.asked_at, amount=missing, why=why, currency=item.subject
            )
        ]
    symbol = Symbol(item.subject)
    return [
        a.PositionAdjusted(
            account=account.id, at=asked.asked_at, symbol=symbol, quantity=quantity, price=price, why=why
        )
        for quantity, price in _adjustments(account.position(symbol), missing, facts)
    ]


def _adjustments(ours: Position, missing: Decimal, facts: Facts) -> list[tuple[Decimal, Decimal]]:
    """Quantities and prices that make our position the broker's, had for its price.

    Nothing is gained or lost. Where one step does not come to that, as after a split, all of ours goes out
    at what it cost, and theirs comes in.
    """
    cost = ours.avg_px or ZERO
    if not facts.theirs or facts.price is None:
        return [(missing, cost)]
    side = Side.BUY if missing > ZERO else Side.SELL
    after = traded(ours, side, abs(missing), facts.price)
    if not ours.quantity or (after.avg_px, after.realised) == (facts.price, ours.realised):
        return [(missing, facts.price)]
    return [(-ours.quantity, cost), (facts.theirs, facts.price)]


def _changed(detail: str) -> Refusal:
    return Refusal(Code.BREAK_CHANGED, detail)
