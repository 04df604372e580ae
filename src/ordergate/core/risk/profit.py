"""What an account has realised, by the quarter of an hour, and how often it traded.

Folded from the journal, so a restart changes nothing. Which quarters make a day is not known here: the
limits say when a day ends, and any zone's clock shows whole quarters when another does. The sums since
the beginning of a day and of its week are kept, so that asking again costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.ids import OrderId
from ordergate.core.money import ZERO
from ordergate.core.orders.order import Order
from ordergate.core.risk.limit_parts import Span, TradingDay

QUARTER_S: Final = 900
QUARTERS_KEPT: Final = 8 * 24 * 4
"""So many have a week and a day. They are counted and not dated: a clock that ran ahead forgets none."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Made(NamedTuple):
    """What was realised, fees paid, and how many orders began to trade."""

    realised: Decimal = ZERO
    trades: int = 0

    def plus(self, realised: Decimal, trades: int) -> Made:
        return Made(self.realised + realised, self.trades + trades)


class Sums(NamedTuple):
    """The sums of one trading day and of the week that it is in."""

    span: Span
    rule: TradingDay
    week_begins: datetime
    day: Made
    week: Made


class ProfitLog:
    """One account's. Mutable, and owned by the account's lane. `untraded` are open orders without a fill.

    What was realised in other currencies is in `abroad`, a log for each; what trades is counted here alone.
    """

    def __init__(self) -> None:
        self.untraded: set[OrderId] = set()
        self.abroad: dict[str, ProfitLog] = {}
        self._quarters: dict[int, Made] = {}
        self._sums: Sums | None = None

    def book(self, at: datetime, realised: Decimal, *, began: bool) -> None:
        """An execution realised this much; `began` when it was its order's first."""
        quarter, trades = _quarter(at), 1 if began else 0
        self._quarters[quarter] = self._quarters.get(quarter, Made()).plus(realised, trades)
        if len(self._quarters) > QUARTERS_KEPT:
            del self._quarters[min(self._quarters)]
        if (kept := self._sums) is not None:
            day = kept.day.plus(realised, trades) if at >= kept.span.begins else kept.day
            week = kept.week.plus(realised, trades) if at >= kept.week_begins else kept.week
            self._sums = kept._replace(day=day, week=week)

    def book_abroad(self, at: datetime, currency: str, realised: Decimal) -> None:
        """The same of what was realised in another currency than the account's."""
        self.abroad.setdefault(currency, ProfitLog()).book(at, realised, began=False)

    def watch(self, order: Order) -> None:
        """An order changed: until it has a fill or has ended it may still become a trade."""
        if order.is_final or order.cum_qty or order.external:
            self.untraded.discard(order.id)
        else:
            self.untraded.add(order.id)

    def of(self, rule: TradingDay, now: datetime) -> Sums:
        """The sums of the trading day that now is in."""
        kept = self._sums
        if kept is not None and kept.rule is rule and kept.span.holds(now):
            return kept
        span = rule.span_of(now)
        begins = span.begins
        while (earlier := rule.span_of(begins - _MOMENT)).week == span.week:
            begins = earlier.begins
        made = Sums(span, rule, begins, self._since(span.begins), self._since(begins))
        self._sums = made
        return made

    def kept(self) -> dict[int, Made]:
        """What was made in each quarter of an hour, by its number; `show` is its inverse."""
        return dict(self._quarters)

    def show(self, quarters: Mapping[int, Made], untraded: Iterable[OrderId]) -> None:
        """Know what another one kept; for one that knows nothing yet."""
        self._quarters.update(quarters)
        self.untraded.update(untraded)

    def _since(self, begins: datetime) -> Made:
        first, total = _quarter(begins), Made()
        for quarter, made in self._quarters.items():
            if quarter >= first:
                total = total.plus(made.realised, made.trades)
        return total


_MOMENT: Final = timedelta(microseconds=1)


def _quarter(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=QUARTER_S)
