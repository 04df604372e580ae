"""The real day, replayed: the book against the tape itself, alone and with our orders in the queue."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordergate.venue.book import BUY, SELL, Book, Fill, Order
from ordergate.venue.tape.dbn import DbnTape, read_messages
from ordergate.venue.tape.recording import Recording
from ordergate.venue.tape.records import Action, Packet, TapeUnreadable
from ordergate.venue.words import Listing
from tests.dose import dose
from tests.venue.listings import ES, recorded_day, recorded_file

Line = tuple[int, int, int]  # order, price, size


@pytest.fixture(scope="module")
def tape(shared_dir: Path) -> DbnTape:
    return recorded_day(shared_dir)


class Replay:
    """One pass over the day, packet by packet."""

    def __init__(self, tape: DbnTape) -> None:
        self.book = Book()
        self.recording = Recording(self.book)
        self._tape = tape

    def packets(self) -> Iterator[tuple[Packet, list[Fill]]]:
        """Every packet, after it was played, with what it filled."""
        for packet in self._tape.packets():
            news = self.recording.play(packet)
            yield packet, [item for item in news if isinstance(item, Fill)]

    def to_the_open(self) -> Iterator[tuple[Packet, list[Fill]]]:
        played = self.packets()
        for packet, _ in played:
            if packet.phase == "open":
                break
        return played

    def enter(self, order: Order) -> list[Fill]:
        news = self.book.enter(order)
        self.recording.note_taken(news)
        return [item for item in news if isinstance(item, Fill)]


def by_order(lines: list[Line]) -> list[Line]:
    """One line for each order and price, standing where the order was last."""
    summed: dict[tuple[int, int], int] = {}
    for ident, price, size in lines:
        before = summed.pop((ident, price), 0)
        summed[ident, price] = before + size
    return [(ident, price, size) for (ident, price), size in summed.items()]


def in_the_feeds_order(ours: list[Line], recorded: list[Line]) -> list[Line]:
    """Our lines with the one habit of the feed: at a price, an order may be listed after all others.

    An order with hidden quantity stands where its last shown part went, which only the exchange saw.
    """
    listed_last = {price: list(lines)[-1] for price, lines in groupby(recorded, key=lambda line: line[1])}
    arranged: list[Line] = []
    for price, lines in groupby(ours, key=lambda line: line[1]):
        last = listed_last.get(price)
        arranged += sorted(lines, key=lambda line: line == last)
    return arranged


def test_replaying_the_day_reproduces_every_recorded_fill_in_order(tape: DbnTape) -> None:
    fills = as_recorded = 0
    for packet, filled in Replay(tape).packets():
        if packet.phase is not None or packet.steps[0].action is Action.ADD:
            assert not filled
            continue
        recorded = by_order(
            [(step.ident, step.price, step.size) for step in packet.steps if step.action is Action.FILL]
        )
        ours = by_order([(fill.maker.ident, fill.price, fill.qty) for fill in filled])
        assert in_the_feeds_order(ours, recorded) == recorded
        fills += len(recorded)
        as_recorded += len(recorded) if ours == recorded else 0
    assert fills > 6_000
    assert as_recorded / fills > 0.95


def test_the_book_is_never_crossed_once_the_market_is_open(tape: DbnTape) -> None:
    replay = Replay(tape)
    packets = 0
    for packet, _ in replay.to_the_open():
        assert not replay.book.crossed, packet
        packets += 1
    assert packets > 40_000


def test_the_market_opens_with_the_recorded_auction(tape: DbnTape) -> None:
    replay = Replay(tape)
    phases = [packet.phase for packet, _ in replay.packets() if packet.phase is not None]
    assert phases == ["pre_open", "open"]
    assert tape.opens_at_ns is not None


def plain_book(path: Path) -> dict[int, tuple[int, int, int]]:
    """What the records leave when nothing is matched: side, price in ticks and size of each order."""
    orders: dict[int, tuple[int, int, int]] = {}
    tick = 250_000_000
    for message in read_messages(path):
        match str(message.action):
            case "A" | "M":
                side = BUY if str(message.side) == "B" else SELL
                orders[message.order_id] = (side, message.price // tick, message.size)
            case "C":
                side, price, size = orders.pop(message.order_id)
                if message.size < size:
                    orders[message.order_id] = (side, price, size - message.size)
            case _:
                pass
    return orders


def test_the_book_after_the_day_is_the_one_the_records_add_up_to(tape: DbnTape, shared_dir: Path) -> None:
    replay = Replay(tape)
    for _ in replay.packets():
        pass
    standing = {
        order.ident: (side, level.price, order.leaves)
        for side in (BUY, SELL)
        for level in replay.book.levels(side)
        for order in level
    }
    assert standing == plain_book(recorded_file(shared_dir))


def test_our_order_is_filled_only_from_the_front_of_its_queue(tape: DbnTape) -> None:
    """A large order at the best ask: whenever the flow has reached it, nothing is left ahead of it."""
    replay = Replay(tape)
    played = replay.to_the_open()
    best = replay.book.best(SELL)
    assert best is not None
    ours = Order(SELL, 500, best.price, tag="ours")
    ahead = {order.ident: order.leaves for order in best}
    assert not replay.enter(ours)
    got = traded_ahead = 0
    for _, fills in played:
        for fill in fills:
            if fill.maker is ours:
                got += fill.qty
            elif not got and fill.maker.ident in ahead:
                traded_ahead += fill.qty
        if any(fill.maker is ours for fill in fills) and ours.level is not None:
            assert ours.level.head is ours
            assert ours.level is replay.book.best(SELL)
        assert not replay.book.crossed
        if not ours.leaves:
            break
    assert got == 500
    assert 0 < traded_ahead <= sum(ahead.values())


def test_our_order_far_from_the_market_is_never_filled(tape: DbnTape) -> None:
    replay = Replay(tape)
    played = replay.to_the_open()
    best = replay.book.best(BUY)
    assert best is not None
    ours = Order(BUY, 1, best.price - 400, tag="ours")
    replay.enter(ours)
    assert not [fill for _, fills in played for fill in fills if fill.maker is ours]
    assert ours.resting


@given(st.integers(0, 10_000))
@settings(max_examples=dose(usual=4, long=60))
def test_whatever_we_trade_the_recording_keeps_its_word(tape: DbnTape, seed: int) -> None:
    """A seeded trader in the queue: the book stays whole, and holds what is shown less what we took."""
    chance = Random(seed)
    replay = Replay(tape)
    open_orders: list[Order] = []
    taken = 0
    for at, (_, fills) in enumerate(replay.to_the_open()):
        taken += sum(fill.qty for fill in fills if fill.maker.tag is None and fill.taker.tag is not None)
        if at % 50 == 0:
            taken += sum(fill.qty for fill in replay.enter(some_order(chance, replay.book)))
        if at % 2_000 == 0:
            open_orders = [order for order in open_orders if order.resting]
            assert not replay.book.crossed
            for recorded in replay.recording.orders.values():
                standing = recorded.order.leaves if recorded.order.resting else 0
                assert standing == max(0, recorded.shown - recorded.taken)
    assert taken > 0
    assert {ident: recorded.shown for ident, recorded in replay.recording.orders.items()} == {
        ident: recorded.shown for ident, recorded in undisturbed(tape).orders.items()
    }


def undisturbed(tape: DbnTape) -> Recording:
    replay = Replay(tape)
    for _ in replay.packets():
        pass
    return replay.recording


def some_order(chance: Random, book: Book) -> Order:
    side = chance.choice((BUY, SELL))
    best = book.best(side)
    price = None if best is None or chance.random() < 0.2 else best.price + side * chance.randint(-2, 2)
    return Order(side, chance.randint(1, 10), price, tag="ours", life=chance.choice(("rest", "rest", "ioc")))


def test_a_snapshot_alone_is_an_open_market(shared_dir: Path) -> None:
    tape = DbnTape(ES, shared_dir / "data" / "esh4-glbx-mdp3-20231224.mbo.dbn.zst")
    assert tape.opens_at_ns is None
    assert sum(len(packet.steps) for packet in tape.packets()) == 8_725


def test_a_tick_the_recording_does_not_keep_is_a_fault(shared_dir: Path) -> None:
    with pytest.raises(TapeUnreadable, match="off the tick"):
        DbnTape(
            Listing(symbol="X", name="X", asset_class="future", tick=ES.tick * 3),
            recorded_file(shared_dir),
        )


def test_a_file_that_is_no_recording_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "day.dbn.zst"
    for data in (b"", b"not a recording", b"\x28\xb5\x2f\xfdbroken", b"DBN\x01"):
        path.write_bytes(data)
        with pytest.raises(TapeUnreadable):
            DbnTape(ES, path)


def test_a_recording_that_breaks_off_is_a_fault(shared_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "day.dbn.zst"
    path.write_bytes(recorded_file(shared_dir).read_bytes()[:-100])
    with pytest.raises(TapeUnreadable):
        DbnTape(ES, path)
