"""The controls of how an account behaves: it does not trade with itself, and what is new begins small."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from ordergate.core.ids import OrderId
from ordergate.core.money import text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.risk.checks import over
from ordergate.core.risk.holdings import holds, would_hold
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.reducing import only_reduces
from ordergate.core.risk.resting import Quoted
from ordergate.core.risk.view import (
    InputMissing,
    Proposal,
    RiskView,
    dear,
    instrument_limits_in,
    limits_in,
    rate_in,
    reference_in,
)

_HUNDRED: Final = Decimal(100)
WAITED_FOR_MAX: Final = 10


def refuse_self_match(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R21. Never where it could meet a resting order of the same owner, in this account or in another.

    Orders at the market would meet any. A stop waits, and is judged by nothing here. Where the limits
    say that the older order is to go, a new order passes if it can be held until those that it would meet
    are gone: its account's own, no more than a few, and none of a group.
    """
    limits = limits_in(view)
    if not limits.self_match_refused:
        return None
    if not view.rivals:
        raise InputMissing(Reason.CONTROL_ERROR, "the own resting orders are not known")
    terms = proposal.said
    if terms.type.needs_stop_price:
        return None
    own = view.rivals[0] if proposal.may_wait else None
    other = _other(terms.side)
    for resting in view.rivals:
        best = resting.best(view.instrument.symbol, other)
        if best is None or not _meets(terms.side, terms.limit_price, best.price):
            continue
        if resting is own and in_the_way(terms, view):
            continue
        return _matched(best, terms.limit_price, terms.type)
    return None


def in_the_way(terms: Terms, view: RiskView) -> tuple[OrderId, ...]:
    """The own orders that would have to be gone before this one leaves, the oldest first.

    None where there are too many, or one of them belongs to a group.
    """
    limits = view.limits
    if limits is None or not (limits.self_match_refused and limits.self_match_cancels_oldest):
        return ()
    if terms.type.needs_stop_price or not view.rivals:
        return ()
    found = view.rivals[0].up_to(
        view.instrument.symbol, _other(terms.side), terms.limit_price, WAITED_FOR_MAX
    )
    can_go = len(found) <= WAITED_FOR_MAX and view.grouped.isdisjoint(found)
    return tuple(found) if can_go else ()


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _meets(side: Side, price: Decimal | None, rests_at: Decimal) -> bool:
    if price is None:
        return True
    return price >= rests_at if side is Side.BUY else price <= rests_at


def _matched(best: Quoted, price: Decimal | None, kind: OrderType) -> FailedControl:
    return FailedControl(
        control="R21",
        reason=Reason.SELF_MATCH,
        detail=f"the own order {best.order} rests at {text(best.price)}",
        limit=text(best.price),
        value=kind.value if price is None else text(price),
        inputs={"order_id": best.order},
    )


def refuse_large_newcomer(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R27. In its first days a version of a strategy may do a part of what the limits allow.

    An order without a strategy and a version is a newcomer's for ever. What makes a position smaller
    passes.
    """
    canary = limits_in(view).canary
    if canary is None:
        return None
    if view.strategies is None:
        raise InputMissing(Reason.CONTROL_ERROR, "the strategies that have traded are not known")
    first = view.strategies.first(proposal.terms)
    if first is not None and view.now - first >= timedelta(days=canary.days):
        return None
    if only_reduces(proposal, view):
        return None
    its, part = instrument_limits_in(view), canary.percent
    rate = rate_in(view, view.instrument.currency)
    quantity = proposal.terms.quantity
    price = max(reference_in(view), proposal.terms.limit_price or 0, proposal.terms.stop_price or 0)
    buys = proposal.terms.side is Side.BUY
    symbol = view.instrument.symbol
    position, opened = view.account.position(symbol).quantity, view.exposure.of(symbol)
    added = would_hold(proposal, view).quantity - holds(proposal, view).quantity
    held = position + opened.buy_quantity if buys else opened.sell_quantity - position
    for what, value, most in (
        ("the quantity", quantity, its.max_order_quantity),
        (
            "the order's value",
            dear(quantity * price * view.instrument.multiplier, rate),
            its.max_order_notional,
        ),
        ("the position", held + added, its.max_long if buys else its.max_short),
    ):
        if value * _HUNDRED > most * part:
            since = {} if first is None else {"since": first.isoformat()}
            inputs = {"percent": text(part), "days": str(canary.days), **since}
            allowed = most * part / _HUNDRED
            return over("R27", Reason.CANARY, f"{what} of a newcomer", value, allowed, inputs=inputs)
    return None
