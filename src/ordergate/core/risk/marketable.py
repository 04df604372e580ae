"""Turns an order at the market into a limit order that meets the market and goes no further.

Only where the limits of the instrument say how far, and only by a whole, sane quote of now; what cannot be
turned stays as it is, and R10 refuses it. Decides nothing about whether the order may be sent.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.risk.view import RiskView, Top

_HUNDRED: Final = Decimal(100)


def as_limit(terms: Terms, view: RiskView) -> Terms | None:
    """The order as it would leave, or None where it leaves as it is.

    The limit is on the tick, never further than the percentage from the other side of the quote.
    """
    if terms.type is not OrderType.MARKET or terms.limit_price is not None or terms.stop_price is not None:
        return None
    percent = _percent(view)
    if percent is None or view.limits is None:
        return None
    top = whole(view.top)
    if top is None or abs(view.now - top.at) > view.limits.market_quote_max_age:
        return None
    bid, ask = top.bid, top.ask
    if bid is None or ask is None or bid > ask:
        return None
    tick = view.instrument.tick
    if terms.side is Side.BUY:
        price = _on_tick(ask + ask * percent / _HUNDRED, tick, ROUND_FLOOR)
    else:
        price = _on_tick(bid - bid * percent / _HUNDRED, tick, ROUND_CEILING)
    return msgspec.structs.replace(terms, type=OrderType.LIMIT, limit_price=price)


def whole(top: Top | None) -> Top | None:
    """The quote, if both of its sides are there and can be meant."""
    return None if top is None or top.bid is None or top.ask is None or top.bid <= 0 else top


def _percent(view: RiskView) -> Decimal | None:
    its = None if view.limits is None else view.limits.instruments.get(view.instrument.symbol)
    return None if its is None else its.market_to_limit_percent


def _on_tick(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return (price / tick).to_integral_value(rounding=rounding) * tick
