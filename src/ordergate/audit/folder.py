"""Checkpoints in a folder: the newest in a file of its own, and every one in a file that only grows.

Each comes with the proof that it grew out of the one before it, for witnesses. The folder belongs on
another disk, or under another account, than the database: what is published there is what a later change
of the database is measured by.

A line is there when it ends. What a full disk or a sudden end left of one was never acknowledged, and is cut
off again, so that the next line does not join it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Final

from ordergate.audit import notes
from ordergate.telemetry.log import logger

log = logger("audit")

NEWEST: Final = "checkpoint"
EVERY: Final = "checkpoints.jsonl"
_BLOCK: Final = 4096


class FolderSink:
    """Keeps the promises of `ports.audit.Sink`."""

    def __init__(self, folder: Path, *, newest: str = NEWEST, every: str = EVERY) -> None:
        self._folder = folder
        self._newest = newest
        self._every = every

    async def publish(self, note: str, old: int = 0, path: Sequence[bytes] = ()) -> None:
        await asyncio.to_thread(self._write, note, old, path)

    async def newest(self) -> str | None:
        return await asyncio.to_thread(self._read)

    def _write(self, note: str, old: int, path: Sequence[bytes]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        line = {"note": note, "old": old, "path": [notes.encode(step) for step in path]}
        _append(self._folder / self._every, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        draft = self._folder / f"{self._newest}.new"
        with draft.open("w", encoding="utf-8") as newest:
            newest.write(note)
            newest.flush()
            os.fsync(newest.fileno())
        draft.replace(self._folder / self._newest)

    def _read(self) -> str | None:
        try:
            return (self._folder / self._newest).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None


def _append(path: Path, line: bytes) -> None:
    """The whole line on the disk, or none of it."""
    with path.open("a+b", buffering=0) as file:
        size, end = file.seek(0, os.SEEK_END), _end_of_lines(file)
        if end < size:
            log.warning("audit.half_line_cut", file=str(path), bytes=size - end)
            file.truncate(end)
        written = 0
        try:
            while written < len(line):
                written += os.write(file.fileno(), line[written:])
        except OSError:
            file.truncate(end)
            raise
        os.fsync(file.fileno())


def _end_of_lines(file: FileIO) -> int:
    """Where the last line that ends does so."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(file.fileno(), end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
