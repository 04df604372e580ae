"""The exchange rules of the book, one by one."""

import pytest

from ordergate.venue.book import BUY, SELL, Book, Drop, Fill, Happening, Order, Wake


def fills(news: list[Happening]) -> list[tuple[str | None, int, int]]:
    return [(item.maker.tag, item.price, item.qty) for item in news if isinstance(item, Fill)]


def queue(book: Book, side: int) -> list[tuple[str | None, int]]:
    return [(order.tag, order.leaves) for level in book.levels(side) for order in level]


@pytest.fixture
def asks() -> Book:
    """Two orders at 101, one at 102."""
    book = Book()
    for tag, qty, price in (("first", 5, 101), ("second", 5, 101), ("third", 5, 102)):
        book.enter(Order(SELL, qty, price, tag=tag))
    return book


def test_an_order_meets_the_best_price_first_and_the_oldest_order_within_it(asks: Book) -> None:
    assert fills(asks.enter(Order(BUY, 12, 102, tag="me"))) == [
        ("first", 101, 5),
        ("second", 101, 5),
        ("third", 102, 2),
    ]


def test_what_a_limit_order_cannot_trade_rests_at_its_price(asks: Book) -> None:
    asks.enter(Order(BUY, 12, 101, tag="me"))
    assert queue(asks, BUY) == [("me", 2)]
    assert queue(asks, SELL) == [("third", 5)]


def test_what_a_market_order_cannot_trade_is_dropped(asks: Book) -> None:
    order = Order(BUY, 20, None, tag="me")
    assert asks.enter(order)[-1] == Drop(order)
    assert order.leaves == 5


def test_less_quantity_at_the_same_price_keeps_the_place_in_the_queue(asks: Book) -> None:
    first = next(order for level in asks.levels(SELL) for order in level)
    asks.amend(first, leaves=3, price=101, stop=None, life="rest")
    assert queue(asks, SELL) == [("first", 3), ("second", 5), ("third", 5)]


def test_more_quantity_goes_to_the_back_of_the_queue(asks: Book) -> None:
    first = next(order for level in asks.levels(SELL) for order in level)
    asks.amend(first, leaves=6, price=101, stop=None, life="rest")
    assert queue(asks, SELL) == [("second", 5), ("first", 6), ("third", 5)]


def test_another_price_goes_to_the_back_of_its_new_queue(asks: Book) -> None:
    first = next(order for level in asks.levels(SELL) for order in level)
    asks.amend(first, leaves=5, price=102, stop=None, life="rest")
    assert queue(asks, SELL) == [("second", 5), ("third", 5), ("first", 5)]


def test_a_price_amended_across_the_book_trades(asks: Book) -> None:
    order = Order(BUY, 4, 99, tag="me")
    asks.enter(order)
    assert fills(asks.amend(order, leaves=4, price=101, stop=None, life="rest")) == [("first", 101, 4)]


def test_a_stop_sleeps_until_a_trade_reaches_it(asks: Book) -> None:
    stop = Order(BUY, 2, None, stop=102, tag="stop")
    assert asks.enter(stop) == []
    asks.enter(Order(BUY, 10, 101, tag="me"))
    assert stop.sleeping
    news = asks.enter(Order(BUY, 1, 102, tag="me"))
    assert news[1] == Wake(stop)
    assert fills(news) == [("third", 102, 1), ("third", 102, 2)]


def test_a_stop_that_the_last_trade_is_already_beyond_wakes_at_once(asks: Book) -> None:
    asks.enter(Order(BUY, 1, 101, tag="me"))
    stop = Order(BUY, 1, None, stop=100, tag="stop")
    assert fills(asks.enter(stop)) == [("first", 101, 1)]


def test_a_stop_limit_rests_when_its_limit_is_not_there(asks: Book) -> None:
    asks.enter(Order(BUY, 2, 100, stop=101, tag="stop"))
    asks.enter(Order(BUY, 1, 101, tag="me"))
    assert queue(asks, BUY) == [("stop", 2)]


def test_one_stop_may_wake_the_next(asks: Book) -> None:
    asks.enter(Order(BUY, 10, None, stop=101, tag="near"))
    asks.enter(Order(BUY, 1, None, stop=102, tag="far"))
    news = asks.enter(Order(BUY, 1, 101, tag="me"))
    assert [item.order.tag for item in news if isinstance(item, Wake)] == ["near", "far"]


def test_a_stop_wakes_that_a_trade_reached_on_the_way_to_another_price() -> None:
    book = Book()
    for side, qty, price in ((SELL, 1, 103), (BUY, 1, 103), (BUY, 5, 90)):
        book.enter(Order(side, qty, price, tag="bid" if price == 90 else "before"))
    stop = Order(SELL, 2, None, stop=101, tag="stop")
    assert book.enter(stop) == []  # the last trade was at 103
    for price in (101, 102):
        book.enter(Order(SELL, 1, price, tag=f"ask {price}"))
    news = book.enter(Order(BUY, 2, None, tag="me"))
    assert fills(news) == [("ask 101", 101, 1), ("ask 102", 102, 1), ("bid", 90, 2)]
    assert Wake(stop) in news


def test_a_stop_listens_to_no_trade_from_before_it_was_there() -> None:
    book = Book()
    for side, price in ((SELL, 101), (SELL, 102), (BUY, 102)):
        book.enter(Order(side, 1, price, tag="before"))
    book.enter(Order(BUY, 1, None, tag="before"))  # up to 102
    assert book.enter(Order(SELL, 1, None, stop=101, tag="stop")) == []
    book.enter(Order(BUY, 1, 90, tag="bid"))
    assert queue(book, BUY) == [("bid", 1)]


def test_a_cancelled_stop_never_wakes(asks: Book) -> None:
    stop = Order(BUY, 2, None, stop=101, tag="stop")
    asks.enter(stop)
    asks.cancel(stop)
    assert fills(asks.enter(Order(BUY, 1, 101, tag="me"))) == [("first", 101, 1)]


def test_hidden_quantity_shows_at_the_back_of_the_queue(asks: Book) -> None:
    first = next(order for level in asks.levels(SELL) for order in level)
    first.reserve = 4
    assert fills(asks.enter(Order(BUY, 12, 101, tag="me"))) == [
        ("first", 101, 5),
        ("second", 101, 5),
        ("first", 101, 2),
    ]


def test_nothing_meets_before_the_open() -> None:
    book = Book()
    book.open = False
    book.enter(Order(SELL, 5, 100, tag="a"))
    assert book.enter(Order(BUY, 5, 101, tag="b")) == []
    assert book.crossed


def test_an_order_that_is_not_in_the_book_cannot_be_cancelled(asks: Book) -> None:
    with pytest.raises(ValueError, match="does not rest here"):
        asks.cancel(Order(BUY, 1, 1))
