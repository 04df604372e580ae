"""Busts and corrections leave the books as if the executions had always been so, whenever they came."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts.positions import Position, amended, traded
from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Side

_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
_TRADE = st.tuples(st.sampled_from(Side), st.integers(1, 5), st.integers(90, 110))
_TRADES = st.lists(_TRADE, min_size=1, max_size=12)


def _at(place: int) -> datetime:
    return _NOON + timedelta(seconds=place)


@given(trades=_TRADES, data=st.data())
def test_an_amended_execution_counts_as_if_it_had_always_been_so(
    trades: list[tuple[Side, int, int]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(trades) - 1))
    quantity, price = data.draw(st.integers(0, 5)), data.draw(st.integers(90, 110))
    late = truly = Position(symbol=Symbol("ES"))
    for number, (side, size, paid) in enumerate(trades):
        late = traded(late, side, Decimal(size), Decimal(paid), _at(number))
        now = (quantity, price) if number == place else (size, paid)
        if now[0]:
            truly = traded(truly, side, Decimal(now[0]), Decimal(now[1]), _at(number))
    side, size, paid = trades[place]
    found = amended(
        late,
        side,
        (Decimal(size), Decimal(paid)),
        (Decimal(quantity), Decimal(price)),
        was_at=_at(place),
        at=_at(place),
    )
    assert found is not None
    assert (found.lots, found.quantity, found.realised) == (truly.lots, truly.quantity, truly.realised)


@given(trades=_TRADES, data=st.data())
def test_an_execution_whose_time_is_told_last_counts_as_if_it_had_always_been_known(
    trades: list[tuple[Side, int, int]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(trades) - 1))
    told = data.draw(st.permutations(range(len(trades))))
    found: Position | None = Position(symbol=Symbol("ES"))
    truly = Position(symbol=Symbol("ES"))
    for number, (side, size, paid) in enumerate(trades):
        truly = traded(truly, side, Decimal(size), Decimal(paid), _at(number))
    for number in told:
        side, size, paid = trades[number]
        assert found is not None
        found = traded(found, side, Decimal(size), Decimal(paid), None if number == place else _at(number))
    side, size, paid = trades[place]
    assert found is not None
    as_it_is = (Decimal(size), Decimal(paid))
    found = amended(found, side, as_it_is, as_it_is, was_at=None, at=_at(place))
    assert found is not None
    assert (found.lots, found.quantity, found.realised) == (truly.lots, truly.quantity, truly.realised)


def test_an_execution_that_is_not_among_the_recent_ones_cannot_be_found_again() -> None:
    held = traded(Position(symbol=Symbol("ES")), Side.BUY, Decimal(2), Decimal(100), _NOON)
    was, now = (Decimal(3), Decimal(100)), (Decimal(1), Decimal(100))
    assert amended(held, Side.BUY, was, now, was_at=_NOON, at=_NOON) is None
    nothing = (Decimal(0), Decimal(0))
    assert amended(held, Side.BUY, nothing, nothing, was_at=None, at=None) is held
