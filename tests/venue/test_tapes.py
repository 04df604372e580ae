"""Tapes from comma-separated files and from a seed."""

from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.venue.book import BUY, SELL, Book, Fill, Happening, Order, Print
from ordergate.venue.tape.csv import CsvTape
from ordergate.venue.tape.recording import Recording
from ordergate.venue.tape.records import Action, Packet, TapeUnreadable
from ordergate.venue.tape.synthetic import SyntheticTape
from ordergate.venue.words import Listing
from tests.dose import dose
from tests.venue.listings import AAPL, BTC, ES

QUOTES = """ts,bid,bid_size,ask,ask_size
2024-03-01T14:30:00+00:00,190.00,300,190.02,200
2024-03-01T14:30:02+00:00,190.00,500,190.02,100
2024-03-01T14:30:04+00:00,190.03,100,190.04,100
"""
TRADES = """ts,price,size,side
2024-03-01T14:30:01+00:00,190.02,100,
2024-03-01T14:30:03+00:00,190.00,350,sell
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def both(folder: Path) -> CsvTape:
    return CsvTape(AAPL, quotes=write(folder, "q.csv", QUOTES), trades=write(folder, "t.csv", TRADES))


def totals(book: Book, side: int) -> list[tuple[int, int]]:
    return [(level.price, level.total) for level in book.levels(side)]


# -- comma-separated


def test_quotes_and_trades_are_merged_by_time(tmp_path: Path) -> None:
    packets = list(both(tmp_path).packets())
    assert [(packet.at_ns - packets[0].at_ns) // 10**9 for packet in packets] == [0, 1, 2, 3, 4]
    assert packets[1].steps[0].action is Action.AGGRESS
    assert packets[1].steps[0].side == BUY


def test_the_book_shows_each_quote_and_every_trade_happens(tmp_path: Path) -> None:
    book = Book()
    recording = Recording(book)
    shown: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
    news: list[Happening] = []
    for packet in both(tmp_path).packets():
        news += recording.play(packet)
        shown.append((totals(book, BUY), totals(book, SELL)))
        assert not book.crossed
    assert shown == [
        ([(19_000, 300)], [(19_002, 200)]),
        ([(19_000, 300)], [(19_002, 100)]),
        ([(19_000, 500)], [(19_002, 100)]),
        ([(19_000, 150)], [(19_002, 100)]),
        ([(19_003, 100)], [(19_004, 100)]),
    ]
    assert sum(item.qty for item in news if isinstance(item, Fill | Print)) == 450


def test_an_order_behind_the_quoted_size_waits_for_it_and_stays_ahead_of_what_comes_later(
    tmp_path: Path,
) -> None:
    book = Book()
    recording = Recording(book)
    ours = Order(BUY, 100, 19_000, tag="ours")
    for at, packet in enumerate(both(tmp_path).packets()):
        recording.play(packet)
        if at == 0:
            book.enter(ours)
        if at == 3:
            break
    assert ours.leaves == 50  # 350 sold: 300 stood ahead of ours, 200 came later


def test_trades_alone_are_a_market_too(tmp_path: Path) -> None:
    tape = CsvTape(AAPL, trades=write(tmp_path, "t.csv", TRADES))
    recording = Recording(Book())
    news = [item for packet in tape.packets() for item in recording.play(packet)]
    assert news == [Print(19_002, 100, BUY), Print(19_000, 350, SELL)]


def test_a_side_nobody_quotes_is_empty(tmp_path: Path) -> None:
    text = "ts,bid,bid_size,ask,ask_size\n1000,190.00,300,,\n"
    book = Book()
    recording = Recording(book)
    for packet in CsvTape(AAPL, quotes=write(tmp_path, "q.csv", text)).packets():
        recording.play(packet)
    assert totals(book, SELL) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ts,price\n1,190.00\n", "size are missing"),
        ("", "are missing"),
        ("ts,price,size\n1,190.001,1\n", "line 2: 190.001 is not a multiple of 0.01"),
        ("ts,price,size\n1,190.00,1.5\n", "not a multiple of 1"),
        ("ts,price,size\n1,190.00,-1\n", "not a multiple of 1"),
        ("ts,price,size\n1,dear,1\n", "not a number"),
        ("ts,price,size\n1,NaN,1\n", "not a number"),
        ("ts,price,size\nnoon,190.00,1\n", "not a time"),
        ("ts,price,size\n2024-03-01T14:30:00,190.00,1\n", "no time zone"),
        ("ts,price,size\n2,190.00,1\n1,190.00,1\n", "line 3: time goes backwards"),
        ("ts,price,size,side\n1,190.00,1,short\n", "buy or sell"),
        ("ts,price,size\n1\n", "cells are missing"),
        ("ts,price,size\n1,,5\n", "needs a price and a size"),
        ("ts,price,size\n1,Infinity,5\n", "not a number"),
    ],
)
def test_a_file_that_breaks_its_format_is_a_fault_with_its_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(TapeUnreadable, match=complaint):
        CsvTape(AAPL, trades=write(tmp_path, "t.csv", text))


def test_a_tape_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="quotes or trades"):
        CsvTape(AAPL)


# -- from a seed

seeds = st.integers(0, 1_000_000)
markets = st.sampled_from([(AAPL, Decimal(190)), (BTC, Decimal(61_000)), (ES, Decimal(4_800))])


def flow(market: tuple[Listing, Decimal], seed: int, packets: int) -> list[Packet]:
    listing, price = market
    return list(SyntheticTape(listing, seed=seed, price=price, packets_max=packets).packets())


@given(markets, seeds)
def test_the_same_seed_is_the_same_flow(market: tuple[Listing, Decimal], seed: int) -> None:
    assert flow(market, seed, 50) == flow(market, seed, 50)


@given(markets, seeds)
def test_a_made_up_market_is_whole_and_its_fills_are_those_of_a_book(
    market: tuple[Listing, Decimal], seed: int
) -> None:
    book = Book()
    recording = Recording(book)
    for packet in flow(market, seed, dose(usual=400, long=5_000)):
        news = recording.play(packet)
        told = [(step.ident, step.price, step.size) for step in packet.steps if step.action is Action.FILL]
        assert [(it.maker.ident, it.price, it.qty) for it in news if isinstance(it, Fill)] == told
        assert not book.crossed
        assert book.best(BUY) is not None
        assert book.best(SELL) is not None


def test_a_made_up_market_trades_and_moves() -> None:
    packets = flow((AAPL, Decimal(190)), 1, 5_000)
    traded = {step.price for packet in packets for step in packet.steps if step.action is Action.AGGRESS}
    assert len(traded) > 10


def test_a_made_up_market_needs_no_end() -> None:
    tape = SyntheticTape(AAPL, seed=1, price=Decimal(190))
    assert len(list(islice(tape.packets(), 3_000))) == 3_000


def test_a_price_off_the_tick_is_no_market() -> None:
    with pytest.raises(ValueError, match="multiple of"):
        SyntheticTape(AAPL, seed=1, price=Decimal("190.001"))
