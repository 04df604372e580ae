"""A client's frames as they lie on the wire: the usual ones are read, the others are left alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from ordergate.api.client_texts import client_text


def on_the_wire(text: bytes, *, opcode: Opcode = Opcode.TEXT, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, text, fin=fin).serialize(mask=mask)


@given(st.lists(st.text(max_size=300).map(str.encode), max_size=5))
def test_frames_behind_each_other_are_read_one_after_the_other(sent: list[bytes]) -> None:
    wire = b"".join(on_the_wire(text) for text in sent)
    read, at = [], 0
    while (found := client_text(wire, at)) is not None:
        text, at = found
        read.append(text)
    assert (read, at) == (sent, len(wire))


@given(st.text(max_size=300).map(str.encode), st.data())
def test_a_frame_that_has_not_arrived_whole_is_left_alone(text: bytes, data: st.DataObject) -> None:
    wire = on_the_wire(text)
    cut = data.draw(st.integers(0, len(wire) - 1))
    assert client_text(wire[:cut], 0) is None


def test_what_is_not_a_whole_masked_text_is_left_alone() -> None:
    assert client_text(on_the_wire(b"{}", opcode=Opcode.BINARY), 0) is None
    assert client_text(on_the_wire(b"{}", opcode=Opcode.PING), 0) is None
    assert client_text(on_the_wire(b"{}", fin=False), 0) is None
    assert client_text(on_the_wire(b"{}", mask=False), 0) is None
    assert client_text(on_the_wire(b"x" * 70_000), 0) is None


def test_a_length_written_longer_than_need_be_is_left_alone() -> None:
    assert client_text(b"\x81\xfe\x00\x02" + bytes(4) + b"{}", 0) is None


def test_the_longest_and_shortest_lengths_of_each_form_are_read() -> None:
    for length in (0, 1, 125, 126, 127, 65_535):
        wire = on_the_wire(b"x" * length)
        assert client_text(wire, 0) == (b"x" * length, len(wire))
