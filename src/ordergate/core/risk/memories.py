"""What risk remembers of orders that were accepted: the market's prices by then, and who first sent them.

Both are rebuilt from the journal at start, so that a restart forgets nothing that a limit depends on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Side, Terms

GRAINS: Final = 1_000
STRATEGIES_MAX: Final = 10_000


class Seen(NamedTuple):
    at: datetime
    price: Decimal


class PricesSeen:
    """The lowest and the highest market price at which an order was accepted, within a window.

    Prices closer together than a thousandth of the window are kept as one, the more extreme one for the
    longer time: never more than a thousand are kept of a side, and what is merged is only stricter.
    Of the windows that it is told, the longest counts: who trades under a short one takes nothing from
    another who looks further back. While nobody has one, nothing is kept.
    """

    __slots__ = ("_longest", "_seen")

    def __init__(self, longest: timedelta = timedelta()) -> None:
        self._seen: dict[tuple[Symbol, Side], deque[Seen]] = {}
        self._longest = longest

    def __len__(self) -> int:
        return sum(len(each) for each in self._seen.values())

    def remember(self, symbol: Symbol, price: Decimal, at: datetime, window: timedelta) -> None:
        self._longest = window = max(self._longest, window)
        if not window:
            return
        for side in Side:
            kept = self._seen.setdefault((symbol, side), deque())
            while kept and kept[0].at < at - window:
                kept.popleft()
            while kept and not _is_stricter(kept[-1].price, price, side):
                kept.pop()
            if kept and at - kept[-1].at < window / GRAINS:
                last = kept.pop()
                kept.append(Seen(max(at, last.at), last.price))  # a clock that was set back comes back
            else:
                kept.append(Seen(at, price))

    def strictest(self, symbol: Symbol, side: Side, now: datetime, window: timedelta) -> Seen | None:
        """The lowest price for a buy to be compared with, the highest for a sell."""
        for seen in self._seen.get((symbol, side), ()):
            if seen.at >= now - window:
                return seen
        return None


def _is_stricter(one: Decimal, other: Decimal, side: Side) -> bool:
    return one < other if side is Side.BUY else one > other


class Met(NamedTuple):
    strategy: str
    version: str
    at: datetime


class Strategies:
    """When each version of each strategy was first let through. Beyond its bound it learns no more:

    what it does not know counts as new.
    """

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], datetime] = {}

    def saw(self, terms: Terms, at: datetime) -> None:
        who = _who(terms)
        if who is not None and who not in self._first and len(self._first) < STRATEGIES_MAX:
            self._first[who] = at

    def kept(self) -> tuple[Met, ...]:
        """Each with when it was first let through; `show` is its inverse."""
        return tuple(Met(strategy, version, at) for (strategy, version), at in self._first.items())

    def show(self, met: Iterable[Met]) -> None:
        """Know whom another one met; for one that has met nobody yet."""
        self._first.update(((one.strategy, one.version), one.at) for one in met)

    def first(self, terms: Terms) -> datetime | None:
        who = _who(terms)
        return None if who is None else self._first.get(who)


def _who(terms: Terms) -> tuple[str, str] | None:
    if terms.strategy is None or terms.strategy_version is None:
        return None
    return terms.strategy, terms.strategy_version
