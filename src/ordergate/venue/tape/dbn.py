"""Reads a recorded day of market-by-order data in Databento's DBN encoding.

Turns the feed's records into packets, and its two habits into plain words: an order's own cancel for
self-match prevention is written after the trade it stood aside for, so it goes first; and an aggressor
that was resting before is listed among the fills, which is no fill of the queue. Never repairs data.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import zstandard
from databento_dbn import DBNDecoder, DBNError, MBOMsg

from ordergate.venue.tape.records import Action, Packet, Step, TapeUnreadable
from ordergate.venue.words import Listing

LAST_OF_PACKET: Final = 128
SNAPSHOT: Final = 32
PRICE_UNIT: Final = Decimal("1e-9")
NO_PRICE: Final = 2**63 - 1
FILE_BYTES_MAX: Final = 1 << 30
ZSTD_MAGIC: Final = zstandard.MAGIC_NUMBER.to_bytes(4, "little")
ACTIONS: Final = {
    "A": Action.ADD,
    "M": Action.MODIFY,
    "C": Action.CANCEL,
    "T": Action.AGGRESS,
    "F": Action.FILL,
    "R": Action.CLEAR,
}
SIDES: Final = {"B": 1, "A": -1, "N": 0}


class DbnTape:
    """The packets of one or more files for one listing, decoded once and kept."""

    def __init__(self, listing: Listing, *paths: Path) -> None:
        self._listing = listing
        self._packets = _packets(step for path in paths for step in _steps(path, listing))

    @property
    def listing(self) -> Listing:
        return self._listing

    @property
    def opens_at_ns(self) -> int | None:
        return next((packet.at_ns for packet in self._packets if packet.phase == "open"), None)

    def packets(self) -> Iterator[Packet]:
        return iter(self._packets)


def read_messages(path: Path) -> list[MBOMsg]:
    """All market-by-order records of a file, zstd-compressed or not. A file that breaks off is a fault."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise TapeUnreadable(f"{path.name} is larger than {FILE_BYTES_MAX} bytes")
    decoder = DBNDecoder()
    try:
        decoder.write(_decompressed(path.read_bytes()))
        messages = [record for record in decoder.decode() if isinstance(record, MBOMsg)]
    except (DBNError, zstandard.ZstdError) as fault:
        raise TapeUnreadable(f"{path.name} is not a DBN file: {fault}") from fault
    if not messages or decoder.buffer():
        raise TapeUnreadable(f"{path.name} holds no market-by-order records, or breaks off")
    return messages


def _decompressed(data: bytes) -> bytes:
    """A recording is one zstd frame after another, or not compressed at all."""
    if data[:4] != ZSTD_MAGIC:
        return data
    frames: list[bytes] = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        frames.append(frame.decompress(data))
        if not frame.eof:
            raise zstandard.ZstdError("the last frame breaks off")
        data = frame.unused_data
    return b"".join(frames)


def _steps(path: Path, listing: Listing) -> Iterator[tuple[int, int, Step]]:
    """Every record as its time, its flags and a step."""
    tick = int(listing.tick / PRICE_UNIT)
    for message in read_messages(path):
        action = ACTIONS.get(str(message.action))
        side = SIDES.get(str(message.side))
        if action is None or side is None:
            raise TapeUnreadable(f"{path.name} has a record this venue does not know: {message}")
        price, off = divmod(0 if message.price == NO_PRICE else message.price, tick)
        if off:
            raise TapeUnreadable(f"{path.name} has a price off the tick {listing.tick}: {message}")
        if action is Action.AGGRESS and not side:
            action = Action.AUCTION
        yield message.ts_recv, int(message.flags), Step(action, message.order_id, side, price, message.size)


def _packets(steps: Iterable[tuple[int, int, Step]]) -> list[Packet]:
    """Group by the feed's last-of-packet mark; a snapshot, which has none, is one packet."""
    packets: list[Packet] = []
    group: list[Step] = []
    snapshot = False
    at = 0
    for at_ns, flags, step in steps:
        if snapshot and not flags & SNAPSHOT:
            packets.append(Packet(at, tuple(group)))
            group = []
        snapshot = bool(flags & SNAPSHOT)
        group.append(step)
        at = at_ns
        if flags & LAST_OF_PACKET:
            packets.append(Packet(at, _in_order(group)))
            group = []
    if group:
        packets.append(Packet(at, tuple(group)))
    return _with_phases(packets)


def _in_order(group: list[Step]) -> tuple[Step, ...]:
    if group[0].action is not Action.AGGRESS:
        return tuple(group)
    aggressors = {step.ident for step in group if step.action is Action.AGGRESS}
    filled = {step.ident for step in group if step.action is Action.FILL}
    stood_aside = [step for step in group if step.action is Action.CANCEL and step.ident not in filled]
    rest = [
        step
        for step in group
        if step not in stood_aside and not (step.action is Action.FILL and step.ident in aggressors)
    ]
    return (*stood_aside, *rest)


def _with_phases(packets: list[Packet]) -> list[Packet]:
    """A day that has an opening auction is before its open until then."""
    opening = next(
        (
            at
            for at, packet in enumerate(packets)
            if any(step.action is Action.AUCTION for step in packet.steps)
        ),
        None,
    )
    if opening is None:
        return packets
    packets[0] = Packet(packets[0].at_ns, packets[0].steps, "pre_open")
    packets[opening] = Packet(packets[opening].at_ns, packets[opening].steps, "open")
    return packets
