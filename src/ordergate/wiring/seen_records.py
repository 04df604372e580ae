"""What a verification of the audit keeps in mind of records: which are late, and what a person let.

Reads nothing itself, and judges no seal.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ordergate.audit.checkpointer import Pace
from ordergate.journal.audit_log import Record

_CHANGED: Final = "identity_changed"


class _Change(msgspec.Struct):
    """What of an `identity_changed` says that a person let the log go on."""

    what: str = ""
    operation: str = ""
    facts: dict[str, str] = {}


class Seen:
    """The records that no head is of, and under which keys a person let the log go on."""

    def __init__(self) -> None:
        self._count = 0
        self._oldest: datetime | None = None
        self.let_go_on: set[str] = set()

    def add(self, record: Record, *, is_signed: bool) -> None:
        if not is_signed:
            self._count += 1
            self._oldest = record.at if self._oldest is None else min(self._oldest, record.at)
        if record.kind == _CHANGED:
            with suppress(msgspec.DecodeError):  # whoever changed it lets nothing, and its seal tells of it
                event = msgspec.json.decode(record.body, type=_Change)
                if (event.what, event.operation) == ("audit_log", "go_on"):
                    self.let_go_on.add(event.facts.get("key", ""))

    def late(self, now: datetime, every_s: float) -> str | None:
        """Why one of them should have been signed for by now, if so."""
        within = Pace(every_s=every_s).unsigned_s_max
        if self._oldest is None or now - self._oldest <= timedelta(seconds=within):
            return None
        return (
            f"{self._count} records are under no signed checkpoint, the oldest of"
            f" {self._oldest:%Y-%m-%d %H:%M:%S} UTC, and a gateway signs within {within:g} s:"
            " checkpoints were cut off, or no gateway was there to sign since"
        )
