"""B24: from some moment on a broker calls an instrument by another name, in all that it tells. Pure.

What was placed under one name fills under the other, and what is held may be told under both.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.ports.broker import BrokerExecution, BrokerNews, Holding, News, OpenOrders
from ordergate.simulation.listing import SPY, SPY_RENAMED

_with = msgspec.structs.replace


def renamed(told: Any) -> tuple[Any, bool]:
    """An answer under the new name, and whether the instrument was in it."""
    if isinstance(told, list):
        each = [renamed(one) for one in told]
        under_new = [one for one, _ in each]
        if isinstance(told, OpenOrders):
            under_new = OpenOrders(under_new, is_whole=told.is_whole)
        return under_new, any(changed for _, changed in each)
    if isinstance(told, dict) and SPY in told:
        return _held_under_both(told), True
    if isinstance(told, OrderSnapshot) and told.terms.symbol == SPY:
        return _with(told, terms=_with(told.terms, symbol=SPY_RENAMED)), True
    if isinstance(told, BrokerExecution) and told.symbol == SPY:
        return _with(told, symbol=SPY_RENAMED), True
    return told, False


def renamed_news(news: BrokerNews) -> BrokerNews:
    if isinstance(news, News) and news.snapshot is not None:
        return News(news.report, renamed(news.snapshot)[0])
    return news


def _held_under_both(held: dict[Symbol, Holding]) -> dict[Symbol, Holding]:
    """One lot is still told under the old name, where there are more."""
    whole = held[SPY]
    rest = {symbol: holding for symbol, holding in held.items() if symbol != SPY}
    if whole.quantity <= 1:
        return {**rest, SPY_RENAMED: whole}
    old, new = Holding(type(whole.quantity)(1), whole.avg_px), Holding(whole.quantity - 1, whole.avg_px)
    return {**rest, SPY: old, SPY_RENAMED: new}
