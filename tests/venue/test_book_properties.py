"""The book does what a naive book does, and keeps its promises, whatever is thrown at it."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from ordergate.venue.book import BUY, SELL, Book, Drop, Fill, Happening, Life, Order
from tests.venue.naive import NaiveBook, NaiveOrder

Queue = list[tuple[str, int, int]]


class Move(Struct, frozen=True, kw_only=True):
    """One thing to do; `which` picks among the orders that are open by then."""

    kind: Literal["enter", "cancel", "amend"]
    side: int
    qty: int
    price: int | None
    stop: int | None
    life: Life
    which: int


prices = st.integers(95, 105)
moves = st.builds(
    Move,
    kind=st.sampled_from(["enter", "enter", "enter", "cancel", "amend"]),
    side=st.sampled_from([BUY, SELL]),
    qty=st.integers(1, 12),
    price=st.one_of(prices, prices, prices, st.none()),
    stop=st.one_of(st.none(), st.none(), st.none(), prices),
    life=st.sampled_from(["rest", "rest", "rest", "ioc", "fok"]),
    which=st.integers(0, 30),
)


class Pair:
    """The real book and the naive one, given the same moves."""

    def __init__(self) -> None:
        self.book = Book()
        self.naive = NaiveBook()
        self.open: dict[str, Order] = {}
        self.fills: list[tuple[str, str, int, int]] = []
        self.dropped: dict[str, int] = {}
        self.brought = self.withdrawn = 0
        self.names = 0

    def make(self, move: Move) -> None:
        if move.kind == "enter" or not self.open:
            self._enter(move)
        else:
            name = list(self.open)[move.which % len(self.open)]
            if move.kind == "cancel":
                self._cancel(name)
            else:
                self._amend(name, move)

    def _enter(self, move: Move) -> None:
        self.names += 1
        name = f"o{self.names}"
        self.brought += move.qty
        order = Order(move.side, move.qty, move.price, stop=move.stop, life=move.life, tag=name)
        self.open[name] = order
        self.naive.enter(NaiveOrder(name, move.side, move.qty, move.price, move.stop, move.life))
        self._digest(self.book.enter(order))

    def _cancel(self, name: str) -> None:
        order = self.open.pop(name)
        self.withdrawn += order.leaves
        self.naive.cancel(name)
        self.book.cancel(order)

    def _amend(self, name: str, move: Move) -> None:
        order = self.open[name]
        stop = None if order.stop is None else move.stop or order.stop
        self.brought += move.qty - order.leaves
        self.naive.amend(name, move.qty, move.price, stop, move.life)
        self._digest(self.book.amend(order, leaves=move.qty, price=move.price, stop=stop, life=move.life))

    def _digest(self, news: list[Happening]) -> None:
        for item in news:
            match item:
                case Fill(maker=Order(tag=str(maker)), taker=Order(tag=str(taker)), price=price, qty=qty):
                    self.fills.append((maker, taker, price, qty))
                case Drop(order=Order(tag=str(name), leaves=leaves)):
                    self.dropped[name] = leaves
                case _:
                    pass
        self.open = {
            name: order
            for name, order in self.open.items()
            if (order.resting or order.sleeping) and name not in self.dropped
        }

    def queue(self, side: int) -> Queue:
        return [
            (order.tag or "", level.price, order.leaves)
            for level in self.book.levels(side)
            for order in level
        ]


@given(st.lists(moves, max_size=60))
def test_every_fill_every_queue_and_every_drop_is_that_of_the_naive_book(script: list[Move]) -> None:
    pair = Pair()
    for move in script:
        pair.make(move)
        assert pair.fills == pair.naive.fills
        assert pair.dropped == pair.naive.dropped
        assert pair.queue(BUY) == pair.naive.queue(BUY)
        assert pair.queue(SELL) == pair.naive.queue(SELL)
        assert pair.book.last == pair.naive.last


@given(st.lists(moves, max_size=60))
def test_the_book_is_never_crossed(script: list[Move]) -> None:
    pair = Pair()
    for move in script:
        pair.make(move)
        assert not pair.book.crossed


@given(st.lists(moves, max_size=60))
def test_no_quantity_appears_or_disappears(script: list[Move]) -> None:
    pair = Pair()
    for move in script:
        pair.make(move)
        traded = sum(qty for _, _, _, qty in pair.fills)
        standing = sum(order.leaves for order in pair.open.values())
        assert pair.brought == 2 * traded + standing + pair.withdrawn + sum(pair.dropped.values())


@given(st.lists(moves, max_size=60))
def test_a_level_shows_the_sum_of_its_orders_and_no_level_is_empty(script: list[Move]) -> None:
    pair = Pair()
    for move in script:
        pair.make(move)
        for side in (BUY, SELL):
            levels = list(pair.book.levels(side))
            assert all(level.total == sum(order.leaves for order in level) > 0 for level in levels)
            assert [level.price for level in levels] == sorted(
                {level.price for level in levels}, reverse=side == BUY
            )


@given(st.lists(moves, max_size=40), moves)
def test_a_fill_or_kill_order_fills_whole_or_not_at_all(script: list[Move], last: Move) -> None:
    pair = Pair()
    for move in script:
        pair.make(move)
    order = Order(last.side, last.qty, last.price, life="fok", tag="fok")
    filled = sum(
        item.qty for item in pair.book.enter(order) if isinstance(item, Fill) and item.taker is order
    )
    assert filled in (0, last.qty)
    assert not order.resting


@given(st.lists(moves, max_size=40), moves)
def test_an_immediate_order_never_rests_and_trades_as_far_as_it_reaches(
    script: list[Move], last: Move
) -> None:
    pair = Pair()
    for move in script:
        pair.make(move)
    reach = sum(
        leaves
        for _, price, leaves in pair.queue(-last.side)
        if last.price is None or last.side * (last.price - price) >= 0
    )
    order = Order(last.side, last.qty, last.price, life="ioc", tag="ioc")
    filled = sum(
        item.qty for item in pair.book.enter(order) if isinstance(item, Fill) and item.taker is order
    )
    assert filled == min(last.qty, reach)
    assert not order.resting
