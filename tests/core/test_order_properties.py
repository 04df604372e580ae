"""Whatever a broker says, in whatever order and however often, the books add up."""

from collections import deque
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts.positions import Position, traded
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders import events as e
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.lifecycle import FINAL, TRANSITIONS, Status
from ordergate.core.orders.order import Order, first
from ordergate.core.orders.reports import AnyReport
from ordergate.core.orders.terms import Side
from tests.core.examples import FUTURE, SHARE, accepted, account, folded, future, share, terms
from tests.core.histories import AT, Step, histories, live, reports

INSTRUMENTS = {SHARE: share(), FUTURE: future()}


def newborn(symbol: Symbol = SHARE, side: Side = Side.BUY) -> Order:
    return first(accepted(terms(side, 10, 100, symbol=symbol)))


@given(histories())
def test_what_is_filled_is_the_sum_of_the_live_executions(history: list[Step]) -> None:
    for _, _, order in live(newborn(), history):
        alive = order.executions.values()
        assert order.cum_qty == sum(execution.quantity for execution in alive)
        assert order.cum_notional == sum(execution.quantity * execution.price for execution in alive)


@given(histories())
def test_what_may_still_fill_is_never_negative_and_nothing_once_final(history: list[Step]) -> None:
    for _, _, order in live(newborn(), history):
        assert order.leaves_qty >= 0
        assert order.is_final == (order.status in FINAL) == (order.final_at is not None)
        if order.is_final:
            assert order.leaves_qty == 0
        elif not order.is_overfilled:
            assert order.leaves_qty + order.cum_qty == order.terms.quantity


@given(histories())
def test_every_move_is_in_the_table(history: list[Step]) -> None:
    for before, event, after in live(newborn(), history):
        assert TRANSITIONS[before.status, type(event)] is after.status


@given(histories())
def test_an_order_that_is_being_replaced_says_what_it_becomes(history: list[Step]) -> None:
    for _, _, order in live(newborn(), history):
        if order.status is Status.PENDING_REPLACE:
            assert order.replacement is not None
        if order.replacement is not None:
            assert order.replacement == order.last_asked
            assert order.replacement.version > order.version


@given(histories())
def test_a_version_is_asked_for_once(history: list[Step]) -> None:
    asked = [
        event.version for _, event, _ in live(newborn(), history) if isinstance(event, e.ReplaceRequested)
    ]
    assert asked == sorted(set(asked))
    assert 1 not in asked


@given(histories(), reports())
def test_news_told_again_is_no_news(history: list[Step], report: AnyReport) -> None:
    happened = live(newborn(), [*history, lambda order: proven(order, report, AT)])
    order = happened[-1][2] if happened else newborn()
    assert proven(order, report, AT) == ()


@given(histories())
def test_the_same_events_make_the_same_order(history: list[Step]) -> None:
    happened = live(newborn(), history)
    events = [event for _, event, _ in happened]
    assert folded(accepted(newborn().terms), *events) == (happened[-1][2] if happened else newborn())


BOOKS = st.sampled_from([(SHARE, Side.BUY), (SHARE, Side.SELL), (FUTURE, Side.BUY), (FUTURE, Side.SELL)])


@given(BOOKS, histories(), st.integers(90, 110).map(Decimal))
def test_position_and_equity_are_those_of_the_live_executions(
    book: tuple[Symbol, Side], history: list[Step], mark: Decimal
) -> None:
    symbol, side = book
    instrument = INSTRUMENTS[symbol]
    books = account(cash=0)
    happened = live(newborn(symbol, side), history)
    for before, event, _ in happened:
        books = accounts.book(books, instrument, before, event)
    alive = happened[-1][2].executions.values() if happened else ()
    position = books.position(symbol)
    assert position.quantity == sum(side.sign * execution.quantity for execution in alive)
    profit = sum(side.sign * execution.quantity * (mark - execution.price) for execution in alive)
    assert _equity(books, instrument, mark) == profit * instrument.multiplier


def _equity(books: accounts.Account, instrument: Instrument, mark: Decimal) -> Decimal:
    """Cash, and what closing the position at `mark` would bring."""
    position = books.position(instrument.symbol)
    worth = position.quantity * mark
    if not instrument.moves_cash_on_trade:
        worth -= position.cost
    return books.cash + worth * instrument.multiplier


@given(histories())
def test_cash_of_a_share_is_the_sum_of_what_was_paid(history: list[Step]) -> None:
    books = account(cash=1_000)
    happened = live(newborn(), history)
    for before, event, _ in happened:
        books = accounts.book(books, share(), before, event)
    alive = happened[-1][2].executions.values() if happened else ()
    assert books.cash == 1_000 - sum(execution.quantity * execution.price for execution in alive)


TRADES = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 9), st.integers(90, 110)), max_size=30)


@given(TRADES)
def test_first_in_first_out_equals_a_naive_queue_of_single_units(trades: list[tuple[Side, int, int]]) -> None:
    position = Position(symbol=SHARE)
    queue: deque[tuple[int, int]] = deque()
    realised = 0
    for side, quantity, price in trades:
        position = traded(position, side, Decimal(quantity), Decimal(price))
        for _ in range(quantity):
            if queue and queue[0][0] == -side.sign:
                sign, paid = queue.popleft()
                realised += sign * (price - paid)
            else:
                queue.append((side.sign, price))
    assert position.quantity == sum(sign for sign, _ in queue)
    assert position.realised == realised
    assert position.cost == sum(sign * price for sign, price in queue)
    assert all(lot.quantity != 0 for lot in position.lots)
