"""A recording in a book with other people's orders: who is reached, when, and what stays of whom."""

from typing import Literal

import pytest

from ordergate.venue.book import BUY, SELL, Book, Fill, Happening, Order, Print
from ordergate.venue.tape.recording import Recording
from ordergate.venue.tape.records import Action, Packet, Step


def add(ident: int, side: int, price: int, size: int) -> Step:
    return Step(Action.ADD, ident, side, price, size)


def modify(ident: int, side: int, price: int, size: int) -> Step:
    return Step(Action.MODIFY, ident, side, price, size)


def cancel(ident: int, size: int) -> Step:
    return Step(Action.CANCEL, ident, 0, 0, size)


def aggress(side: int, price: int, size: int) -> Step:
    return Step(Action.AGGRESS, 99, side, price, size)


def filled(ident: int, size: int) -> Step:
    return Step(Action.FILL, ident, 0, 0, size)


class Floor:
    """A book, its recording, and what happened last."""

    def __init__(self) -> None:
        self.book = Book()
        self.recording = Recording(self.book)
        self.news: list[Happening] = []

    def play(self, *steps: Step, phase: Literal["pre_open", "open"] | None = None) -> list[Happening]:
        self.news = self.recording.play(Packet(0, steps, phase))
        return self.news

    def enter(
        self, side: int, qty: int, price: int | None, tag: str = "me", stop: int | None = None
    ) -> Order:
        order = Order(side, qty, price, tag=tag, stop=stop)
        self.news = self.book.enter(order)
        self.recording.note_taken(self.news)
        return order

    def fills(self) -> list[tuple[str | int, str | int, int, int]]:
        """(maker, taker, price, quantity) of what happened last, recorded orders by their number."""
        return [
            (item.maker.tag or item.maker.ident, item.taker.tag or item.taker.ident, item.price, item.qty)
            for item in self.news
            if isinstance(item, Fill)
        ]

    def queue(self, side: int) -> list[tuple[str | int, int, int]]:
        return [
            (order.tag or order.ident, level.price, order.leaves)
            for level in self.book.levels(side)
            for order in level
        ]


@pytest.fixture
def floor() -> Floor:
    """Recorded bids 1 and 2 at 100 with five each, a recorded ask 3 at 101 with ten."""
    floor = Floor()
    floor.play(add(1, BUY, 100, 5), add(2, BUY, 100, 5), add(3, SELL, 101, 10))
    return floor


def test_our_order_waits_for_everything_ahead_of_it(floor: Floor) -> None:
    floor.enter(BUY, 3, 100)
    floor.play(aggress(SELL, 100, 10), filled(1, 5), filled(2, 5), cancel(1, 5), cancel(2, 5))
    assert floor.fills() == [(1, 99, 100, 5), (2, 99, 100, 5)]
    floor.play(add(4, BUY, 100, 5))
    floor.play(aggress(SELL, 100, 4), filled(4, 4), modify(4, BUY, 100, 1))
    assert floor.fills() == [("me", 99, 100, 3), (4, 99, 100, 1)]
    assert floor.queue(BUY) == [(4, 100, 1)]


def test_our_order_moves_up_when_an_order_ahead_is_cancelled(floor: Floor) -> None:
    floor.enter(BUY, 3, 100)
    floor.play(cancel(1, 5))
    floor.play(aggress(SELL, 100, 6), filled(2, 5), cancel(2, 5))
    assert floor.fills() == [(2, 99, 100, 5), ("me", 99, 100, 1)]


def test_a_recorded_order_whose_fill_we_took_is_reduced_as_the_tape_says(floor: Floor) -> None:
    floor.play(cancel(1, 5))
    floor.enter(BUY, 3, 100)
    floor.play(add(4, BUY, 100, 5))
    floor.play(aggress(SELL, 100, 9), filled(2, 5), filled(4, 4), cancel(2, 5), modify(4, BUY, 100, 1))
    assert floor.fills() == [(2, 99, 100, 5), ("me", 99, 100, 3), (4, 99, 100, 1)]
    assert floor.queue(BUY) == [(4, 100, 1)]


