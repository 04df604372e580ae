"""Passwords that came to light in breaches, looked up in a file of the operator's.

Its lines are what Have I Been Pwned publishes, ordered by hash: SHA-1 in 40 hexadecimal digits, and after a
colon how often it was seen. The file is tens of gigabytes and is never read as a whole: a lookup halves it
some forty times. Nothing of a password leaves the machine.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ordergate.telemetry.secret import Secret

DIGITS: Final = 40
LOOKS: Final = 64
FIRST_UNDER: Final = b"1"
LAST_OVER: Final = b"E"
_LINE: Final = re.compile(rb"[0-9A-F]{40}(?::[0-9]{1,19})?(?:\r?\n|\Z)", re.IGNORECASE)
_LINE_BYTES_MAX: Final = DIGITS + len(":") + 19 + len("\r\n")


class NoList(ValueError):
    """The file is not there, cannot be read, or is not such a list. Says which."""


class BreachedPasswords:
    """The list as it is now; opened for each lookup, so that another one may take its place at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def check(self) -> None:
        """Raises NoList, unless lines here and there are what they must be, in order, and of all beginnings.

        What stopped half-way ends long before the last hashes: a list that is shorter by much is none.
        """
        with self._lines() as lines:
            seen = [lines.at((lines.size - 1) * place // LOOKS)[1] for place in range(LOOKS + 1)]
        if seen != sorted(seen):
            raise NoList(f"{self._file} is not ordered by hash")
        if len(set(seen)) > LOOKS // 2 and not (seen[0] < FIRST_UNDER and seen[-1] > LAST_OVER):
            raise NoList(
                f"{self._file} is not whole: its hashes are from {_shown(seen[0])} to {_shown(seen[-1])}"
            )

    def has(self, password: Secret) -> bool:
        """Whether it is in the list. Raises NoList. Waits for the disk, milliseconds."""
        digest = hashlib.sha1(password.reveal().encode(), usedforsecurity=False)  # the list's own
        with self._lines() as lines:
            return lines.have(digest.hexdigest().upper().encode())

    @contextmanager
    def _lines(self) -> Iterator[_Lines]:
        try:
            with self._file.open("rb", buffering=0) as opened:
                size = os.fstat(opened.fileno()).st_size
                if size == 0:
                    raise NoList(f"the list of breached passwords {self._file} is empty")
                yield _Lines(self._file, opened.fileno(), size)
        except OSError as error:
            why = error.strerror
            raise NoList(f"cannot read the list of breached passwords {self._file}: {why}") from error


class _Lines:
    """Read where they lie, and not mapped: a file that is cut short meanwhile must be an error, no more."""

    def __init__(self, file: Path, descriptor: int, size: int) -> None:
        self._file = file
        self._descriptor = descriptor
        self.size = size

    def have(self, wanted: bytes) -> bool:
        """It can only be from `low` on and before `high`, which are beginnings of lines, or the end."""
        low, high = 0, self.size
        while low < high:
            begin, found, end = self.at((low + high) // 2)
            if found == wanted:
                return True
            if found < wanted:
                low = end
            else:
                high = begin
        return False

    def at(self, place: int) -> tuple[int, bytes, int]:
        """Of the line that holds this byte: its beginning, its hash, and its end. Raises NoList for none."""
        start = max(0, place - _LINE_BYTES_MAX)
        piece = os.pread(self._descriptor, 2 * _LINE_BYTES_MAX, start)
        begin = piece.rfind(b"\n", 0, place - start) + 1
        line = _LINE.match(piece, begin)
        if line is None or start + line.end() <= place:
            raise NoList(f"{self._file} has lines that are not SHA-1 in hex, a colon and a number")
        return start + begin, line.group()[:DIGITS].upper(), start + line.end()


def _shown(digest: bytes) -> str:
    return digest[:4].decode()
