"""What waits for a client is bounded and ordered, and frames are what RFC 6455 says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from ordergate.api.stream.outbox import TRADES_MAX, Outbox
from ordergate.api.stream.wire import framed, payload_of


@given(st.one_of(st.binary(max_size=300), st.sampled_from([125, 126, 65_535, 65_536, 70_000]).map(bytes)))
def test_a_frame_is_read_by_others_as_its_payload(payload: bytes) -> None:
    wire = framed(payload)
    reader = StreamReader()
    reader.feed_data(wire)
    parsing = Frame.parse(reader.read_exact, mask=False)
    frame = _finished(parsing)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, payload)
    assert payload_of(wire) == payload


def _finished(parsing: object) -> Frame:
    try:
        while True:
            next(parsing)  # type: ignore[call-overload]  # a generator that returns its frame
    except StopIteration as done:
        found = done.value
        assert isinstance(found, Frame)
        return found


class Woken:
    def __init__(self) -> None:
        self.calls: list[bool] = []
        self.outbox: Outbox | None = None
        self.reads = False

    def __call__(self, now: bool) -> None:
        self.calls.append(now)
        if now and self.reads and self.outbox is not None and not self.outbox.overflowed:
            self.outbox.take()


def an_outbox(woken: Woken, *, messages: int = 10, size: int = 1_000) -> Outbox:
    woken.outbox = Outbox(messages_max=messages, bytes_max=size, wake=woken)
    return woken.outbox


def test_whoever_writes_is_woken_once_for_many_frames() -> None:
    woken = Woken()
    outbox = an_outbox(woken)
    for _ in range(4):
        outbox.push(b"x")
    assert woken.calls == [False]
    assert outbox.take() == [b"x"] * 4
    outbox.push(b"y")
    assert woken.calls == [False, False]


def test_a_client_that_reads_is_never_too_slow_however_much_comes_at_once() -> None:
    woken = Woken()
    woken.reads = True
    outbox = an_outbox(woken)
    for _ in range(1_000):
        outbox.push(b"x" * 100)
    assert not outbox.overflowed


def test_a_client_that_does_not_read_overflows_at_the_bound_of_messages() -> None:
    outbox = an_outbox(Woken())
    states = []
    for _ in range(12):
        outbox.push(b"x")
        states.append(outbox.overflowed)
    assert states == [False] * 9 + [True] * 3
    assert outbox.take() == []


def test_a_client_that_does_not_read_overflows_at_the_bound_of_bytes() -> None:
    outbox = an_outbox(Woken())
    states = []
    for length in (999, 1):
        outbox.push(b"x" * length)
        states.append(outbox.overflowed)
    assert states == [False, True]


def test_one_frame_of_any_size_is_let_through() -> None:
    outbox = an_outbox(Woken())
    outbox.push(b"x" * 5_000)
    assert outbox.take() == [b"x" * 5_000]


def test_prices_conflate_and_events_do_not() -> None:
    outbox = an_outbox(Woken())
    for number in range(TRADES_MAX + 10):
        outbox.push_quote("ESM4", b"quote %d" % number)
        outbox.push_trade(b"trade %d" % number)
    outbox.push(b"event 1")
    outbox.push(b"event 2")
    taken = outbox.take()
    assert taken[:2] == [b"event 1", b"event 2"]
    assert len(taken) == 2 + TRADES_MAX + 1
    assert taken[-1] == b"quote %d" % (TRADES_MAX + 9)
