"""What a flatten does next: cancel what is open, and then close what is held, symbol by symbol.

A position is closed for exactly what is held, in whole lots, once every order in its symbol is proven to
have ended: what could still fill has filled by then or never will, so it is closed and not turned over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from ordergate.core.contingent.events import End
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.steps import Finish, Release, Step, Wait, recall_all
from ordergate.core.contingent.tally import Situation, are_enough, has_passed, pause
from ordergate.core.contingent.terms import Role, closing_terms
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Side


def next_steps(group: Group, seen: Situation) -> tuple[Step, ...]:
    own = _own_open(group, seen)
    if not group.is_active:
        return recall_all(group, [order for order in own if _is_unwanted(group, order, seen)], seen)
    if group.cancel_requested:
        return recall_all(group, own, seen) if own else (Finish(End.CANCELED),)
    symbols = sorted({_symbol(order, seen) for order in (*seen.others, *own)} | {*_held(seen)})
    steps = tuple(step for symbol in symbols for step in _in_symbol(group, symbol, seen))
    if steps or seen.others or own:
        return steps
    if all(_is_given_up(group, symbol, seen) for symbol in _held(seen)):
        return (Finish(End.LEG_REFUSED if _held(seen) else End.COMPLETED),)
    return ()


def _in_symbol(group: Group, symbol: Symbol, seen: Situation) -> Iterator[Step]:
    others = [order for order in seen.others if _symbol(order, seen) == symbol]
    own = [order for order in _own_open(group, seen) if _symbol(order, seen) == symbol]
    position = seen.held.get(symbol, ZERO)
    yield from recall_all(group, others + [one for one in own if _would_turn_over(one, position)], seen)
    if others or own or position == ZERO or not seen.may_place or symbol in seen.in_doubt:
        return
    if _is_given_up(group, symbol, seen):
        return
    failed = _refused(group, symbol, seen)
    last = _last_refused_at(group, symbol, seen) if failed else None
    if last is not None and not has_passed(last, pause(failed), seen.now):
        yield Wait(last + pause(failed))
        return
    side = Side.SELL if position > ZERO else Side.BUY
    terms = closing_terms(group.terms, symbol, side, _whole_lots(abs(position), seen.lots.get(symbol)))
    yield Release(Role.CLOSE, group.next_order_id(Role.CLOSE, symbol), terms)


def _would_turn_over(order: Order, position: Decimal) -> bool:
    """Late news can make a position smaller than the order that closes it."""
    closes = position * order.terms.side.sign < ZERO
    return not closes or order.leaves_qty > abs(position)


def _is_unwanted(group: Group, order: Order, seen: Situation) -> bool:
    """Of one that came back to life when the flatten was over: it may close what is held, and no more."""
    return group.cancel_requested or _would_turn_over(order, seen.held.get(_symbol(order, seen), ZERO))


def _held(seen: Situation) -> list[Symbol]:
    return [Symbol(symbol) for symbol, quantity in seen.held.items() if quantity != ZERO]


def _symbol(order: Order, seen: Situation) -> Symbol:
    """By its present name: under another it would not be seen beside what is held, and could still fill."""
    return seen.name_of(order.terms.symbol)


def _own_open(group: Group, seen: Situation) -> list[Order]:
    own = (seen.orders.get(one.order_id) for one in group.released)
    return [order for order in own if order is not None and not order.is_final]


def _attempts(group: Group, symbol: Symbol, seen: Situation) -> list[Order]:
    """The orders that were to close the symbol, latest first."""
    own = (
        seen.orders.get(one.order_id)
        for one in reversed(group.released)
        if seen.name_of(one.symbol) == symbol
    )
    return [order for order in own if order is not None]


def _whole_lots(held: Decimal, lot: Decimal | None) -> Decimal:
    """Without the part of a lot that nothing here can trade; less than one lot is left to risk to refuse."""
    whole = held if lot is None else held - held % lot
    return whole or held


def _is_given_up(group: Group, symbol: Symbol, seen: Situation) -> bool:
    """What could not be closed in all its tries, or has nothing that it could be tried with."""
    refused = _refused(group, symbol, seen)
    return symbol in seen.unlisted or are_enough(_attempts(group, symbol, seen)[:refused])


def _refused(group: Group, symbol: Symbol, seen: Situation) -> int:
    count = 0
    for order in _attempts(group, symbol, seen):
        if order.status is Status.FILLED or order.cum_qty or not order.is_final:
            break
        count += 1
    return count


def _last_refused_at(group: Group, symbol: Symbol, seen: Situation) -> datetime:
    return _attempts(group, symbol, seen)[0].updated_at
