"""Remembers what the exchange decided: JSON lines, appended, read back at the next start.

What was decided in one go is one line, so that it is kept whole or not at all: no order is replaced by one
that is not there, and nobody buys what nobody sold. A line that was cut off by the end of the process was
never told to anybody and is dropped; a broken line anywhere else is a fault. Lines are handed to the
operating system before anyone hears of the decision, so they outlive the process; a power cut is not what a
paper venue insures against, so nothing is fsynced. What could be written in part only is taken back, so
that what is appended next stands alone. Never interprets a decision.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, Protocol

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from ordergate.venue.words import Execution, VenueOrder


class AccountOpened(Struct, frozen=True, kw_only=True, tag="account_opened"):
    account: str
    cash: Decimal
    at: datetime


class OrderTaken(Struct, frozen=True, kw_only=True, tag="order_taken"):
    """The order is in. `hold` is the margin of one unit; the first `closing` units need none."""

    order: VenueOrder
    hold: Decimal
    closing: Decimal


class OrderExecuted(Struct, frozen=True, kw_only=True, tag="order_executed"):
    execution: Execution


class OrderTriggered(Struct, frozen=True, kw_only=True, tag="order_triggered"):
    """A trade reached the order's stop price: it sleeps no more."""

    account: str
    order_id: str
    at: datetime


class OrderEnded(Struct, frozen=True, kw_only=True, tag="order_ended"):
    account: str
    order_id: str
    how: Literal["canceled", "expired", "replaced"]
    at: datetime
    replaced_by: str | None = None


Decision = AccountOpened | OrderTaken | OrderTriggered | OrderExecuted | OrderEnded


class StateCorrupt(Exception):
    """A line of the decision log cannot be read, and it is not the last one."""


class DecisionLog(Protocol):
    def append(self, decisions: Sequence[Decision]) -> None:
        """Keep these decisions, in this order, before anybody is told of them.

        Keeps all of them or, where it raises, none: they may be given to it again.
        """


class Forgetful:
    """The log of a venue that starts empty every time."""

    def append(self, decisions: Sequence[Decision]) -> None:
        """Nothing is kept."""


class FileLog:
    """Decisions in a file of JSON lines. One process at a time may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = Encoder()
        self._file: int | None = None
        self._length = 0
        self._torn = False

    def read(self) -> list[Decision]:
        """All decisions so far. Cuts a torn last line off, so that what is appended next stands alone."""
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self._path, whole)
        return list(_decode(data[:whole].splitlines()))

    def append(self, decisions: Sequence[Decision]) -> None:
        data = self._encoder.encode(decisions[0] if len(decisions) == 1 else decisions) + b"\n"
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._length = os.lseek(self._file, 0, os.SEEK_END)
        self._take_back(self._file)
        self._torn, length = True, self._length + len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except BaseException:
            self._take_back(self._file)
            raise
        self._torn, self._length = False, length

    def _take_back(self, file: int) -> None:
        """Cut off what is left of an append that failed."""
        if self._torn:
            os.ftruncate(file, self._length)
            self._torn = False

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _decode(lines: Iterable[bytes]) -> Iterable[Decision]:
    decoder: Decoder[Decision | list[Decision]] = Decoder(Decision | list[Decision])
    for number, line in enumerate(lines, start=1):
        try:
            decided = decoder.decode(line)
        except DecodeError as fault:
            raise StateCorrupt(f"line {number} of the decision log cannot be read: {fault}") from fault
        yield from decided if isinstance(decided, list) else (decided,)