def test_what_we_took_from_a_recorded_order_stays_taken_while_it_lives(floor: Floor) -> None:
    floor.enter(BUY, 4, 101)
    assert floor.queue(SELL) == [(3, 101, 6)]
    floor.play(modify(3, SELL, 101, 8))
    assert floor.queue(SELL) == [(3, 101, 4)]
    floor.play(modify(3, SELL, 102, 8))
    assert floor.queue(SELL) == [(3, 102, 4)]


def test_a_recorded_order_we_took_whole_comes_back_only_with_what_it_grows_by(floor: Floor) -> None:
    floor.enter(BUY, 10, 101)
    assert floor.queue(SELL) == []
    floor.play(modify(3, SELL, 101, 12))
    assert floor.queue(SELL) == [(3, 101, 2)]
    floor.play(cancel(3, 12))
    assert floor.queue(SELL) == []


def test_an_aggressor_that_misses_what_we_took_reaches_further_and_the_tape_puts_it_right(
    floor: Floor,
) -> None:
    floor.enter(SELL, 3, 100)  # takes three of order 1
    ours = floor.enter(BUY, 2, 100)
    assert floor.queue(BUY) == [(1, 100, 2), (2, 100, 5), ("me", 100, 2)]
    floor.play(aggress(SELL, 100, 5), filled(1, 5), cancel(1, 5))
    assert floor.fills() == [(1, 99, 100, 2), (2, 99, 100, 3)]
    assert floor.queue(BUY) == [(2, 100, 5), ("me", 100, 2)]
    assert ours.leaves == 2


def test_an_order_matched_away_by_mistake_returns_to_the_front(floor: Floor) -> None:
    floor.enter(SELL, 5, 100)  # takes order 1 whole
    floor.play(add(4, BUY, 100, 1))
    floor.play(aggress(SELL, 100, 5), filled(1, 5), cancel(1, 5))
    assert floor.fills() == [(2, 99, 100, 5)]
    assert floor.queue(BUY) == [(2, 100, 5), (4, 100, 1)]


def test_a_recorded_order_that_arrives_across_ours_trades_with_it(floor: Floor) -> None:
    floor.play(cancel(3, 10))
    floor.enter(SELL, 4, 102)
    floor.play(add(4, BUY, 103, 6))
    assert floor.fills() == [("me", 4, 102, 4)]
    assert floor.queue(BUY)[0] == (4, 103, 2)


def test_a_recorded_order_repriced_across_ours_trades_with_it(floor: Floor) -> None:
    floor.play(cancel(3, 10))
    floor.enter(SELL, 4, 102)
    floor.play(modify(1, BUY, 102, 5))
    assert floor.fills() == [("me", 1, 102, 4)]
    assert floor.queue(BUY)[0] == (1, 102, 1)


def test_an_order_inside_the_spread_is_reached_first(floor: Floor) -> None:
    floor.play(modify(3, SELL, 103, 10))
    floor.enter(BUY, 2, 101)
    floor.play(aggress(SELL, 100, 5), filled(1, 5), cancel(1, 5))
    assert floor.fills() == [("me", 99, 101, 2), (1, 99, 100, 3)]
    assert floor.queue(BUY) == [(2, 100, 5)]


def test_more_traded_than_was_shown_means_hidden_quantity_behind_ours(floor: Floor) -> None:
    floor.play(cancel(2, 5))
    floor.enter(BUY, 2, 100)
    floor.play(aggress(SELL, 100, 8), filled(1, 8), modify(1, BUY, 100, 5))
    assert floor.fills() == [(1, 99, 100, 5), ("me", 99, 100, 2), (1, 99, 100, 1)]
    assert floor.queue(BUY) == [(1, 100, 5)]


