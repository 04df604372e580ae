"""One position: what is closed first, and that late news is put where it belongs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts.positions import RECENT_MAX, Lot, Position, traded
from ordergate.core.orders.terms import Side
from tests.core.examples import FUTURE, NOW

Trade = tuple[Side, int, int, int]
TRADES = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 5), st.integers(90, 110)), min_size=1, max_size=30
)


def after(trades: list[Trade]) -> Position:
    position = Position(symbol=FUTURE)
    for side, quantity, price, second in trades:
        at = NOW + timedelta(seconds=second)
        position = traded(position, side, Decimal(quantity), Decimal(price), at)
    return position


@given(TRADES, st.randoms(use_true_random=False))
def test_the_same_executions_make_the_same_position_whichever_news_came_first(
    drawn: list[tuple[Side, int, int]], chance: Random
) -> None:
    told = [(*trade, second) for second, trade in enumerate(drawn)]
    shuffled = chance.sample(told, len(told))
    assert after(shuffled) == after(told)


def test_a_late_execution_closes_the_lot_that_it_closed_at_the_broker() -> None:
    bought = (Side.BUY, 1, 100, 0)
    late = (Side.BUY, 1, 90, -1)
    sold = (Side.SELL, 1, 110, 1)
    position = after([bought, sold, late])
    assert position.lots == (Lot(Decimal(1), Decimal(100)),)
    assert position.realised == 20


def test_an_execution_without_a_time_stays_where_it_was_told_and_nothing_passes_it() -> None:
    position = traded(Position(symbol=FUTURE), Side.BUY, Decimal(1), Decimal(100))
    position = traded(position, Side.BUY, Decimal(1), Decimal(90), NOW)
    assert [lot.price for lot in position.lots] == [100, 90]


def test_executions_at_the_same_moment_stay_in_the_order_they_were_told() -> None:
    position = after([(Side.BUY, 1, 100, 0), (Side.BUY, 1, 90, 0)])
    assert [lot.price for lot in position.lots] == [100, 90]


def test_only_so_many_trades_are_kept_and_what_is_older_stands() -> None:
    many = [(Side.BUY, 1, 100 + second % 7, second) for second in range(RECENT_MAX + 50)]
    position = after(many)
    assert len(position.recent) == RECENT_MAX
    assert len(position.settled) == 50
    assert len(position.lots) == len(many)
    late = traded(position, Side.SELL, Decimal(60), Decimal(200), NOW - timedelta(days=1))
    assert late.quantity == len(many) - 60
    assert late.realised == sum(200 - lot.price for lot in position.lots[:60])
