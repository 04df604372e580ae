"""Checkpoints in a folder: the newest in a file of its own, and every one in a file that only grows.

The folder belongs on another disk, or under another account, than the database: what is published
there is what a later change of the database is measured by.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Final

NEWEST: Final = "checkpoint"
EVERY: Final = "checkpoints.jsonl"


class FolderSink:
    """Keeps the promises of `ports.audit.Sink`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def publish(self, note: str) -> None:
        await asyncio.to_thread(self._write, note)

    async def newest(self) -> str | None:
        return await asyncio.to_thread(self._read)

    def _write(self, note: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / EVERY).open("a", encoding="utf-8") as every:
            every.write(json.dumps({"note": note}, ensure_ascii=False) + "\n")
            every.flush()
            os.fsync(every.fileno())
        draft = self._folder / f"{NEWEST}.new"
        with draft.open("w", encoding="utf-8") as newest:
            newest.write(note)
            newest.flush()
            os.fsync(newest.fileno())
        draft.replace(self._folder / NEWEST)

    def _read(self) -> str | None:
        try:
            return (self._folder / NEWEST).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
