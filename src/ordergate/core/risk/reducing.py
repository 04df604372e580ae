"""Whether an order can only make a position smaller, however the open orders beside it fill."""

from __future__ import annotations

from decimal import Decimal

from ordergate.core.money import ZERO
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.view import Proposal, RiskView


def only_reduces(proposal: Proposal, view: RiskView) -> bool:
    """True when what is proposed, new or a replacement, can only make a position smaller."""
    if proposal.standing is not None and proposal.asked is not None:
        return reduces_as_replaced(proposal.standing, proposal.asked, view)
    return reduces(proposal.terms, view)


def reduces(terms: Terms, view: RiskView) -> bool:
    """True when the position is at least this order and everything open on its side."""
    return terms.quantity <= _reducible(terms.side, view)


def reduces_as_replaced(order: Order, asked: Replacement, view: RiskView) -> bool:
    """The same of an order as it would be, which is among the open ones now."""
    held = view.exposure.held(order.id)
    own = ZERO if held is None else held.quantity
    return asked.quantity - order.cum_qty <= _reducible(order.terms.side, view) + own


def _reducible(side: Side, view: RiskView) -> Decimal:
    position = view.account.position(view.instrument.symbol).quantity
    opened = view.exposure.of(view.instrument.symbol)
    if side is Side.SELL:
        return position - opened.sell_quantity
    return -position - opened.buy_quantity
