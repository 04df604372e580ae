"""Checkpoints in a folder: the newest in a file of its own, and every one in a file that only grows.

Each comes with the proof that it grew out of the one before it, for witnesses. The folder belongs on
another disk, or under another account, than the database: what is published there is what a later change
of the database is measured by.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ordergate.audit import notes

NEWEST: Final = "checkpoint"
EVERY: Final = "checkpoints.jsonl"


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
        with (self._folder / self._every).open("a", encoding="utf-8") as every:
            every.write(json.dumps(line, ensure_ascii=False) + "\n")
            every.flush()
            os.fsync(every.fileno())
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