def test_a_recorded_trade_that_finds_nobody_is_still_a_trade(floor: Floor) -> None:
    floor.enter(SELL, 10, 100)  # takes both bids
    news = floor.play(aggress(SELL, 100, 5), filled(1, 5), cancel(1, 5))
    assert news == [Print(100, 5, SELL)]
    assert floor.book.last == 100


def test_a_recorded_trade_wakes_a_stop_once_the_packet_is_over(floor: Floor) -> None:
    floor.enter(SELL, 1, None, tag="stop", stop=100)
    floor.play(aggress(SELL, 100, 5), filled(1, 5), cancel(1, 5))
    assert floor.fills() == [(1, 99, 100, 5), (2, "stop", 100, 1)]


def test_clearing_the_recording_leaves_our_orders_where_they_are(floor: Floor) -> None:
    floor.enter(BUY, 3, 100)
    floor.recording.clear()
    assert floor.queue(BUY) == [("me", 100, 3)]
    assert floor.queue(SELL) == []


def test_nothing_trades_before_the_open_and_the_auction_fills_who_is_better_than_its_price() -> None:
    floor = Floor()
    floor.play(add(1, BUY, 102, 5), phase="pre_open")
    floor.enter(BUY, 3, 103)
    floor.enter(BUY, 1, 101, tag="at")
    floor.play(add(2, SELL, 100, 6))
    assert floor.news == []
    floor.play(
        Step(Action.AUCTION, 0, 0, 101, 5),
        filled(1, 5),
        filled(2, 5),
        cancel(1, 5),
        modify(2, SELL, 102, 1),
        phase="open",
    )
    assert floor.news[0] == Print(101, 5, 0)
    assert [(item.maker.tag, item.price, item.qty) for item in floor.news if isinstance(item, Fill)] == [
        ("me", 101, 3)
    ]
    assert floor.queue(BUY) == [("at", 101, 1)]
    assert not floor.book.crossed


def test_the_auction_gives_us_no_more_than_it_had() -> None:
    floor = Floor()
    floor.play(phase="pre_open")
    floor.enter(BUY, 30, 103)
    floor.play(Step(Action.AUCTION, 0, 0, 101, 5), phase="open")
    assert floor.queue(BUY) == [("me", 103, 25)]


def test_whoever_still_crosses_after_the_auction_trades_with_the_book() -> None:
    floor = Floor()
    floor.play(phase="pre_open")
    floor.enter(BUY, 4, 103)
    floor.play(add(2, SELL, 102, 6))
    floor.play(Step(Action.AUCTION, 0, 0, 101, 1), phase="open")
    assert [(item.price, item.qty) for item in floor.news if isinstance(item, Fill)] == [(101, 1), (102, 3)]
    assert floor.queue(SELL) == [(2, 102, 3)]


def test_what_the_open_leaves_of_an_order_keeps_its_place_in_the_queue() -> None:
    floor = Floor()
    floor.play(phase="pre_open")
    floor.enter(BUY, 10, 103, tag="first")
    floor.enter(BUY, 10, 103, tag="second")
    floor.play(add(2, SELL, 102, 5))
    floor.play(Step(Action.AUCTION, 0, 0, 103, 1), phase="open")
    assert floor.fills() == [(2, "first", 102, 5)]
    assert floor.queue(BUY) == [("first", 103, 5), ("second", 103, 10)]
    floor.play(aggress(SELL, 103, 5))
    assert floor.fills() == [("first", 99, 103, 5)]
    assert floor.queue(BUY) == [("second", 103, 10)]


def test_a_day_may_begin_by_clearing_the_book(floor: Floor) -> None:
    floor.play(Step(Action.CLEAR, 0, 0, 0, 0), add(7, BUY, 90, 1))
    assert floor.queue(BUY) == [(7, 90, 1)]
